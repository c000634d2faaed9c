"""Thresholds: the exact cut that maximises F1, found by one sort.

A label is predicted where its probability is at least the threshold. A threshold lies midway between two
neighbouring distinct probabilities, so that rounding on either side decides nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Metric, Probabilities
from compete.logits import sigmoid
from compete.stacking.ensemble.class_offsets import best_offsets

DEFAULT = 0.5
# Metrics of one label that count both of its classes, and what `class_offsets` calls them.
BINARY = {"accuracy": "accuracy", "balanced_accuracy": "recall_macro", "matthews": "matthews"}

Thresholds = NDArray[np.float64]


def decide(probabilities: Probabilities, thresholds: Thresholds) -> NDArray[np.int8]:
    """0/1 decisions of the shape of `probabilities`; thresholds has shape (n_labels,)."""
    return (np.asarray(probabilities, dtype=np.float64) >= thresholds).astype(np.int8)


def fit_thresholds(metric: Metric, labels: Labels, probabilities: Probabilities) -> Thresholds:
    """Thresholds of shape (n_labels,) that maximise the metric on exactly these rows.

    One per label for macro-F1, which is a mean over labels; one shared by all labels for the other metrics
    of decisions; DEFAULT for a metric that needs none.
    """
    n_labels = labels.shape[1]
    if metric.thresholds == "label":
        return np.array([best_f1_threshold(labels[:, i], probabilities[:, i]) for i in range(n_labels)])
    if metric.name in BINARY:
        return np.full(n_labels, best_binary_threshold(metric.name, labels, probabilities))
    if metric.name == "f1_micro":
        return np.full(n_labels, best_f1_threshold(labels.ravel(), probabilities.ravel()))
    if metric.thresholds == "shared":
        return np.full(n_labels, best_mean_threshold(labels, probabilities, jaccard=metric.name == "jaccard_samples"))
    return np.full(n_labels, DEFAULT)


def best_binary_threshold(metric: str, labels: Labels, probabilities: Probabilities) -> float:
    """The threshold of one label with the highest score; both (n_rows, 1), metric: one of BINARY.

    A label is two classes, and a threshold on its probability an offset between them.
    """
    if labels.shape[1] != 1:  # accuracy of several labels has no such search
        return DEFAULT
    classes, p = np.hstack([1 - labels, labels]), np.asarray(probabilities, dtype=np.float64)
    no, yes = best_offsets(BINARY[metric], classes, np.hstack([1 - p, p]))
    return float(sigmoid(np.array(no - yes)))


def best_f1_threshold(labels: NDArray[np.int8], probabilities: Probabilities) -> float:
    """The threshold with the highest F1 on these rows, both of shape (n,); O(n log n).

    With the rows sorted by falling probability, predicting the first m gives F1 = 2 TP / (m + P); only cuts
    between distinct probabilities exist, so ties are predicted together. Of equal maxima the highest
    threshold wins. Without a positive every cut has F1 0, and DEFAULT is returned.
    """
    order = _descending(probabilities)
    return _best_f1_of_sorted(labels[order], np.asarray(probabilities, dtype=np.float64)[order])


def cross_fitted_f1_threshold(
    labels: NDArray[np.int8], probabilities: Probabilities, folds: NDArray[np.int16]
) -> float:
    """The mean of the best F1 thresholds without each fold in turn; all three of shape (n,).

    A single best cut sits where a few rows happen to fall; the mean of several cuts moves less from sample to sample.
    The rows are sorted once for all folds. With fewer positives than folds, nothing can be told: DEFAULT.
    """
    if np.sum(labels == 1) < len(np.unique(folds)):
        return DEFAULT
    order = _descending(probabilities)
    labels, values, folds = labels[order], np.asarray(probabilities, dtype=np.float64)[order], folds[order]
    without = [folds != fold for fold in np.unique(folds)]
    if len(without) < 2:
        return _best_f1_of_sorted(labels, values)
    return float(np.mean([_best_f1_of_sorted(labels[rows], values[rows]) for rows in without]))


def _best_f1_of_sorted(labels: NDArray[np.int8], descending: NDArray[np.float64]) -> float:
    positives = int(labels.sum())
    if positives == 0:
        return DEFAULT
    last_of_tie = _last_of_ties(descending)
    hits = np.cumsum(labels, dtype=np.int64)[last_of_tie]
    f1 = 2 * hits / (last_of_tie + 1 + positives)
    return _between(descending, int(last_of_tie[np.argmax(f1)]))


def best_expected_f1_threshold(probabilities: Probabilities, calibrated: Probabilities) -> float:
    """The threshold with the highest F1 that calibrated probabilities promise, both of shape (n,); O(n log n).

    Of the m rows with the highest probability, sum(calibrated) are expected to be positive, so F1 is expected to be
    2 * that sum / (m + expected positives): a ratio of expectations, which is the expectation for many rows. No label
    is looked at; `calibrated` has seen them all.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    order = _descending(values)
    promised = np.cumsum(np.asarray(calibrated, dtype=np.float64)[order])
    last_of_tie = _last_of_ties(values[order])
    f1 = 2 * promised[last_of_tie] / (last_of_tie + 1 + promised[-1])
    return _between(values[order], int(last_of_tie[np.argmax(f1)]))


def best_mean_threshold(labels: Labels, probabilities: Probabilities, *, jaccard: bool) -> float:
    """The one threshold for all labels with the highest mean F1 (or Jaccard index) of the rows; O(n log n).

    Lowering the threshold past a cell changes the score of its row only, from what its m best cells give to
    what m + 1 give. Sorting all cells together and adding up these changes gives the mean at every cut.
    """
    n_rows, n_labels = labels.shape
    values = np.asarray(probabilities, dtype=np.float64)
    within = np.argsort(-values, axis=1, kind="stable")
    hits = np.cumsum(np.take_along_axis(labels, within, axis=1), axis=1, dtype=np.int64)
    predicted = np.arange(1, n_labels + 1)
    positives = labels.sum(axis=1, keepdims=True, dtype=np.int64)
    score = hits / (predicted + positives - hits) if jaccard else 2 * hits / (predicted + positives)
    change = np.diff(score, axis=1, prepend=0.0).ravel()
    cells = np.take_along_axis(values, within, axis=1).ravel()
    order = _descending(cells)
    cells = cells[order]
    last_of_tie = _last_of_ties(cells)
    mean = np.cumsum(change[order])[last_of_tie] / n_rows
    if mean.max() <= 0:
        return DEFAULT
    return _between(cells, int(last_of_tie[np.argmax(mean)]))


def _descending(values: Probabilities) -> NDArray[np.intp]:
    """Indices from the highest value to the lowest; ties in any order, since cuts are only made between them."""
    return np.argsort(np.negative(values))


def _last_of_ties(descending: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the last element of every run of equal values."""
    return np.append(np.flatnonzero(np.diff(descending)), len(descending) - 1)


def _between(descending: NDArray[np.float64], last_predicted: int) -> float:
    """Midway between the last predicted value and the next lower one (0 below all)."""
    value = descending[last_predicted]
    lower = descending[last_predicted + 1] if last_predicted + 1 < len(descending) else 0.0
    middle = (value + lower) / 2
    return float(middle if middle > lower else value)  # neighbouring floats have nothing in between
