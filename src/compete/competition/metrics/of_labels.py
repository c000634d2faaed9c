"""Metrics of decisions: which labels a row has, or which class it is; 0/1 matrices of shape (n_rows, n_outputs)."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics.metric import Floats, Predicted, Truth, mean_of_rows, mean_of_sums, named, ratio


def f1_per_label(labels: Truth, decisions: Predicted) -> Floats:
    """F1 of every label, shape (n_labels,); 0 where a label is neither present nor predicted."""
    hits = np.sum((labels == 1) & (decisions == 1), axis=0)
    return ratio(2 * hits, np.sum(labels == 1, axis=0) + np.sum(decisions == 1, axis=0))


def precision_recall_per_label(labels: Truth, decisions: Predicted) -> tuple[Floats, Floats]:
    """Precision and recall of every label, each (n_labels,); 0 where a denominator is 0."""
    hits = np.sum((labels == 1) & (decisions == 1), axis=0)
    return ratio(hits, np.sum(decisions == 1, axis=0)), ratio(hits, np.sum(labels == 1, axis=0))


def f1_sums(labels: Truth, decisions: Predicted) -> Floats:
    """(n_rows, 2 n_labels): hits of every label, then positives plus predicted of every label."""
    hits = (labels == 1) & (decisions == 1)
    counts = (labels == 1).astype(np.int8) + (decisions == 1).astype(np.int8)
    sums: Floats = np.hstack([hits, counts]).astype(np.float64)
    return sums


def f1_of_sums(totals: Floats) -> Floats:
    """F1 (draws, n_labels) of totals (draws, 2 n_labels), as `f1_sums` has them."""
    hits, counts = np.hsplit(totals, 2)
    return ratio(2 * hits, counts)


def _mean_f1(totals: Floats) -> Floats:
    return np.asarray(f1_of_sums(totals).mean(axis=1))


def _f1_macro(labels: Truth, decisions: Predicted) -> float:
    return float(f1_per_label(labels, decisions).mean())


def _f1_micro(labels: Truth, decisions: Predicted) -> float:
    return float(f1_per_label(labels.reshape(-1, 1), decisions.reshape(-1, 1))[0])


def _f1_micro_sums(labels: Truth, decisions: Predicted) -> Floats:
    return np.asarray(f1_sums(labels, decisions).reshape(len(labels), 2, -1).sum(axis=2))


def _f1_weighted_sums(labels: Truth, decisions: Predicted) -> Floats:
    return np.hstack([f1_sums(labels, decisions), labels == 1])


def _f1_weighted(totals: Floats) -> Floats:
    """Mean F1 of the labels, each weighing as many rows as have it; 0 where no row has any, as in scikit-learn."""
    n_labels = totals.shape[1] // 3
    positives = totals[:, 2 * n_labels :]
    weighted = (f1_of_sums(totals[:, : 2 * n_labels]) * positives).sum(axis=1)
    return ratio(weighted, positives.sum(axis=1))


def _f1_samples(labels: Truth, decisions: Predicted) -> float:
    """Mean F1 of the rows; a row without any true or predicted label counts 0, as in scikit-learn."""
    return float(f1_per_label(labels.T, decisions.T).mean())


def _f1_of_rows(labels: Truth, decisions: Predicted) -> Floats:
    hits, counts = _hits_and_counts(labels, decisions)
    return ratio(2 * hits, counts)


def _jaccard_samples(labels: Truth, decisions: Predicted) -> float:
    """Mean intersection over union of the rows ("accuracy" of SemEval-2018 E-c); empty over empty counts 0."""
    return float(_jaccard_of_rows(labels, decisions).mean())


def _jaccard_of_rows(labels: Truth, decisions: Predicted) -> Floats:
    hits, counts = _hits_and_counts(labels, decisions)
    return ratio(hits, counts - hits)


def _hits_and_counts(labels: Truth, decisions: Predicted) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of every row, each (n_rows,): labels that it has and is given; labels that it has plus those that it is given."""
    hits = ((labels == 1) & (decisions == 1)).sum(axis=1)
    return hits, (labels == 1).sum(axis=1) + (decisions == 1).sum(axis=1)


