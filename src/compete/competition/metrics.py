"""The competition's metric: what it scores, which direction is better, how thresholds are chosen for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compete.errors import DataError

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float32] | NDArray[np.float64]
# How probabilities become decisions (`stacking/ensemble/decision_rules.py`).
RuleName = Literal["empirical", "expected", "cross_fitted", "where_worth", "shrunk", "per_row", "half"]


@dataclass(frozen=True)
class Metric:
    """One metric over a whole set of rows."""

    name: str
    title: str
    thresholds: Literal["label", "shared"] | None
    """ "label" when every label may have its own threshold, "shared" when one serves all, None when the metric scores
    probabilities and needs none."""
    greater_is_better: bool
    compute: Callable[[Labels, NDArray[np.generic]], float]
    """From 0/1 labels and either 0/1 decisions (with thresholds) or probabilities (without), both (n_rows, n_labels),
    to a number."""

    @property
    def sign(self) -> int:
        """Scores times this are better the greater they are."""
        return 1 if self.greater_is_better else -1

    def better(self, score: float, than: float) -> bool:
        return score > than if self.greater_is_better else score < than


def f1_per_label(labels: Labels, decisions: NDArray[np.generic]) -> NDArray[np.float64]:
    """F1 of every label, shape (n_labels,); 0 where a label is neither present nor predicted."""
    hits = np.sum((labels == 1) & (decisions == 1), axis=0)
    return _ratio(2 * hits, np.sum(labels == 1, axis=0) + np.sum(decisions == 1, axis=0))


def precision_recall_per_label(
    labels: Labels, decisions: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of every label, each (n_labels,); 0 where a denominator is 0."""
    hits = np.sum((labels == 1) & (decisions == 1), axis=0)
    return _ratio(hits, np.sum(decisions == 1, axis=0)), _ratio(hits, np.sum(labels == 1, axis=0))


def _ratio(numerator: NDArray[np.generic], denominator: NDArray[np.generic]) -> NDArray[np.float64]:
    """Element-wise quotient, 0 where the denominator is 0, as scikit-learn's zero_division=0."""
    quotient: NDArray[np.float64] = np.divide(
        numerator, denominator, out=np.zeros(np.shape(denominator), dtype=np.float64), where=denominator != 0
    )
    return quotient


def _f1_macro(labels: Labels, decisions: NDArray[np.generic]) -> float:
    return float(f1_per_label(labels, decisions).mean())


def _f1_micro(labels: Labels, decisions: NDArray[np.generic]) -> float:
    return float(f1_per_label(labels.reshape(-1, 1), decisions.reshape(-1, 1))[0])


def _f1_samples(labels: Labels, decisions: NDArray[np.generic]) -> float:
    """Mean F1 of the rows; a row without any true or predicted label counts 0, as in scikit-learn."""
    return float(f1_per_label(labels.T, decisions.T).mean())


def _jaccard_samples(labels: Labels, decisions: NDArray[np.generic]) -> float:
    """Mean intersection over union of the rows ("accuracy" of SemEval-2018 E-c); empty over empty counts 0."""
    both = np.sum((labels == 1) & (decisions == 1), axis=1)
    either = np.sum((labels == 1) | (decisions == 1), axis=1)
    return float(_ratio(both, either).mean())


def _roc_auc_macro(labels: Labels, probabilities: NDArray[np.generic]) -> float:
    """Mean over the labels that have both classes in these rows, as competitions with rare labels score it."""
    from sklearn.metrics import roc_auc_score

    both = both_classes(labels)
    if not both.any():
        raise DataError("macro-AUC is not defined here: every label is the same in every row that is scored")
    return float(roc_auc_score(labels[:, both], np.asarray(probabilities)[:, both], average="macro"))


def both_classes(labels: Labels) -> NDArray[np.bool_]:
    """(n_labels,): labels that some of the rows have, and some have not; of the others no AUC is defined."""
    # `initial` counts for no rows at all, of which no label has both.
    return np.asarray(labels.min(axis=0, initial=1) < labels.max(axis=0, initial=0))


def _log_loss(labels: Labels, probabilities: NDArray[np.generic]) -> float:
    """Mean binary cross-entropy over all cells, probabilities clipped to [1e-7, 1 - 1e-7]."""
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(labels == 1, np.log(clipped), np.log1p(-clipped))))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("f1_macro", "macro-F1", "label", True, _f1_macro),
        Metric("f1_micro", "micro-F1", "shared", True, _f1_micro),
        Metric("f1_samples", "samples-F1", "shared", True, _f1_samples),
        Metric("jaccard_samples", "samples-Jaccard", "shared", True, _jaccard_samples),
        Metric("roc_auc_macro", "macro-AUC", None, True, _roc_auc_macro),
        Metric("log_loss", "log loss", None, False, _log_loss),
    )
}
