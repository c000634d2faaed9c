"""Metrics of probabilities (n_rows, n_outputs): how outputs are ranked, and how likely what is true was held to be."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics.metric import (
    Floats,
    Metric,
    Predicted,
    Truth,
    mean_of_rows,
    mean_of_sums,
    named,
    ratio,
)
from compete.competition.metrics.ranks import average_ranks
from compete.errors import DataError

# Probabilities of 0 and 1 are this far from certain: a row that is wrong costs 16.1 at most.
_CERTAIN = 1e-7


def both_classes(labels: Truth) -> NDArray[np.bool_]:
    """(n_labels,): labels that some of the rows have, and some have not; of the others no AUC is defined."""
    there = labels == 1
    # `initial` counts for no rows at all, of which no label has both.
    return np.asarray(there.min(axis=0, initial=True) < there.max(axis=0, initial=False))


def auc_values(labels: Truth, probabilities: Predicted) -> Floats:
    """Values (n_rows,) whose mean is the macro-AUC and whose spread is its noise: its influence function (DeLong 1988).

    labels, probabilities: (n_rows, n_labels). Where no label has both classes, 0.5.
    """
    values = _auc_values_per_label(labels, probabilities)
    return np.asarray(values.mean(axis=1)) if values.shape[1] else np.full(len(labels), 0.5)


def _auc_values_per_label(labels: Truth, probabilities: Predicted) -> Floats:
    """The same of every label that has both classes, (n_rows, n_such_labels)."""
    both = np.flatnonzero(both_classes(labels))
    values = np.empty((len(labels), len(both)))
    for column, label in enumerate(both):
        positive = labels[:, label] == 1
        scores = np.asarray(probabilities[:, label], dtype=np.float64)
        ranks = average_ranks(scores)
        # The share of the other class that a positive is ranked above, and that a negative is ranked below.
        beaten = (ranks[positive] - average_ranks(scores[positive])) / (~positive).sum()
        beating = 1 - (ranks[~positive] - average_ranks(scores[~positive])) / positive.sum()
        auc, rate = beaten.mean(), positive.mean()
        # The AUC moves with the mean of either class over its own rows, which are `rate` or 1 - `rate` of all rows.
        values[positive, column] = auc + (beaten - auc) / rate
        values[~positive, column] = auc + (beating - auc) / (1 - rate)
    return values


def _roc_auc(title: str, labels: Truth, probabilities: Predicted) -> float:
    """Mean over the labels that have both classes in these rows, as competitions with rare labels score it."""
    from sklearn.metrics import roc_auc_score

    both = _with_both_classes(title, labels)
    return float(roc_auc_score(labels[:, both], np.asarray(probabilities)[:, both], average="macro"))


def _with_both_classes(title: str, labels: Truth) -> NDArray[np.bool_]:
    both = both_classes(labels)
    if not both.any():
        every = "the label is" if labels.shape[1] == 1 else "every label is"
        raise DataError(f"{title} is not defined here: {every} the same in every row that is scored")
    return both


def _weighted_auc_sums(labels: Truth, probabilities: Predicted) -> Floats:
    """(n_rows, 2 n + 1), n labels that have both classes: values of their AUC, whether a row has them, and one."""
    both = _with_both_classes("weighted AUC", labels)
    values = _auc_values_per_label(labels, probabilities)
    return np.column_stack([values, labels[:, both] == 1, np.ones(len(labels))])


def _weighted_auc(totals: Floats) -> Floats:
    """Mean AUC of the labels that have both classes, each weighing as many rows as have it."""
    values, positives = np.hsplit(totals[:, :-1], 2)
    weight = positives.sum(axis=1)
    aucs = values / totals[:, -1:]
    return np.where(weight > 0, ratio((aucs * positives).sum(axis=1), weight), np.nan)


def _average_precision_values(title: str, labels: Truth, probabilities: Predicted) -> Floats:
    """Values (n_rows,) whose mean is the average precision and whose spread is its noise.

    The mean is over the labels that some row has. Of the others none is defined, and scikit-learn's 0 would only say
    how many there are; of a label that every row has it is 1, whatever is predicted.
    """
    some = np.flatnonzero((labels == 1).any(axis=0))
    if not len(some):
        raise DataError(f"{title} is not defined here: no row that is scored has any label")
    values = np.zeros(len(labels))
    for label in some:
        values += _average_precision_of_one(labels[:, label] == 1, np.asarray(probabilities[:, label], np.float64))
    return np.asarray(values / len(some))


def _average_precision_of_one(positive: NDArray[np.bool_], scores: Floats) -> Floats:
    """The influence function of one label's average precision, plus that; positive and scores have shape (n_rows,).

    Average precision is the mean, over the positives, of the precision G(s) among the N(s) rows that score at least as
    high, so that equal scores are one step, as in scikit-learn. A row moves it by its own precision, and by what it
    does to the precision of all positives below it: (y - G(s)) / N(s), y being whether the row is positive itself.
    """
    _, tie = np.unique(-scores, return_inverse=True)
    rows = np.cumsum(np.bincount(tie))  # by falling score, ties together
    hits = np.bincount(tie, weights=positive)
    precision = np.cumsum(hits) / rows
    average = (hits * precision).sum() / hits.sum()
    # From the lowest score up: a row counts among those of every positive at its score or below.
    steps = np.cumsum((hits / rows)[::-1])[::-1][tie]
    losses = np.cumsum((hits * precision / rows)[::-1])[::-1][tie]
    moved = np.where(positive, precision[tie] - average, 0.0) + np.where(positive, steps, 0.0) - losses
    return np.asarray(average + moved / positive.mean())


def _log_loss(labels: Truth, probabilities: Predicted) -> float:
    """Mean binary cross-entropy over all cells, probabilities clipped to [1e-7, 1 - 1e-7]."""
    return float(np.mean(_cross_entropies(labels, probabilities)))


def _log_loss_of_rows(labels: Truth, probabilities: Predicted) -> Floats:
    return np.asarray(_cross_entropies(labels, probabilities).mean(axis=1))


def _cross_entropies(labels: Truth, probabilities: Predicted) -> Floats:
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), _CERTAIN, 1 - _CERTAIN)
    return np.asarray(-np.where(labels == 1, np.log(clipped), np.log1p(-clipped)))


def _multiclass_log_loss_of_rows(classes: Truth, probabilities: Predicted) -> Floats:
    """Minus the logarithm of the true class's share in the row's sum, clipped to [1e-7, 1 - 1e-7].

    Of a row of zeros every class has the same share.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    sums = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, sums, out=np.full(values.shape, 1 / values.shape[1]), where=sums > 0)
    return np.asarray(-np.where(classes == 1, np.log(np.clip(shares, _CERTAIN, 1 - _CERTAIN)), 0.0).sum(axis=1))


