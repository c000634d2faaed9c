"""compete scores"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import SizeOption


def command(
    private: Annotated[bool, typer.Option("--private", help="Reveal the private scores.")] = False,
    size: SizeOption = None,
) -> None:
    """Validation, public and, once revealed, private score of every submission."""
    from compete.cli.opening import console, exclusively, here, load
    from compete.reporting.tables import scores_table
    from compete.submissions.submit import ledger_of, reveal_private
    from compete.submissions.targets import make_target

    workspace = here(size)
    if private:
        with exclusively(workspace):
            competition = load(workspace)
            entries = reveal_private(competition, make_target(competition))
    else:
        entries = ledger_of(workspace).entries()
    out = console()
    if not entries:
        out.print("nothing was submitted yet: `compete submit` sends the best stack")
        return
    revealed = any(entry.outcome.private is not None for entry in entries)
    out.print(scores_table(entries, revealed))
