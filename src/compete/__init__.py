"""compete: one workspace for a Kaggle text competition.

`compete.init` makes a workspace and `compete.open` opens one: what it holds as tables, arrays and figures, and every
command as a method.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `compete --help` has no time for pandas
    from compete.opened import Opened

__version__ = "0.1.0"


def open(path: Path | str = ".", *, size: str | None = None, quiet: bool = False) -> Opened:
    """The workspace in this folder, or in the nearest one above it; raises UserError if there is none.

    size: full, laptop or miniature, in place of competition.toml's. quiet: say nothing beside the results; otherwise
    notices and the progress of trainings go to standard error.
    """
    from compete.opened import open_workspace

    return open_workspace(path, size=size, quiet=quiet)


def init(
    folder: Path | str,
    *,
    train: Path | str | None = None,
    test: Path | str | None = None,
    sample: Path | str | None = None,
    kaggle: str | None = None,
    quiet: bool = False,
) -> Opened:
    """`compete init`: a workspace in `folder`, with what the files tell filled in; its competition.toml is to be read.

    train, test, sample: files of the competition; kaggle: its name there, to submit to.
    """
    from compete.competition.starter import make_workspace

    files = [None if file is None else Path(file).expanduser() for file in (train, test, sample)]
    workspace, _ = make_workspace(Path(folder).expanduser(), files[0], files[1], files[2], kaggle)
    return open(workspace.root, quiet=quiet)


def demo_data(folder: Path | str, seed: int = 2018) -> list[Path]:
    """`compete demo-data`: write the embedded competition, synthetic posts with eleven emotions; the files."""
    from compete.competition.demo_data import write_demo_data

    return list(write_demo_data(Path(folder).expanduser(), seed))
