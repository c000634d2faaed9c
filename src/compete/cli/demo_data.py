"""compete demo-data"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    seed: Annotated[int, typer.Option(help="Another seed writes another data set.")] = 2018,
) -> None:
    """Write the embedded competition: synthetic posts with eleven emotions, and a solution file."""
    from compete.cli.opening import tell
    from compete.competition.demo_data import write_demo_data

    for path in write_demo_data(folder, seed):
        tell(str(path))
