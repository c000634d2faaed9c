"""compete finalists"""

from __future__ import annotations

from compete.cli.options import JsonOption, SizeOption


def command(size: SizeOption = None, as_json: JsonOption = False) -> None:
    """Which two submissions to select for the private leaderboard."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import finalists_record
    from compete.reporting.terminal.tables import finalists_table
    from compete.workflows.finalists import finalists

    selection = finalists(here(size), say=say)
    if as_json:
        target = selection.target
        print_json(finalists_record(selection.found, selection.metric, target.name, target.page))
        return
    out = console()
    out.print(finalists_table(selection.found))
    for sentence in selection.reading:
        out.print(sentence, soft_wrap=True, markup=False)
