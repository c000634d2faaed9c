"""compete init"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new workspace.")],
    train: Annotated[Path | None, typer.Option(help="Training file, to read column names from.")] = None,
    test: Annotated[Path | None, typer.Option(help="Test file.")] = None,
    sample: Annotated[Path | None, typer.Option(help="Sample submission.")] = None,
    kaggle: Annotated[str | None, typer.Option(metavar="SLUG", help="Competition on Kaggle to submit to.")] = None,
) -> None:
    """Make a workspace: competition.toml and the recipes, with what your files tell filled in."""
    from compete.cli.opening import tell
    from compete.competition.starter import make_workspace, missing_columns, said

    workspace, found = make_workspace(folder, train, test, sample, kaggle)
    tell(f"{workspace.declaration}")
    for line in said(found):
        tell(line)
    missing = missing_columns(found)
    if missing:
        tell(f"still to fill in, under [data]: {', '.join(missing)}")
    there = "" if workspace.root == Path.cwd() else f"cd {folder}, "
    if kaggle and not train:
        tell(f"next: {there}then `compete download`" if there else "next: `compete download`")
        return
    tell(f"next: {there}look at competition.toml, then `compete train-base --all`")
