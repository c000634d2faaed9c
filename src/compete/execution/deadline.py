"""When a run has to have ended: no job is started that will not end in time, and what still runs then is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from compete.execution.jobs import Job

# A fold takes as long as the longest before it, and some: rows and other work on the machine differ.
_LONGER = 1.1


@dataclass(frozen=True)
class Deadline:
    """A moment, and what is known of how long jobs take."""

    ends: float
    """As `clock` tells it."""
    expected: Callable[[Job], float | None]
    """Seconds that a job like this took before, at the most; None where there was none."""
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Seconds, 0 once it is over."""
        return max(0.0, self.ends - self.clock())

    def leaves_time_for(self, job: Job) -> bool:
        """Whether the job will have ended; one of which nothing is known is tried."""
        left, seconds = self.left(), self.expected(job)
        return left > 0 if seconds is None else _LONGER * seconds <= left
