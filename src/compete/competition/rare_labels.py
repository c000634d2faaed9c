"""Labels with too few positive rows for the folds: no model learns them, a constant predicts them.

Rows that share a fold, for their text or their group, count as one. With fewer of them than folds, some fold would be
scored by what hardly saw its label, and what was learnt of the others would be luck; so it is, under folds that the
user gave, where one fold has them all. The submission needs the column all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.folds import FoldPlan, in_one_fold, too_rare


@dataclass(frozen=True)
class Learnt:
    """Which of the labels models learn."""

    labels: tuple[str, ...]
    """All of the competition's."""
    mask: NDArray[np.bool_]
    """Those that are learnt, (n_labels,)."""
    constant: float
    """The probability of the others in every row. It is no function of their labels: the rate in the other folds' rows
    would be lowest where a fold has a positive, and tell of it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the labels that are learnt, in their order."""
        return tuple(label for label, learnt in zip(self.labels, self.mask, strict=True) if learnt)

    @property
    def too_rare(self) -> tuple[str, ...]:
        return tuple(label for label, learnt in zip(self.labels, self.mask, strict=True) if not learnt)

    def whole(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_rows, n_labels) of probabilities of the labels that are learnt, (n_rows, n_learnt)."""
        cells = np.full((len(probabilities), len(self.mask)), self.constant, dtype=np.float32)
        cells[:, self.mask] = probabilities
        return cells


def learnt_labels(competition: Competition, plan: FoldPlan) -> Learnt:
    """What models under the plan learn. The constant: half of the highest rate that is too rare for them."""
    if competition.task.kind != "labels":  # a class that is too rare is refused, and of a number there is none
        return Learnt(competition.labels, np.ones(len(competition.labels), dtype=bool), 0.0)
    k, strata = plan.k, competition.strata
    mask = ~(too_rare(competition.groups, strata, k) | in_one_fold(plan.folds, strata))
    # Fewer than k of n rows: rates below k / n. With fewer rows than folds, max() keeps the constant at one half.
    return Learnt(competition.labels, mask, k / 2 / max(len(competition.train_ids), k))


def rare_sentence(learnt: Learnt, k: int) -> str | None:
    """What the user is told of them; None where every label is learnt."""
    if learnt.mask.all():
        return None
    return (
        f"fewer positive rows of different text or group than the {k} folds, or all in one fold: "
        f"{_listed(learnt.too_rare)}; not learnt, predicted by the constant {learnt.constant:.2g} in every row (a "
        "lower folds.k may learn them)"
    )


def _listed(names: Sequence[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
