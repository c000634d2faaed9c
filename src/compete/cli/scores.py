"""compete scores"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.competition.workspace import Workspace
    from compete.submissions.ledger import Entry


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
    from compete.cli.opening import console, here, print_json
    from compete.reporting.records import scores_record
    from compete.reporting.terminal.tables import scores_table
    from compete.submissions.leaderboard.interpretation import read_scores
    from compete.submissions.ledger_csv import from_csv, to_csv
    from compete.submissions.sending import ledger_of

    if source is not None:
        entries = from_csv(source)
    elif refresh or private:
        entries = _ask(here(size), private)
    else:
        entries = ledger_of(here(size)).entries()
    if export is not None:
        atomic.write_text(export, to_csv(entries))
    if as_json:
        print_json(scores_record(entries, read_scores(entries), export))
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
    for sentence in read_scores(entries):
        out.print(f"- {sentence}", markup=False, soft_wrap=not out.is_terminal)


def _ask(workspace: Workspace, private: bool) -> list[Entry]:
    from compete.cli.opening import exclusively, load
    from compete.errors import UserError
    from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard, refresh
    from compete.submissions.sending import ledger_of, reveal_private
    from compete.submissions.targets import make_target

    with exclusively(workspace):
        competition = load(workspace)
        target = make_target(competition)
        if isinstance(target, KaggleLeaderboard):
            with target.client:
                return refresh(ledger_of(workspace), target, competition.declaration.metric)
        if private:
            return reveal_private(competition, target)
    raise UserError('--refresh asks Kaggle, and [submission] target is "local": there is nothing to ask')
