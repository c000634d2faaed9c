"""compete pack"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    what: Annotated[
        str | None, typer.Argument(help="A stack or a base model; with --check a pack; default: what was chosen last.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the pack; default: that of the stack or base model.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Predict the visible test rows from a pack without a network, and compare.")
    ] = False,
    budget: Annotated[str, typer.Option(help='Time that the notebook may take, as "8h" or "90m".')] = "8h",
    full_precision: Annotated[
        bool, typer.Option("--full-precision", help="Keep weights as they were trained, none as float16.")
    ] = False,
    wheel: Annotated[Path | None, typer.Option(help="Wheel of compete; default: made of the installed one.")] = None,
    wheels: Annotated[Path | None, typer.Option(help="Folder with more wheels to take along.")] = None,
    python: Annotated[
        str | None, typer.Option(help="Python of Kaggle's image, for the `pip download` that is shown; default: ours.")
    ] = None,
    kaggle_model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ADDRESS",
            help="Checkpoint that Kaggle has: NAME=OWNER/MODEL/FRAMEWORK/VARIATION/VERSION; several times.",
        ),
    ] = None,
    kaggle_dataset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ADDRESS", help="The same of a dataset: NAME=OWNER/SLUG/VERSION; several times."),
    ] = None,
    accept_licence: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Take this checkpoint along whatever its licence says; several times."),
    ] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put everything that prediction needs into a folder, with a notebook that predicts without a network."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.packs import pack_check_record, pack_record
    from compete.reporting.terminal.pack_tables import pack_table, steps_table
    from compete.workflows.pack import check_pack, pack

    workspace, out = here(size), console()
    if check:
        checked = check_pack(workspace, what or name, say=say)
        if as_json:
            print_json(pack_check_record(**vars(checked)))
        else:
            out.print(
                f"{checked.name}: {checked.rows} rows in a fresh process ({checked.walls}): largest difference "
                f"{checked.largest:.2g} of {checked.tolerated:g} tolerated, {checked.other_cells} cells of the "
                "submission differ",
                markup=False, soft_wrap=True,
            )  # fmt: skip
        if checked.problem:
            say(f"error: the pack is not what the workspace is: {checked.problem}")
            raise typer.Exit(1)
        return
    with out.status("packing") as status:
        found = pack(
            workspace,
            what,
            name=name,
            budget=budget,
            full_precision=full_precision,
            wheel=wheel,
            wheels=wheels,
            python=python,
            kaggle_models=kaggle_model or [],
            kaggle_datasets=kaggle_dataset or [],
            accept_licences=accept_licence or [],
            say=say,
            progress=lambda fraction, doing: status.update(doing),
            ask=_ask,
        )
    folder = workspace.shown(found.folder)
    if as_json:
        print_json(pack_record(folder, found.manifest, found.packed.seconds, found.packed.download))
        return
    out.print(pack_table(found.manifest))
    out.print(steps_table(found.manifest))
    lines = [
        f"ordered {found.manifest.ordered_by}",
        f"{folder}: {found.manifest.bytes['total'] / 1e6:,.1f} MB in {found.packed.seconds:.0f} s",
        f"`compete pack --check {found.manifest.name}` compares it with the workspace",
    ]
    if found.packed.download:
        lines.append(f"what Kaggle's image may lack, where there is a network: {found.packed.download}")
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _ask(checkpoint: str, licence: str | None) -> bool:
    from compete.printable import printable
    from compete.workflows.pack import nobody_to_ask

    if not sys.stdin.isatty():
        return nobody_to_ask(checkpoint, licence)
    says = f"has the licence {licence}" if licence else "does not say what its licence is"
    return typer.confirm(printable(f"{checkpoint} {says}. Take it along, and hand it on to Kaggle?"))
