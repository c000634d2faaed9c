"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and with what is being done."""


def unseen(fraction: float, doing: str) -> None:
    """Nobody looks."""


class Report(Protocol):
    """The same of a job or a training, which need not say what it is doing."""

    def __call__(self, fraction: float, doing: str = "") -> None: ...


def unheard(fraction: float, doing: str = "") -> None:
    """Nobody listens."""
