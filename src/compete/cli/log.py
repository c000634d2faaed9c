"""compete log"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import JsonOption


def command(
    model: Annotated[str, typer.Option(metavar="NAME", help="Only runs of this base model or stack.")] = "",
    command: Annotated[str, typer.Option(metavar="COMMAND", help="Only runs of this command, as train-base.")] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="Only runs since then, as 2026-11-27 (UTC).")] = "",
    export: Annotated[
        Path | None, typer.Option(help="Write the runs to this CSV file; --json is printed all the same.")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="The ten published models that the recipes come from, as a log.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What was run here, what changed each time, and what moved the score."""
    from compete import atomic
    from compete.cli.opening import console, here, print_json, say
    from compete.errors import UserError
    from compete.reporting.log_csv import log_csv
    from compete.reporting.records import log_record
    from compete.reporting.terminal.log_tables import log_table, road_sentences
    from compete.workflows import log as verb

    if example and (model or command or since):
        raise UserError("--example shows all of its runs: leave out --model, --command and --since")
    found = verb.example() if example else verb.log(here(), model=model, command=command, since=since, say=say)
    if export is not None:
        atomic.write_text(export, log_csv(found.log.runs))
    if as_json:
        print_json(log_record(found.log, found.metric, found.steps, export))
        return
    out = console()
    if export is not None:
        out.print(f"{export}: {len(found.log.runs)} runs", markup=False)
        return
    if not found.log.runs:
        out.print("nothing was run yet" if not (model or command or since) else "no run is like that")
        return
    out.print(log_table(found.log.runs))
    for sentence in road_sentences(found.steps):
        out.print(sentence, soft_wrap=True, markup=False)
