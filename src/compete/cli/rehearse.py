"""compete rehearse"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption
from compete.competition.workspace import Workspace


def command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Base models; default: those of --all.")
    ] = None,
    stack: Annotated[list[str] | None, typer.Option(help="Only this stack recipe; may be given several times.")] = None,
    share: Annotated[float, typer.Option(min=0.02, max=0.5, help="Share of the training rows to hold out.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Which rows those are.")] = 0,
    notebook: Annotated[
        bool, typer.Option("--notebook", help="Run a pack's notebook as Kaggle would, on visible and on unseen rows.")
    ] = False,
    pack: Annotated[str | None, typer.Option(help="With --notebook: which pack; default: the last.")] = None,
    rows: Annotated[
        int | None, typer.Option(min=2, help="With --notebook: rows of the unseen test set; default: three times ours.")
    ] = None,
    memory: Annotated[
        float, typer.Option(min=0.1, help="With --notebook: GiB that it may take, as a session on Kaggle has.")
    ] = 31.0,
    budget: Annotated[
        str | None, typer.Option(help="With --notebook: time in place of the notebook's own, as 90m.")
    ] = None,
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
    if notebook:
        _notebook(workspace, pack, rows, memory, budget, as_json=as_json)
        return
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


def _notebook(
    workspace: Workspace, pack: str | None, rows: int | None, memory: float, budget: str | None, *, as_json: bool
) -> None:
    from compete.cli.opening import console, print_json, say
    from compete.reporting.packs import rehearsed_record
    from compete.reporting.terminal.pack_tables import rehearsed_table
    from compete.workflows.pack import rehearse_notebook

    played = rehearse_notebook(workspace, pack, rows=rows, memory_gib=memory, budget=budget, say=say)
    if as_json:
        print_json(rehearsed_record(played.name, played.played, played.walls, played.memory))
    else:
        console().print(rehearsed_table(played.played))
        say(f"no network: {played.walls}; memory: {played.memory}")
    for run in played.played:
        for line in run.said:
            say(f"{run.what}: {line}")
    if played.failed is not None:
        raise played.failed
