"""compete compare"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Base models, stacks, or submissions (their number or file); two or more."),
    ],
    rows: Annotated[
        int, typer.Option(min=0, help="Rows to show on which each of two is right and the other wrong.")
    ] = 3,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which of several models, stacks or submissions is better, how surely, and where they differ."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import compare_record
    from compete.reporting.terminal.compare_tables import outputs_table, pairs_table, rows_table
    from compete.workflows.compare import compare

    found = compare(here(size), names, rows=rows, say=say)
    if as_json:
        print_json(compare_record(found.found))
        return
    out = console()
    out.print(pairs_table(found.found))
    for sentence in found.reading:
        out.print(sentence, soft_wrap=True, markup=False)
    out.print("")
    out.print(outputs_table(found.found))
    if found.found.pairs[0].rows:
        out.print("")
        out.print(rows_table(found.found.pairs[0]))
