"""compete predict"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    file: Annotated[
        Path | None, typer.Argument(help="Table with the columns of the test file: id and text; of a pack, --test.")
    ] = None,
    what: Annotated[
        str | None, typer.Argument(help="A stack or a base model; default: the stack that was chosen.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV to write.")] = Path("predictions.csv"),
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Write decisions instead of probabilities: 0 and 1, classes, or grades.")
    ] = False,
    pack: Annotated[
        Path | None,
        typer.Option(help="Folder of a pack (`compete pack`), to predict as its notebook does, without a workspace."),
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="With --pack: the test file; several are read as one.")
    ] = None,
    sample: Annotated[
        Path | None, typer.Option(help="With --pack: the sample submission of these rows; default: its form alone.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help='With --pack: time it may take, as "90m"; default: its own.')
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to use; default: all cores.")] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score new texts with the models that training kept."""
    from compete import atomic
    from compete.cli.opening import console, here, print_json, say
    from compete.errors import UserError

    if pack is not None:
        from compete.reporting.packs import pack_prediction_record
        from compete.workflows.pack import predict_with_pack

        files = [*([file] if file else []), *(test or [])]
        if not files:
            raise UserError("--pack predicts a file: name it with --test FILE")
        if what is not None or decisions:
            raise UserError("a pack has one stack and the form of its submission: leave out WHAT and --decisions")
        made = predict_with_pack(pack, files, output, sample=sample, budget=budget, threads=threads, say=say)
        if as_json:
            print_json(pack_prediction_record(made))
        return
    given = {"--test": test, "--sample": sample, "--budget": budget, "--json": as_json or None}
    alone = next((name for name, value in given.items() if value is not None), None)
    if alone is not None:
        raise UserError(f"{alone} is for --pack FOLDER")
    if file is None:
        raise UserError("name the file to predict: `compete predict new.csv`")
    from compete.workflows.predict import predict

    workspace = here(size)
    with console().status("reading the texts") as status:
        found = predict(
            workspace,
            file,
            what,
            decisions=decisions,
            threads=threads,
            say=say,
            progress=lambda fraction, doing: status.update(doing),
        )
    atomic.write_bytes(output, found.csv())
    say(f"{output}: {len(found.form.ids)} rows, {found.what} of {found.source.title}")
