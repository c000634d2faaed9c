"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and with what is being done."""


def unseen(fraction: float, doing: str) -> None:
    """Nobody looks."""
