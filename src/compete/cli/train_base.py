"""compete train-base"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Recipes in base_models/.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every recipe (or those of [training] models).")] = False,
    fold: Annotated[list[int] | None, typer.Option(help="Only this fold; may be given several times.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train again what is there already.")] = False,
    replace_stale: Annotated[
        bool, typer.Option("--replace-stale", help="Train again what an edit of the competition made stale.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Jobs at once; default: one per GPU, else per core. 0: in this process."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads per job; default: cores / workers.")] = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="With the settings under [published], as NAME_as_published.")
    ] = False,
    no_parity: Annotated[
        bool, typer.Option("--no-parity", help="Do not check that what was trained gives the same when read again.")
    ] = False,
    stop_after: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="As 11h or 90m: start no fold that would not end by then, by what folds took; stop what still runs.",
        ),
    ] = None,
    on: Annotated[
        str | None, typer.Option("--on", help="local, or ray: a cluster; default: as [execution] says.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="With ray: HOST:PORT of the cluster's head.")] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train base models under the shared fold plan: out-of-fold and test probabilities.

    Goes on where an earlier run stopped: only folds that are missing or stale are trained.
    """
    from compete.cli.opening import console, here, say
    from compete.cli.status import show
    from compete.errors import UserError
    from compete.reporting.terminal.training_display import shown_on
    from compete.workflows.train import train_base

    if bool(names) == all_:
        raise UserError("name the recipes to train, or say --all (not both): `compete status` lists them")

    trained = train_base(
        here(size),
        names or [],
        folds=fold or [],
        force=force,
        replace_stale=replace_stale,
        workers=workers,
        threads=threads,
        as_published=as_published,
        parity=not no_parity,
        stop_after=stop_after,
        on=on,
        address=address,
        say=say,
        watch=shown_on(console()),
    )
    show(trained.status, warnings=True, as_json=as_json)
    if trained.failed is not None:
        raise trained.failed
