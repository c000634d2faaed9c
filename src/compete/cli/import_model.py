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
    force: Annotated[bool, typer.Option("--force", help="Replace an imported model of this name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a base model of probabilities that were computed elsewhere, after checking them."""
    from compete.cli.opening import exclusively, here, load, say
    from compete.cli.status import show_status
    from compete.oof.imported import ForeignFile, import_model
    from compete.oof.train import current_plan

    workspace = here()
    with exclusively(workspace):
        competition = load(workspace)
        plan = current_plan(competition)
        warnings = import_model(competition, plan, name, ForeignFile(oof, oof_ids), ForeignFile(test, test_ids), force)
        for warning in warnings:
            say(f"warning: {warning}")
        say(
            "Whether these rows were predicted by models that never saw them cannot be checked from outside. "
            f"Whoever trained them should have used {workspace.shown(workspace.oof / 'folds.parquet')}."
        )
        show_status(workspace, [name], as_json=as_json)
