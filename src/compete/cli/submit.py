"""compete submit"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import SizeOption


def command(
    what: Annotated[
        str | None, typer.Argument(help="A stack or a base model; default: the stack that was chosen.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Send content that was sent before.")] = False,
    size: SizeOption = None,
) -> None:
    """Check and write the CSV, send it, keep the ledger. Shows the public score only."""
    from compete.cli.opening import console, exclusively, here, load, say
    from compete.oof.train import current_plan
    from compete.reporting.tables import scores_table
    from compete.submissions.submit import choose_source, prepare, submit
    from compete.submissions.targets import make_target

    workspace = here(size)
    with exclusively(workspace):
        competition = load(workspace)
        plan = current_plan(competition)
        target = make_target(competition)
        prepared = prepare(competition, plan, choose_source(competition, plan, what), target.name)
        for warning in prepared.warnings:
            say(f"warning: {warning}")
        entry = submit(competition, prepared, target, again=again)
    out = console()
    out.print(f"submissions/{entry.submission.file}: checked, {len(competition.test_ids)} rows", soft_wrap=True)
    if entry.outcome.public is None:
        out.print("recorded without a score: [submission] names no solution file", markup=False)
    out.print(scores_table([entry], private=False))