def _average_precision_of_rows(k: int, truth: Truth, probabilities: Predicted) -> Floats:
    """Average precision of every row's k most probable outputs, as Kaggle scores it.

    The mean, over the min(k, positives) best places that there are, of the precision at each place that is a hit; of
    two equal probabilities the column to the left comes first. 0 for a row without any. With one class to a row that
    is 1 / its place, or 0 beyond the k-th (mean reciprocal rank).
    """
    places = np.argsort(-np.asarray(probabilities, dtype=np.float64), axis=1, kind="stable")[:, :k]
    hit = np.take_along_axis(truth == 1, places, axis=1)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    return ratio((precision * hit).sum(axis=1), np.minimum((truth == 1).sum(axis=1), k))


@cache
def map_at(k: int) -> Metric:
    """MAP@k; the same object for the same k."""
    return named(f"map_at_{k}", partial(mean_of_rows, partial(_average_precision_of_rows, k)), mean_of_sums)


def _auc(name: str, title: str) -> Metric:
    return named(name, partial(mean_of_rows, auc_values), mean_of_sums, compute=partial(_roc_auc, title))


def _average_precision(name: str, title: str) -> Metric:
    return named(name, partial(mean_of_rows, partial(_average_precision_values, title)), mean_of_sums)


METRICS_OF_PROBABILITIES = (
    _auc("roc_auc", "AUC"),
    _auc("roc_auc_macro", "macro-AUC"),
    named("roc_auc_weighted", _weighted_auc_sums, _weighted_auc),
    _average_precision("average_precision", "average precision"),
    _average_precision("average_precision_macro", "macro average precision"),
    named("log_loss", partial(mean_of_rows, _log_loss_of_rows), mean_of_sums, compute=_log_loss, highest=np.inf),
    named("multiclass_log_loss", partial(mean_of_rows, _multiclass_log_loss_of_rows), mean_of_sums, highest=np.inf),
)
