"""compete rehearse"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Base models; default: those of --all.")
    ] = None,
    stack: Annotated[list[str] | None, typer.Option(help="Only this stack recipe; may be given several times.")] = None,
    share: Annotated[float, typer.Option(min=0.02, max=0.5, help="Share of the training rows to hold out.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Which rows those are.")] = 0,
    workers: Annotated[int | None, typer.Option(min=0, help="Jobs at once; 0: in this process.")] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play the competition on part of the training rows, and hold every promise against the truth."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import rehearsal_record
    from compete.reporting.terminal.tables import scores_table
    from compete.workflows.rehearse import rehearse

    workspace = here(size)
    found = rehearse(workspace, models or [], stacks=stack or [], share=share, seed=seed, workers=workers, say=say)
    for reason in found.not_sent:
        say(f"not submitted: {reason}")
    folder = workspace.shown(found.workspace.root)
    if as_json:
        record = rehearsal_record(
            folder,
            found.metric,
            found.entries,
            found.finalists,
            not_sent=found.not_sent,
            summary=found.summary,
            reading=found.reading,
        )
        print_json(record)
        return
    out = console()
    out.print(scores_table(found.entries, private=True))
    for sentence in [*found.summary, *found.reading]:
        out.print(f"- {sentence}", markup=False, soft_wrap=not out.is_terminal)
    out.print(f"the rehearsal lies in {folder}", markup=False, soft_wrap=True)
