"""compete predict"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import SizeOption


def command(
    file: Annotated[Path, typer.Argument(help="Table with the columns of the test file: id and text.")],
    what: Annotated[
        str | None, typer.Argument(help="A stack or a base model; default: the stack that was chosen.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV to write.")] = Path("predictions.csv"),
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Write decisions instead of probabilities: 0 and 1, classes, or grades.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to use; default: all cores.")] = None,
    size: SizeOption = None,
) -> None:
    """Score new texts with the models that training kept."""
    from compete import atomic
    from compete.cli.opening import console, here, say
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
