"""What every executor offers, wherever it runs its jobs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from compete.execution.deadline import Deadline
from compete.execution.jobs import Event, Job


class Executor(Protocol):
    """Runs jobs somewhere and tells what happens to them."""

    def run(self, jobs: Sequence[Job], deadline: Deadline | None = None) -> Generator[Event, None, None]:
        """Run all jobs; a job that fails fails alone. Closing the iterator stops what is running.

        deadline: jobs that it leaves no time for are left.
        """
        ...
