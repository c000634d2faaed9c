"""Which of several models, stacks or submissions is better, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.experiments.comparing import LEVEL, Compared, find_contestants
from compete.experiments.comparing import compare as compare_all
from compete.oof.fold_plan import under_stored_plan
from compete.score_text import score_text
from compete.stacking.inventory import Inventory
from compete.submissions.ledger import ledger_of
from compete.submissions.targets import make_target
from compete.workflows.session import Say, load, silent


@dataclass(frozen=True)
class Comparison:
    """Every pair of what was compared, the better one of each first."""

    found: Compared = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """A row per pair: the difference of the honest scores with its 95 % interval, p-values, and the chance to be
        better on the private leaderboard."""
        from compete.reporting.frames import pairs_frame

        return pairs_frame(self.found)

    @property
    def outputs(self) -> pd.DataFrame:
        """A row per pair and label, class or target: F1 (RMSE of numbers and grades) of both, and the difference."""
        from compete.reporting.frames import pair_outputs_frame

        return pair_outputs_frame(self.found)

    @property
    def rows(self) -> pd.DataFrame:
        """A row per pair and training row on which the two differ most: what is true, and what both say."""
        from compete.reporting.frames import pair_rows_frame

        return pair_rows_frame(self.found)

    @property
    def reading(self) -> list[str]:
        """What the numbers say, in sentences."""
        return _reading(self.found)


def compare(workspace: Workspace, names: Sequence[str], *, rows: int = 5, say: Say = silent) -> Comparison:
    """Base models, stacks and submissions (their number, or the name of their file) on the same rows.

    rows: how many rows to show, at most, on which each of two is right and the other wrong. Raises UserError for what
    is not there, StoreError for what is stale or damaged.
    """
    if rows < 0:
        raise UserError(f"rows = {rows}: it is 0 or more")
    if not workspace.fold_plan.exists():
        raise UserError("there is nothing to compare: `compete train-base --all` trains base models")
    competition = load(workspace, say)
    target = make_target(competition).name
    entries = [entry for entry in ledger_of(workspace).entries() if entry.submission.target == target]
    planned = under_stored_plan(competition)
    contestants = find_contestants(planned, names, entries)
    results = Inventory(planned)
    told = [
        line for each in contestants if each.kind != "submission" for line in results.flattery(results.find(each.name))
    ]
    for line in dict.fromkeys(told):
        say(line)
    return Comparison(compare_all(competition, contestants, rows))


def _reading(found: Compared) -> list[str]:
    surely = [pair for pair in found.pairs if pair.difference.surely]
    many = f" after Holm's correction for {len(found.pairs)} pairs" if len(found.pairs) > 1 else ""
    level = f"{100 * LEVEL:.0f} %"
    if len(found.pairs) == 1:
        (pair,) = found.pairs
        told = "more than luck" if surely else "no more than luck may bring about"
        sentences = [
            f"{pair.first} is ahead of {pair.second} by {score_text(abs(pair.difference.value))}: {told} "
            f"({p_text(pair.difference.p)}, level {level})"
        ]
    else:
        sentences = [
            f"{len(surely)} of {len(found.pairs)} differences are more than luck at the level of {level}{many}"
        ]
    return [
        *sentences,
        f"chance to be better: on a private leaderboard of {found.n_private:,} rows that are drawn as the training "
        "rows are",
    ]


def p_text(p: float) -> str:
    """A p-value as it is read."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
