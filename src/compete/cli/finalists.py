"""compete finalists"""

from __future__ import annotations

from compete.cli.options import JsonOption, SizeOption


def command(size: SizeOption = None, as_json: JsonOption = False) -> None:
    """Which two submissions to select for the private leaderboard."""
    from compete.cli.opening import console, here, load, print_json, say
    from compete.reporting.records import finalists_record
    from compete.reporting.terminal.tables import finalists_table
    from compete.submissions.kaggle.client import SITE
    from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard
    from compete.submissions.kaggle.messages import tag_of
    from compete.submissions.leaderboard.finalists import choose_finalists
    from compete.submissions.sending import ledger_of
    from compete.submissions.targets import make_target

    workspace = here(size)
    competition = load(workspace)
    target, metric = make_target(competition), competition.declaration.metric
    entries = [e for e in ledger_of(workspace).entries() if e.submission.target == target.name]
    entries = [e for e in entries if e.submission.metric == metric]
    found = choose_finalists(competition, entries)
    for number, why in found.left_out.items():
        say(f"number {number} is not compared: it {why}")
    page = f"{SITE}/competitions/{target.client.slug}/submissions" if isinstance(target, KaggleLeaderboard) else None
    if as_json:
        print_json(finalists_record(found, competition.metric, target.name, page))
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
