"""compete ship"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    pack: Annotated[
        str | None, typer.Argument(help="A pack of `compete pack`, by its name; default: the only one there is.")
    ] = None,
    notebook: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The notebook's name on Kaggle; default: competition and pack."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="What the notebook runs on: t4 or none.")] = "t4",
    run_within: Annotated[
        str, typer.Option(metavar="TIME", help="How long its run is waited for, as 13h or 90m.")
    ] = "13h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every step and its size; send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Submit what was submitted before.")] = False,
    late: Annotated[bool, typer.Option("--late", help="Send after the deadline.")] = False,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a pack, push and run its notebook, and submit it; goes on where an earlier run was cut off."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import shipped_record
    from compete.reporting.terminal.tables import scores_table, shipment_table
    from compete.workflows.ship import ship

    found = ship(
        here(size),
        pack,
        notebook=notebook,
        accelerator=accelerator,
        run_within=run_within,
        dry_run=dry_run,
        yes=yes,
        again=again,
        late=late,
        say=say,
        ask=_ask,
    )
    if found.notice:
        say(found.notice)
    if as_json:
        print_json(shipped_record(found.record(), found.entry))
        return
    out = console()
    out.print(shipment_table(found.rows))
    if found.entry is not None:
        out.print(scores_table([found.entry], private=False))


def _ask(question: str) -> bool:
    from compete.workflows.ship import nobody_to_ask

    return typer.confirm(question) if sys.stdin.isatty() else nobody_to_ask(question)
