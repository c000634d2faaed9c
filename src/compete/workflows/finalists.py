"""Which two submissions to select for the private leaderboard."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from compete.competition.metrics import Metric
from compete.competition.workspace import Workspace
from compete.score_text import score_text
from compete.submissions.kaggle.messages import tag_of
from compete.submissions.leaderboard import finalists as leaderboard
from compete.submissions.ledger import ledger_of
from compete.submissions.targets import Target, make_target
from compete.workflows.session import Say, load, silent


@dataclass(frozen=True)
class Selection:
    """Two submissions, and how the others compare."""

    found: leaderboard.Finalists
    target: Target = field(repr=False)
    metric: Metric

    @property
    def table(self) -> pd.DataFrame:
        """A row per submission, by number, the best first: how far behind, and the chance to be the best of all."""
        from compete.reporting.frames import finalists_frame

        return finalists_frame(self.found)

    @property
    def reading(self) -> list[str]:
        """Which two to select, what that costs to expect, and how they are told on Kaggle's page."""
        first, second = self.found.first.entry, self.found.second.entry
        like = first.submission.validation
        text = (
            f"select number {first.number} ({first.submission.source}), the best, and number {second.number} "
            f"({second.submission.source}), the best hedge beside it; expected regret "
            f"{score_text(self.found.regret, like)}"
        )
        if self.found.public_regret is not None:
            text += f", of the two best public scores {score_text(self.found.public_regret, like)}"
        if self.target.page is None:
            return [text]
        tags = " and ".join(tag_of(each.submission.message) for each in (first, second))
        page = self.target.page
        tick = f"Kaggle's API cannot select: on {page} tick those whose messages begin with {tags}, before the deadline"
        return [text, tick]


def finalists(workspace: Workspace, *, say: Say = silent) -> Selection:
    """Raises UserError if fewer than two submissions can be compared."""
    competition = load(workspace, say)
    target, metric = make_target(competition), competition.metric
    entries = [
        entry
        for entry in ledger_of(workspace).entries()
        if (entry.submission.target, entry.submission.metric) == (target.name, metric.name)
    ]
    found = leaderboard.choose_finalists(competition, entries)
    for number, why in found.left_out.items():
        say(f"number {number} is not compared: it {why}")
    return Selection(found, target, metric)
