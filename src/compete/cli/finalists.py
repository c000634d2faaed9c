"""compete finalists"""

from __future__ import annotations

from compete.cli.options import SizeOption


def command(size: SizeOption = None) -> None:
    """Which two submissions to select for the private leaderboard."""
    from compete.cli.opening import console, here, load, say
    from compete.reporting.tables import finalists_table
    from compete.submissions.finalists import choose_finalists
    from compete.submissions.submit import ledger_of

    workspace = here(size)
    competition = load(workspace)
    target = competition.declaration.submission
    entries = [e for e in ledger_of(workspace).entries() if e.submission.metric == competition.declaration.metric]
    found = choose_finalists(competition, entries)
    out = console()
    out.print(finalists_table(found))
    if found.left_out:
        say(f"without out-of-fold predictions, not compared: number {', '.join(str(e.number) for e in found.left_out)}")
    first, second = found.first.entry, found.second.entry
    text = (
        f"select number {first.number} ({first.submission.source}), the best, and number {second.number} "
        f"({second.submission.source}), the best hedge beside it; expected regret {found.regret:.4f}"
    )
    if found.public_regret is not None:
        text += f", of the two best public scores {found.public_regret:.4f}"
    out.print(text, soft_wrap=True, markup=False)
    if target.target == "kaggle":
        page = f"https://www.kaggle.com/competitions/{target.kaggle}/submissions"
        files = f"{first.submission.file} and {second.submission.file}"
        out.print(f"Kaggle's API cannot select: on {page} tick {files} before the deadline", soft_wrap=True)
