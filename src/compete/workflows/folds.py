"""The fold plan: rows and label rates of every fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from compete.competition.near_identical import large_groups
from compete.competition.planned import Planned
from compete.competition.rare_labels import rare_sentence
from compete.competition.workspace import Workspace
from compete.oof.fold_plan import with_plan
from compete.workflows.session import Say, exclusively, load, silent


@dataclass(frozen=True)
class FoldTable:
    """The plan, and what it divides."""

    planned: Planned = field(repr=False)
    rows: Sequence[int]
    """Of all training rows, then of every fold."""
    rates: Sequence[tuple[str, Sequence[float]]]
    """Shares of these rows that have each label."""

    @property
    def table(self) -> pd.DataFrame:
        """Label rates, a row for all of train ("all") and one per fold; the first column is the number of rows."""
        names = [name for name, _ in self.rates]
        frame = pd.DataFrame(
            [of for _, of in self.rates],
            columns=list(self.planned.competition.labels),
            index=pd.Index(names, name="fold"),
        )
        # A label may be called "rows".
        frame.insert(0, "rows", list(self.rows), allow_duplicates=True)
        return frame


def folds(workspace: Workspace, *, say: Say = silent) -> FoldTable:
    """The plan in force; makes it if there is none."""
    with exclusively(workspace, say, reading=True):
        planned = with_plan(load(workspace, say))
    competition, plan = planned.competition, planned.plan
    for count, text in large_groups(competition.train_texts, competition.groups):
        shown = text if len(text) <= 60 else f"{text[:59]}…"
        say(f"{count} rows have nearly the same text and share a fold: {shown!r}")
    if (rare := rare_sentence(planned.learnt, plan.k)) is not None:
        say(rare)
    rows = [len(competition.train_ids), *(len(plan.rows(fold)) for fold in range(plan.k))]
    return FoldTable(planned, rows, planned.label_rates_by_fold())
