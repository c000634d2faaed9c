"""Jobs as execution sees them: a name, a function to call, and plain data to call it with."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compete.progress import Report


@dataclass(frozen=True)
class Resources:
    """What a job takes of a machine."""

    gpus: int = 0
    cpus: int = 1
    memory: int = 0
    """Bytes; 0 for so little that nobody counts it."""


@dataclass(frozen=True)
class Job:
    """One piece of work that depends on no other."""

    name: str
    target: str
    """ "module:function", called as function(payload, report); report takes the fraction done, 0 to 1, and what it is
    doing."""
    payload: dict[str, Any]
    """JSON, so that a job can be handed to another process or machine."""
    log: Path
    """File that receives whatever a job in a process of its own prints, and the traceback of any job that fails."""
    imports: tuple[str, ...] = ()
    """Modules that the job is going to need, which a process may import before it is the job's."""
    needs: Resources = Resources()
    """For whoever looks for a machine; one that has no GPU trains on its processor."""
    all_gpus: bool = False
    """It computes on all GPUs of the machine, not on the one that is its turn."""
    afterwards: Job | None = None
    """What is done when it has succeeded, in a process of its own; its failure is this job's, and so is its log."""


@dataclass(frozen=True)
class Started:
    job: Job


@dataclass(frozen=True)
class Progressed:
    job: Job
    fraction: float
    doing: str = ""
    """In a few words, such as how well and how fast it goes; empty where the job says nothing."""


@dataclass(frozen=True)
class Finished:
    job: Job
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A job that ended without success."""

    job: Job
    error: str
    """Class name of the exception, or name of the signal that ended the process."""
    message: str


@dataclass(frozen=True)
class Left:
    """A job for which the time was too short: it was not started, or stopped."""

    job: Job


Event = Started | Progressed | Finished | Failed | Left


def call_target(target: str, payload: dict[str, Any], report: Report) -> None:
    """Import "module:function" and call it."""
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(payload, report)
