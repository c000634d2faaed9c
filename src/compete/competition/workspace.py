"""A workspace: the folder with a competition.toml, and where everything in it lies.

The one place that knows folder names; the files inside oof/ and submissions/ are named by their rooms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compete.errors import UserError

DECLARATION = "competition.toml"


@dataclass(frozen=True)
class Workspace:
    """Paths of a workspace; nothing is read or created by making one.

    size: stands in for competition.toml's for as long as one command runs.
    """

    root: Path
    size: str | None = None

    @property
    def declaration(self) -> Path:
        return self.root / DECLARATION

    @property
    def recipes(self) -> Path:
        """Recipes of base models, written by the user."""
        return self.root / "base_models"

    @property
    def stack_recipes(self) -> Path:
        """Recipes of stacks, written by the user."""
        return self.root / "stacking"

    @property
    def oof(self) -> Path:
        """Fold plan, base models' and stacks' probabilities, written by compete."""
        return self.root / "oof"

    @property
    def submissions(self) -> Path:
        """CSV files and the ledger, written by compete."""
        return self.root / "submissions"

    def shown(self, path: Path) -> str:
        """A path as messages show it: relative to the workspace where it lies inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def find_workspace(start: Path, size: str | None = None) -> Workspace:
    """The workspace that `start` lies in; raises UserError outside of one."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / DECLARATION).is_file():
            return Workspace(folder, size)
    raise UserError(
        f"no {DECLARATION} in {start} or above it: this is not a workspace. "
        "Make one with `compete init DIR`, or change into one."
    )
