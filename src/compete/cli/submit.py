"""compete submit"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.competition.data import Competition
    from compete.submissions.ledger import Entry
    from compete.submissions.sending import Prepared


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
    import contextlib

    from compete.cli.opening import console, exclusively, here, load, print_json, say
    from compete.errors import KaggleError
    from compete.oof.train import current_plan
    from compete.reporting.records import submit_record
    from compete.reporting.terminal.tables import scores_table
    from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard, refresh, wait_for_score
    from compete.submissions.sending import Permissions, ledger_of, prepare, submit
    from compete.submissions.sources import choose_source_or_file
    from compete.submissions.targets import make_target

    workspace, out = here(size), console()
    with contextlib.ExitStack() as stack:
        with exclusively(workspace):
            competition = load(workspace)
            plan = current_plan(competition)
            target = make_target(competition, kernel=kernel, kernel_version=kernel_version, late=late)
            if isinstance(target, KaggleLeaderboard):
                stack.enter_context(target.client)
            source, notebook = choose_source_or_file(competition, plan, what), ""
            if isinstance(target, KaggleLeaderboard) and target.kernel:
                notebook = f"{target.kernel} version {target.kernel_version}"
            prepared = prepare(competition, plan, source, target.name, notebook)
            if prepared.notice:
                say(prepared.notice)
            asks = isinstance(target, KaggleLeaderboard) and not yes

            def confirm(prepared: Prepared, left: int) -> bool:
                say(_summary(competition, prepared, left))
                return not asks or _ask(target.name)

            entry = submit(
                competition, prepared, target, allowed=Permissions(again, allow_constant), confirm=confirm, say=say
            )
        rows = len(competition.submission_ids)
        if entry is None:
            say("nothing was sent")
            if as_json:
                print_json(submit_record(target.name, rows, entry))
            return
        out.print(f"submissions/{entry.submission.file}: {rows} rows, sent to {target.name}")
        if wait and isinstance(target, KaggleLeaderboard):
            kaggle = target

            def look() -> list[Entry]:
                with exclusively(workspace):
                    return refresh(ledger_of(workspace), kaggle, competition.declaration.metric)

            with contextlib.suppress(KeyboardInterrupt), out.status("waiting for Kaggle's score (Ctrl-C: no longer)"):
                entry = wait_for_score(entry, look, seconds=3600)
    if entry.outcome.status == "sent":
        how = "`compete scores --refresh` asks Kaggle" if isinstance(target, KaggleLeaderboard) else ""
        say(f"not scored yet: {how}" if how else "recorded without a score: [submission] names no solution file")
    if as_json:
        print_json(submit_record(target.name, rows, entry))
    else:
        out.print(scores_table([entry], private=False))
    if entry.outcome.status == "failed":
        raise KaggleError(f"Kaggle could not score {entry.submission.file}: {entry.outcome.note or 'no reason given'}")


def _summary(competition: Competition, prepared: Prepared, left: int) -> str:
    sent, rows = prepared.submission, len(competition.submission_ids)
    text = f"submissions/{sent.file}: checked, {rows} rows, {sent.source}"
    if sent.validation is not None:
        text += (
            f"\nhonest {competition.metric.title} {sent.validation:.4f} ({sent.low:.4f} to {sent.high:.4f}); a public "
            f"score from {sent.public_low:.4f} to {sent.public_high:.4f} would be no surprise"
        )
    return f"{text}\nsubmissions left today, this one among them: {left}"


def _ask(target: str) -> bool:
    from compete.errors import UserError

    if not sys.stdin.isatty():
        raise UserError("a submission to Kaggle counts: say --yes where nobody can be asked")
    return typer.confirm(f"Send it to {target}?")
