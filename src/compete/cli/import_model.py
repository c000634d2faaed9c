"""compete import"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import JsonOption


def command(
    name: Annotated[str, typer.Argument(help="Name the model gets in oof/.")],
    oof: Annotated[Path, typer.Option(help="Out-of-fold probabilities of the training rows: CSV, parquet or npy.")],
    test: Annotated[Path, typer.Option(help="Probabilities of the test rows: CSV, parquet or npy.")],
    oof_ids: Annotated[Path | None, typer.Option(help="For npy: file with the ids of the rows of --oof.")] = None,
    test_ids: Annotated[Path | None, typer.Option(help="For npy: file with the ids of the rows of --test.")] = None,
    seen: Annotated[
        Path | None,
        typer.Option(help="JSON: of every fold, what its model has seen: folds' labels, test texts."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an imported model of this name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a base model of probabilities that were computed elsewhere, after checking them."""
    from compete.cli.opening import here, say
    from compete.cli.status import show
    from compete.workflows.import_model import import_model

    found = import_model(here(), name, oof, test, oof_ids=oof_ids, test_ids=test_ids, seen=seen, force=force, say=say)
    show(found, as_json=as_json)
