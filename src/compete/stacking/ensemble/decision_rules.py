"""From probabilities to decisions: which rule, fitted on which rows, and how it is written down.

Macro-F1 is a mean over labels, so every label has a threshold of its own. Micro-F1 has one for all. The metrics that
average over rows (samples-F1, samples-Jaccard) are served best by deciding row by row (`per_row`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Metric, Probabilities, RuleName, f1_per_label
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.calibration import Calibration, fit_calibration
from compete.stacking.ensemble.per_row import best_decisions
from compete.stacking.ensemble.resampling import TAILS, resampled_gain
from compete.stacking.ensemble.thresholds import (
    DEFAULT,
    Thresholds,
    best_expected_f1_threshold,
    cross_fitted_f1_threshold,
    decide,
    fit_thresholds,
)

# So many positives weigh as much as the threshold that theory gives a label without a look at its best cut.
_SHRINKAGE = 100
Folds = NDArray[np.int16]


class Decision(Protocol):
    """A fitted rule."""

    @property
    def thresholds(self) -> Thresholds | None:
        """(n_labels,), or None for a rule that has none."""
        ...

    def decide(self, probabilities: Probabilities) -> NDArray[np.int8]:
        """0/1 decisions of the shape of `probabilities`."""
        ...

    def record(self) -> dict[str, Any]:
        """What `decision_from` needs, as JSON."""
        ...


@dataclass(frozen=True)
class Cut:
    """A label is predicted where its probability is at least its threshold."""

    thresholds: Thresholds

    def decide(self, probabilities: Probabilities) -> NDArray[np.int8]:
        return decide(probabilities, self.thresholds)

    def record(self) -> dict[str, Any]:
        return {"thresholds": self.thresholds.tolist()}


@dataclass(frozen=True)
class PerRow:
    """Every row gets the labels with the highest expected score under its calibrated probabilities."""

    metric: Metric
    calibration: Calibration
    thresholds: None = None

    def decide(self, probabilities: Probabilities) -> NDArray[np.int8]:
        return best_decisions(self.calibration.apply(probabilities), jaccard=self.metric.name == "jaccard_samples")

    def record(self) -> dict[str, Any]:
        slopes, intercepts = self.calibration.slopes.tolist(), self.calibration.intercepts.tolist()
        return {"per_row": self.metric.name, "slopes": slopes, "intercepts": intercepts}


def decision_from(record: Mapping[str, Any]) -> Decision:
    """The decision that `record` describes; raises KeyError if it describes none."""
    if "thresholds" in record:
        return Cut(np.array(record["thresholds"], dtype=np.float64))
    calibration = Calibration(np.array(record["slopes"]), np.array(record["intercepts"]))
    return PerRow(METRICS[record["per_row"]], calibration)


def default_rule(metric: Metric) -> RuleName:
    """The rule with the best honest score on real data (docs/stacking.md)."""
    if metric.thresholds is None:
        return "half"
    return "per_row" if metric.name in ("f1_samples", "jaccard_samples") else "cross_fitted"


def rules_for(metric: Metric) -> tuple[RuleName, ...]:
    """The rules that make sense for the metric."""
    if metric.thresholds is None:
        return ("half",)
    if metric.thresholds == "label":
        return ("empirical", "expected", "cross_fitted", "where_worth", "shrunk", "half")
    if metric.name == "f1_micro":
        return ("empirical", "expected", "cross_fitted", "half")
    return ("per_row", "empirical", "cross_fitted", "half")


def fit_rule(rule: RuleName, metric: Metric, labels: Labels, probabilities: Probabilities, folds: Folds) -> Decision:
    """Fit a rule on rows with labels and probabilities (n_rows, n_labels); folds (n_rows,) are for `cross_fitted`
    and `where_worth`.
    """
    if rule == "per_row":
        return PerRow(metric, fit_calibration(labels, probabilities))
    if rule == "half" or metric.thresholds is None:
        return Cut(np.full(labels.shape[1], DEFAULT))
    if rule == "expected":
        return Cut(_expected(metric, labels, probabilities))
    if rule == "cross_fitted":
        return Cut(_cross_fitted(metric, labels, probabilities, folds))
    if rule == "where_worth":
        return Cut(_where_worth(metric, labels, probabilities, folds))
    empirical = fit_thresholds(metric, labels, probabilities)
    return Cut(_shrunk(labels, probabilities, empirical) if rule == "shrunk" else empirical)


def _cross_fitted(metric: Metric, labels: Labels, probabilities: Probabilities, folds: Folds) -> Thresholds:
    if metric.thresholds == "label":
        columns = zip(labels.T, np.asarray(probabilities).T, strict=True)
        return np.array([cross_fitted_f1_threshold(y, column, folds) for y, column in columns])
    without = [folds != fold for fold in np.unique(folds)]
    if len(without) < 2:
        return fit_thresholds(metric, labels, probabilities)
    fitted = [fit_thresholds(metric, labels[rows], probabilities[rows]) for rows in without]
    return np.asarray(np.mean(fitted, axis=0))


def _where_worth(metric: Metric, labels: Labels, probabilities: Probabilities, folds: Folds) -> Thresholds:
    """Cross-fitted where they surely gain on rows that they were not fitted on, and DEFAULT elsewhere."""
    nothing = np.full(labels.shape[1], DEFAULT)
    if len(np.unique(folds)) < 2:  # no cut can be tried on rows that it was not fitted on
        return nothing
    decided = np.empty(labels.shape, dtype=np.int8)
    for fold in np.unique(folds):
        others, held_out = folds != fold, folds == fold
        fitted = _cross_fitted(metric, labels[others], probabilities[others], folds[others])
        decided[held_out] = decide(probabilities[held_out], fitted)
    low, _ = np.quantile(resampled_gain(labels, [decided], [decide(probabilities, nothing)]), TAILS, axis=0)
    return np.where(low > 0, _cross_fitted(metric, labels, probabilities, folds), nothing)


def _expected(metric: Metric, labels: Labels, probabilities: Probabilities) -> Thresholds:
    """Where calibrated probabilities promise the highest F1, given on the scale of the probabilities themselves."""
    calibrated = fit_calibration(labels, probabilities).apply(probabilities)
    if metric.name == "f1_micro":
        return np.full(labels.shape[1], best_expected_f1_threshold(probabilities.ravel(), calibrated.ravel()))
    columns = zip(np.asarray(probabilities).T, calibrated.T, strict=True)
    return np.array([best_expected_f1_threshold(raw, promised) for raw, promised in columns])


def _shrunk(labels: Labels, probabilities: Probabilities, empirical: Thresholds) -> Thresholds:
    """Thresholds of rare labels drawn towards half of the best F1, the optimum of calibrated probabilities.

    Lipton, Elkan and Naryanaswamy (2014), "Thresholding classifiers to maximize F1 score".
    """
    calibration = fit_calibration(labels, probabilities)
    half_best = np.clip(f1_per_label(labels, decide(probabilities, empirical)) / 2, 1e-6, 0.5)
    slopes = np.where(calibration.slopes > 0, calibration.slopes, 1.0)
    # The cut lies on the calibrated scale: calibration is undone to have it on that of the probabilities.
    in_theory = sigmoid((logits(half_best) - calibration.intercepts) / slopes)
    positives = labels.sum(axis=0)
    weight = positives / (positives + _SHRINKAGE)
    return np.asarray(weight * empirical + (1 - weight) * in_theory)
