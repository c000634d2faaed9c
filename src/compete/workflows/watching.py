"""Whoever looks on while jobs are done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from compete.execution.jobs import Event
from compete.oof.work import Work

Watch = Callable[[Work, int], AbstractContextManager[Callable[[Event], None]]]
"""Given the work and how many jobs run at once, shows the events that it is then called with."""


@contextlib.contextmanager
def unwatched(work: Work, at_once: int) -> Iterator[Callable[[Event], None]]:
    """Shows nothing."""
    yield lambda event: None
