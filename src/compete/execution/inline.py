"""Jobs in this process, one after the other: for debuggers, and for machines where no process can be started."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Generator, Sequence

from compete import atomic
from compete.errors import DiskFullError
from compete.execution.deadline import Deadline
from compete.execution.jobs import Event, Failed, Finished, Job, Left, Started, call_target
from compete.printable import printable
from compete.progress import unheard


class InlineExecutor:
    """Runs each job here; progress inside a job is not reported, and a job that has begun is not stopped."""

    def run(self, jobs: Sequence[Job], deadline: Deadline | None = None) -> Generator[Event, None, None]:
        for job in jobs:
            if deadline is not None and not deadline.leaves_time_for(job):
                yield Left(job)
                continue
            yield Started(job)
            start = time.monotonic()
            step: Job | None = job
            try:
                while step is not None:
                    call_target(step.target, step.payload, unheard)
                    step = step.afterwards
            except (Exception, SystemExit) as error:  # a failed job fails alone
                with contextlib.suppress(OSError, DiskFullError):  # on a full disk the failure itself says so
                    job.log.parent.mkdir(parents=True, exist_ok=True)
                    atomic.write_bytes(job.log, printable(traceback.format_exc()).encode(), private=True)
                yield Failed(job, type(error).__name__, str(error))
            else:
                yield Finished(job, time.monotonic() - start)