def _all_right(truth: Truth, decisions: Predicted) -> Floats:
    """1 for every row whose outputs are all right, else 0; labels, classes or grades."""
    # A grade of 0.1 is another number in float32 than in float64.
    right: Floats = np.all(truth == decisions.astype(truth.dtype), axis=1).astype(np.float64)
    return right


def _recall_sums(labels: Truth, decisions: Predicted) -> Floats:
    """(n_rows, 2 n_outputs): hits, then positives, of every output."""
    return np.hstack([(labels == 1) & (decisions == 1), labels == 1]).astype(np.float64)


def _recall_macro(totals: Floats) -> Floats:
    """Mean recall of the classes; 0 of a class that no row has, as in scikit-learn."""
    hits, positives = np.hsplit(totals, 2)
    return np.asarray(ratio(hits, positives).mean(axis=1))


def _both_recalls_sums(labels: Truth, decisions: Predicted) -> Floats:
    return _recall_sums(_two_classes(labels), _two_classes(decisions))


def _balanced_accuracy(totals: Floats) -> Floats:
    """Mean recall of yes and no; where all rows are one of them, its recall alone, as in scikit-learn."""
    hits, positives = np.hsplit(totals, 2)
    return ratio(ratio(hits, positives).sum(axis=1), (positives > 0).sum(axis=1))


def _two_classes(column: NDArray[np.generic]) -> NDArray[np.int8]:
    """(n_rows, 2), one-hot, of one label (n_rows, 1): not there, there."""
    there = column == 1
    return np.hstack([~there, there]).astype(np.int8)


def _matthews_sums(truth: Truth, decisions: Predicted) -> Floats:
    """(n_rows, 2 + 2 n_classes): right or not, one, and per class whether it is true, and whether it is decided."""
    if truth.shape[1] == 1:
        truth, decisions = _two_classes(truth), _two_classes(decisions)
    right = ((truth == 1) & (decisions == 1)).any(axis=1)
    return np.column_stack([right, np.ones(len(truth)), truth == 1, decisions == 1]).astype(np.float64)


def _matthews(totals: Floats) -> Floats:
    """R_K, of two classes Matthews' correlation; 0 where truth or decisions are one class, as in scikit-learn.

    Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation coefficient".
    """
    right, rows = totals[:, 0], totals[:, 1]
    true, decided = np.hsplit(totals[:, 2:], 2)
    together = right * rows - (true * decided).sum(axis=1)
    alone = (rows**2 - (true**2).sum(axis=1)) * (rows**2 - (decided**2).sum(axis=1))
    # By a hair below 0 after rounding, where all is one class.
    return ratio(together, np.sqrt(np.maximum(alone, 0)))


METRICS_OF_LABELS = (
    named("f1_macro", f1_sums, _mean_f1, compute=_f1_macro, thresholds="label"),
    named("f1_micro", _f1_micro_sums, _mean_f1, compute=_f1_micro, thresholds="shared"),
    named("f1_weighted", _f1_weighted_sums, _f1_weighted, thresholds="label"),
    named("f1_samples", partial(mean_of_rows, _f1_of_rows), mean_of_sums, compute=_f1_samples, thresholds="shared"),
    named("f1", f1_sums, _mean_f1, compute=_f1_macro, thresholds="label"),
    named(
        "jaccard_samples",
        partial(mean_of_rows, _jaccard_of_rows),
        mean_of_sums,
        compute=_jaccard_samples,
        thresholds="shared",
    ),
    named("accuracy", partial(mean_of_rows, _all_right), mean_of_sums, thresholds="shared"),
    named("balanced_accuracy", _both_recalls_sums, _balanced_accuracy, thresholds="shared"),
    named("recall_macro", _recall_sums, _recall_macro),
    named("matthews", _matthews_sums, _matthews, thresholds="shared", lowest=-1.0),
)
