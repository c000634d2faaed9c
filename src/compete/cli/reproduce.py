"""compete reproduce"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Recipes in base_models/; default: every published one whose checkpoint is here."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="As of train-base; 0: in this process.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of a training; default: all cores.")] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train published models again as they were, each under its own split: published, reproduced, honest score."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import reproduce_record
    from compete.reporting.terminal.reproduction_table import reproduction_table
    from compete.reporting.terminal.training_display import shown_on
    from compete.workflows.reproduce import reproduce

    found = reproduce(here(size), names or [], workers=workers, threads=threads, say=say, watch=shown_on(console()))
    if as_json:
        print_json(reproduce_record(found.table))
    else:
        console().print(reproduction_table(found.table))
    if found.failed is not None:
        raise found.failed
