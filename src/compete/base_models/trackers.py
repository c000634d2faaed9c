"""What trackers are told of a training, and whether they are installed; imports none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from compete.errors import UserError


@dataclass(frozen=True)
class Tracked:
    """A training that trackers are told of while it runs: one run per model and fold."""

    to: tuple[str, ...]
    """Trackers, by the names of their packages."""
    folder: Path
    """For what they write on this machine."""
    competition: str
    model: str
    fold: int

    @property
    def run(self) -> str:
        return f"{self.model} fold {self.fold}"


def refuse_missing(trackers: Sequence[str]) -> None:
    """Raise UserError for trackers that are not installed."""
    missing = [name for name in trackers if not _is_installed(name)]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise UserError(
            f"competition.toml: tracking.to: {', '.join(missing)} {are} not installed here. "
            f"`pip install 'compete[{','.join(missing)}]'`, or take {'it' if are == 'is' else 'them'} out of the list"
        )


def _is_installed(name: str) -> bool:
    found = find_spec(name)
    # A folder of that name without a package in it, as trackers themselves make for their logs, has no origin.
    return found is not None and found.origin is not None
