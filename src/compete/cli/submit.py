"""compete submit"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.workflows.submit import Submitted


def command(
    what: Annotated[
        str | None,
        typer.Argument(help="A stack, a base model or a CSV file; default: the stack that was chosen."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send to Kaggle without asking.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until Kaggle has scored it (an hour at most).")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send content that was sent before, or nearly.")] = False,
    allow_constant: Annotated[
        bool, typer.Option("--allow-constant", help="Send a file in which a label has one value in all rows.")
    ] = False,
    late: Annotated[bool, typer.Option("--late", help="Send after the deadline.")] = False,
    kernel: Annotated[
        str | None, typer.Option(metavar="OWNER/NOTEBOOK", help="Submit a notebook's output in the file's place.")
    ] = None,
    kernel_version: Annotated[int | None, typer.Option(min=1, help="Version of that notebook.")] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check and write the CSV, send it, keep the ledger. Shows the public score only."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import submit_record
    from compete.reporting.terminal.tables import scores_table
    from compete.workflows.submit import submit

    out = console()

    def sent(found: Submitted) -> None:
        assert found.entry is not None
        out.print(f"submissions/{found.entry.submission.file}: {found.rows} rows, sent to {found.target.name}")

    found = submit(
        here(size),
        what,
        yes=yes,
        wait=wait,
        again=again,
        allow_constant=allow_constant,
        late=late,
        kernel=kernel,
        kernel_version=kernel_version,
        say=say,
        ask=_ask,
        sent=sent,
        waiting=lambda: out.status("waiting for Kaggle's score (Ctrl-C: no longer)"),
    )
    if found.notice:
        say(found.notice)
    if as_json:
        print_json(submit_record(found.target.name, found.rows, found.entry))
    elif found.entry is not None:
        out.print(scores_table([found.entry], private=False))
    if found.failed is not None:
        raise found.failed


def _ask(target: str) -> bool:
    from compete.workflows.submit import nobody_to_ask

    return typer.confirm(f"Send it to {target}?") if sys.stdin.isatty() else nobody_to_ask(target)
