"""When jobs of known hours are done, side by side on several GPUs, and in how many sessions of limited length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """The folds of one model; hours."""

    fold: float
    folds: int
    once: float = 0.0
    """Before the first fold, for all of them."""
    takes_all: bool = False
    """Every fold lies on all GPUs."""

    @property
    def longest(self) -> float:
        return max(self.once, self.fold)


@dataclass(frozen=True)
class Schedule:
    """What came of laying jobs side by side."""

    hours: float
    """Until all is done, if nothing ends a session."""
    sessions: int | None = None
    """None: none was asked for, or a fold is longer than one."""


def schedule(works: Sequence[Work], gpus: int, session: float | None) -> Schedule:
    """One job per GPU at a time, in their order. session: hours; no fold is cut by its end."""
    hours = _laid(works, gpus, float("inf"))[1]
    if session is None or any(work.longest > session for work in works):
        return Schedule(hours)
    return Schedule(hours, _laid(works, gpus, session)[0])


def _laid(works: Sequence[Work], gpus: int, session: float) -> tuple[int, float]:
    """Sessions, and the hours of the last of them."""
    sessions, busy = 1, [0.0] * gpus
    for hours, takes_all in _jobs(works):
        start = max(busy) if takes_all else min(busy)
        if start + hours > session:
            sessions, busy, start = sessions + 1, [0.0] * gpus, 0.0
        if takes_all:
            busy = [start + hours] * gpus
        else:
            busy[busy.index(min(busy))] = start + hours
    return sessions, max(busy)


def _jobs(works: Sequence[Work]) -> Iterable[tuple[float, bool]]:
    for work in works:
        if work.once:
            yield work.once, True  # every fold waits for it
        yield from [(work.fold, work.takes_all)] * work.folds
