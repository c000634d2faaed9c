"""compete: one workspace for a Kaggle text competition.

In a notebook, `compete.open("my-competition")` gives what a workspace holds as tables, arrays and figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `compete --help` has no time for pandas
    from compete.opened import Opened

__version__ = "0.1.0"


def open(path: Path | str = ".", *, size: str | None = None) -> Opened:
    """The workspace in this folder, or in the nearest one above it; raises UserError if there is none.

    size: full, laptop or miniature, in place of competition.toml's.
    """
    from compete.opened import open_workspace

    return open_workspace(path, size=size)
