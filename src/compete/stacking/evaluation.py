"""Honest scores: nothing that scores a row was fitted on it.

For every fold, the meta-learner and the thresholds are fitted on the other folds only. The thresholds need
probabilities of those other rows that are themselves out of fold, so the meta-learner is also fitted without
every *pair* of folds: without {j, k} it predicts fold j for the thresholds of fold k, and fold k for those of
fold j. K folds cost K (K - 1) / 2 fits of pairs, K of single folds, and the last one on all rows.

One dependence remains, as in every stack over out-of-fold probabilities: the base model that predicted fold j was
trained on the labels of fold k, and its rows of fold j help to fit what scores fold k. Folds that are alike in their
label rates, as the stratified plan makes them, leave it next to nothing to tell; folds of unlike rates would not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import (
    Labels,
    Metric,
    Probabilities,
    f1_per_label,
    precision_recall_per_label,
)
from compete.stacking.meta_learners import FittedMetaLearner, MetaLearner
from compete.stacking.thresholds import Thresholds, decide, fit_thresholds

Folds = NDArray[np.int16]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Evaluation:
    """How good probabilities are, told honestly.

    honest: the metric over all rows, every row decided by thresholds (and a meta-learner) that never saw it.
    naive: the metric with everything fitted on all rows and scored on the same rows.
    precision, recall, f1: of the honest decisions, (n_labels,). thresholds: fitted on all rows, for the test
    set; threshold_spread: their standard deviation over the folds. Thresholds are 0.5 where the metric needs
    none.
    """

    honest: float
    naive: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    thresholds: Thresholds
    threshold_spread: NDArray[np.float64]


@dataclass(frozen=True)
class CrossFit:
    """Out-of-fold probabilities of a meta-learner.

    outer: (n_rows, n_labels), every row predicted without its fold.
    inner: for every fold k, (n_rows, n_labels): rows of fold j predicted without folds j and k; the rows of
    fold k itself are NaN.
    """

    outer: NDArray[np.float64]
    inner: list[NDArray[np.float64]]
    on_all: FittedMetaLearner


def evaluate(metric: Metric, labels: Labels, folds: Folds, probabilities: Probabilities) -> Evaluation:
    """Score out-of-fold probabilities (n_rows, n_labels) of a model that is used as it is."""
    n_folds = int(folds.max()) + 1
    return _evaluate(metric, labels, folds, probabilities, [probabilities] * n_folds, probabilities)


def cross_fit(
    learner: MetaLearner,
    probabilities: Probabilities,
    labels: Labels,
    folds: Folds,
    progress: Progress = lambda fraction: None,
) -> CrossFit:
    """Fit a meta-learner without every fold, without every pair of folds, and on all rows."""
    n_folds = int(folds.max()) + 1
    outer = np.full(labels.shape, np.nan)
    inner = [np.full(labels.shape, np.nan) for _ in range(n_folds)]
    left_out = [(k,) for k in range(n_folds)] + list(combinations(range(n_folds), 2))
    for done, without in enumerate(left_out):
        progress(done / (len(left_out) + 1))
        rows = ~np.isin(folds, without)
        if not rows.any():  # two folds only: no row is left for the thresholds' own models
            continue
        fitted = learner.fit(probabilities[:, rows], labels[rows])
        for fold in without:
            held_out = folds == fold
            predicted = fitted.predict_proba(probabilities[:, held_out])
            if len(without) == 1:
                outer[held_out] = predicted
            else:
                (other,) = set(without) - {fold}
                inner[other][held_out] = predicted
    if n_folds == 2:
        _fill_two_folds(learner, probabilities, labels, folds, inner)
    on_all = learner.fit(probabilities, labels)
    progress(1.0)
    return CrossFit(outer, inner, on_all)


def evaluate_stack(
    metric: Metric, labels: Labels, folds: Folds, probabilities: Probabilities, fit: CrossFit
) -> Evaluation:
    """Score a cross-fitted meta-learner; the naive score is that of its fit on all rows, on the same rows."""
    in_sample = fit.on_all.predict_proba(probabilities)
    return _evaluate(metric, labels, folds, fit.outer, fit.inner, in_sample)


def _evaluate(
    metric: Metric,
    labels: Labels,
    folds: Folds,
    outer: Probabilities,
    inner: list[Probabilities] | list[NDArray[np.float64]],
    naive: Probabilities,
) -> Evaluation:
    decisions = np.empty(labels.shape, dtype=np.int8)
    per_fold = []
    for fold, known in enumerate(inner):
        others, held_out = folds != fold, folds == fold
        per_fold.append(fit_thresholds(metric, labels[others], known[others]))
        decisions[held_out] = decide(outer[held_out], per_fold[-1])
    precision, recall = precision_recall_per_label(labels, decisions)
    naive_decisions = decide(naive, fit_thresholds(metric, labels, naive))
    return Evaluation(
        honest=metric.compute(labels, decisions if metric.thresholds else outer),
        naive=metric.compute(labels, naive_decisions if metric.thresholds else naive),
        precision=precision,
        recall=recall,
        f1=f1_per_label(labels, decisions),
        thresholds=fit_thresholds(metric, labels, outer),
        threshold_spread=np.std(per_fold, axis=0),
    )


def _fill_two_folds(
    learner: MetaLearner,
    probabilities: Probabilities,
    labels: Labels,
    folds: Folds,
    inner: list[NDArray[np.float64]],
) -> None:
    """With two folds the other fold is the only one to fit on: its thresholds come from its own fitted rows."""
    for fold in (0, 1):
        others = folds != fold
        fitted = learner.fit(probabilities[:, others], labels[others])
        inner[fold][others] = fitted.predict_proba(probabilities[:, others])
