"""compete plan"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.workflows.plan import Requirements


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Recipes; default: all of them.")] = None,
    size: SizeOption = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Train a few steps of each model for real, and estimate the hours.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Jobs at once on the processor; default: one per core. 0: in this process."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help='Plan for this in place of what is here: "T4", "2x T4", "A100-80", "cpu".'),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", help='How long the machine may be had at a time, "12h" or "90m": how many times.'),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What the models need, before anything is downloaded: memory, disk, licence, and whether they fit here."""
    from compete.cli.opening import here, print_json, say
    from compete.reporting.records import plan_record
    from compete.workflows.plan import plan

    found = plan(here(size), names or [], probe=probe, workers=workers, device=device, session=session, say=say)
    if as_json:
        print_json(plan_record(found.plans, found.machine, found.probed, found.downloads, found.together))
    else:
        _show(found)


def _show(found: Requirements) -> None:
    from compete.cli.opening import console
    from compete.reporting.terminal.plan_table import (
        download_line,
        hours_lines,
        machine_lines,
        model_lines,
        plan_table,
        probe_line,
    )

    out, plans, machine, probed = console(), found.plans, found.machine, found.probed
    for line in machine_lines(machine):
        out.print(line, markup=False)
    out.print()
    if any(plan.verdicts for plan in plans):
        out.print(plan_table(plans, probed, machine.session))
        out.print()
    for plan in plans:
        note = probe_line(probed[plan.name], machine.folds) if plan.name in probed else ""
        for line in model_lines(plan, note):
            out.print(line, markup=False, soft_wrap=True)
    for line in hours_lines(plans, machine, probed, found.together, found.left_out):
        out.print(f"\n{line}", markup=False, soft_wrap=True)
    if found.downloads.size:
        out.print(f"\n{download_line(found.downloads, machine)}", markup=False, soft_wrap=True)
