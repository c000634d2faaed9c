"""Which two submissions to select for the private leaderboard."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from compete.competition.metrics import Metric
from compete.competition.workspace import Workspace
from compete.submissions.leaderboard import finalists as leaderboard
from compete.submissions.ledger import ledger_of
from compete.submissions.targets import Target, make_target
from compete.workflows.session import Say, load, silent


@dataclass(frozen=True)
class Selection:
    """Two submissions, and how the others compare."""

    found: leaderboard.Finalists
    target: Target
    metric: Metric

    @property
    def table(self) -> pd.DataFrame:
        """A row per submission, by number, the best first: how far behind, and the chance to be the best of all."""
        from compete.reporting.frames import finalists_frame

        return finalists_frame(self.found)


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
