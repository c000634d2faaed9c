"""Means of the base models' ranks: models that are unlike in how sure they are count alike. No target is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Probabilities
from compete.competition.shape import Targets
from compete.stacking.ensemble.meta_learners import Parallel, RowFeatures

Floats = NDArray[np.float64]
_MOST = 20_000  # rows that ranks are told by


@dataclass(frozen=True)
class RankMean:
    """The mean of the base models' ranks among the rows of the fit, from 0 to 1; for scores of order alone."""

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = True

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> FittedRankMean:
        values = np.sort(np.asarray(probabilities, dtype=np.float64), axis=1)
        return FittedRankMean(values[:, _some(values.shape[1])])


@dataclass(frozen=True)
class FittedRankMean:
    known: Floats
    """Sorted numbers of every model and output, (n_models, at most _MOST, n_outputs)."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> Floats:
        total = np.zeros(np.shape(probabilities)[1:])
        for known, columns in zip(self.known, np.asarray(probabilities, dtype=np.float64), strict=True):
            for output, values in enumerate(columns.T):
                # Of equal numbers the middle rank.
                low, high = (np.searchsorted(known[:, output], values, side=side) for side in ("left", "right"))
                total[:, output] += (low + high) / (2 * len(known))
        return np.asarray(total / len(self.known))


@dataclass(frozen=True)
class RankedProbabilities:
    """The mean of the base models' ranks, told in probabilities; for decisions of labels.

    The rows of the fit get the values of the models' mean probability, dealt out in the order of their mean ranks. A
    threshold per label decides on either scale alike. But a half, which a label with too few positives is cut at, and a
    threshold that labels share mean something on this one only.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = True

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> FittedRanked:
        ranks = RankMean().fit(probabilities, labels)
        some = _some(np.shape(probabilities)[1])
        of_rows = np.sort(ranks.predict_proba(probabilities), axis=0)[some]
        means = np.sort(np.mean(probabilities, axis=0, dtype=np.float64), axis=0)[some]
        return FittedRanked(ranks, [_scale(*columns) for columns in zip(of_rows.T, means.T, strict=True)])


@dataclass(frozen=True)
class FittedRanked:
    ranks: FittedRankMean
    scales: list[tuple[Floats, Floats]]
    """Of every label the mean ranks that there are, increasing, and the probability that stands for each."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> Floats:
        means = self.ranks.predict_proba(probabilities)
        columns = zip(means.T, self.scales, strict=True)
        return np.column_stack([np.interp(column, *scale) for column, scale in columns])


def _some(n_rows: int) -> NDArray[np.intp]:
    """Numbers of at most _MOST rows, evenly spread."""
    return np.linspace(0, n_rows - 1, min(n_rows, _MOST)).round().astype(np.intp)


def _scale(ranks: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Distinct ranks with the mean of the values that equal ones share; both come sorted, (n_rows,)."""
    distinct, which, count = np.unique(ranks, return_inverse=True, return_counts=True)
    return distinct, np.bincount(which, weights=values) / count
