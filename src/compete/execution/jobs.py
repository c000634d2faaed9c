"""Jobs as execution sees them: a name, a function to call, and plain data to call it with."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Report = Callable[[float], None]


@dataclass(frozen=True)
class Job:
    """One piece of work that depends on no other.

    target: "module:function", called as function(payload, report); report takes the fraction done, 0 to 1.
    payload: JSON, so that a job can be handed to another process or machine.
    log: file that receives whatever a job in a process of its own prints, and the traceback of any job that
        fails.
    imports: modules that the job is going to need, which a process may import before it is the job's.
    all_gpus: it computes on all GPUs of the machine, not on the one that is its turn.
    afterwards: what is done when it has succeeded, in a process of its own; its failure is this job's, and so is its
        log.
    """

    name: str
    target: str
    payload: dict[str, Any]
    log: Path
    imports: tuple[str, ...] = ()
    all_gpus: bool = False
    afterwards: Job | None = None


@dataclass(frozen=True)
class Started:
    job: Job


@dataclass(frozen=True)
class Progressed:
    job: Job
    fraction: float


@dataclass(frozen=True)
class Finished:
    job: Job
    seconds: float


@dataclass(frozen=True)
class Failed:
    """error: class name of the exception, or of the signal that ended the process."""

    job: Job
    error: str
    message: str


Event = Started | Progressed | Finished | Failed


class Executor(Protocol):
    """Runs jobs somewhere and tells what happens to them."""

    def run(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        """Run all jobs; a job that fails fails alone. Closing the iterator stops what is running."""
        ...


def call_target(target: str, payload: dict[str, Any], report: Report) -> None:
    """Import "module:function" and call it."""
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(payload, report)
