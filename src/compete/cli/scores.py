"""compete scores"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask Kaggle: new scores, and submissions made elsewhere.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Reveal the private scores, or ask Kaggle for them.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the whole ledger to this CSV file, and show no table; --json is printed all the same."
        ),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Read submissions from a CSV file instead of the ledger.")
    ] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validation, public and, once revealed, private score of every submission, and what they mean."""
    from compete import atomic
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import scores_record
    from compete.reporting.terminal.tables import scores_table
    from compete.submissions.ledger_csv import from_csv, to_csv
    from compete.workflows.scores import Scores, scores

    if source is not None:
        found = Scores(from_csv(source))
    else:
        found = scores(here(size), refresh=refresh, private=private, say=say)
    entries = found.entries
    if export is not None:
        atomic.write_text(export, to_csv(entries))
    if as_json:
        print_json(scores_record(entries, found.reading, export))
        return
    out = console()
    if export is not None:
        out.print(f"{export}: {len(entries)} submissions", markup=False)
        return
    if not entries:
        out.print("nothing was submitted yet: `compete submit` sends the best stack")
        return
    revealed = any(entry.outcome.private is not None for entry in entries)
    out.print(scores_table(entries, revealed))
    for sentence in found.reading:
        # In a pipe, every sentence stays on one line.
        out.print(f"- {sentence}", markup=False, soft_wrap=not out.is_terminal)
