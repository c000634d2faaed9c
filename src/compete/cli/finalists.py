"""compete finalists"""

from __future__ import annotations

from compete.cli.options import JsonOption, SizeOption


def command(size: SizeOption = None, as_json: JsonOption = False) -> None:
    """Which two submissions to select for the private leaderboard."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import finalists_record
    from compete.reporting.terminal.tables import finalists_table
    from compete.submissions.kaggle.messages import tag_of
    from compete.workflows.finalists import finalists

    selection = finalists(here(size), say=say)
    found, page = selection.found, selection.target.page
    if as_json:
        print_json(finalists_record(found, selection.metric, selection.target.name, page))
        return
    out = console()
    out.print(finalists_table(found))
    first, second = found.first.entry, found.second.entry
    text = (
        f"select number {first.number} ({first.submission.source}), the best, and number {second.number} "
        f"({second.submission.source}), the best hedge beside it; expected regret {found.regret:.4f}"
    )
    if found.public_regret is not None:
        text += f", of the two best public scores {found.public_regret:.4f}"
    out.print(text, soft_wrap=True, markup=False)
    if page is not None:
        tags = " and ".join(tag_of(each.submission.message) for each in (first, second))
        out.print(
            f"Kaggle's API cannot select: on {page} tick those whose messages begin with {tags}, before the deadline",
            soft_wrap=True,
            markup=False,
        )
