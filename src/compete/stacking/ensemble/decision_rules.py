"""From predictions to decisions: which rule, fitted on which rows, and how it is written down.

Of labels, macro-F1 is a mean over labels, so every label has a threshold of its own. Micro-F1 has one for all. The
metrics that average over rows (samples-F1, samples-Jaccard) are served best by deciding row by row (`per_row`). Of
classes one is taken, after an offset (`class_offsets`). Numbers are cut into grades (`grade_cuts`), or stay numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Metric, Probabilities, f1_per_label
from compete.competition.rule_names import RuleName
from compete.competition.shape import Targets
from compete.logits import logits, sigmoid
from compete.stacking.ensemble import class_offsets, grade_cuts
from compete.stacking.ensemble.calibration import Calibration, fit_calibration
from compete.stacking.ensemble.per_row import best_decisions
from compete.stacking.ensemble.resampling import TAILS, resampled_gain
from compete.stacking.ensemble.thresholds import (
    BINARY,
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

    def decide(self, probabilities: Probabilities) -> Targets:
        """Decisions of the shape of `probabilities`: 0/1, one-hot of classes, grades; numbers as they are."""
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


@dataclass(frozen=True)
class Highest:
    """The class with the highest log-probability plus offset is taken."""

    offsets: NDArray[np.float64]
    """(n_classes,); 0 for the most probable class."""
    thresholds: None = None

    def decide(self, probabilities: Probabilities) -> Targets:
        return class_offsets.highest(probabilities, self.offsets)

    def record(self) -> dict[str, Any]:
        return {"offsets": self.offsets.tolist()}


@dataclass(frozen=True)
class Grades:
    """Numbers become grades where they are cut."""

    cuts: NDArray[np.float64]
    """(n_targets, n_grades - 1), not decreasing."""
    grades: NDArray[np.float64]
    """(n_grades,), increasing."""
    thresholds: None = None

    def decide(self, probabilities: Probabilities) -> Targets:
        columns = zip(np.asarray(probabilities).T, self.cuts, strict=True)
        return np.column_stack([grade_cuts.graded(x, cuts, self.grades) for x, cuts in columns]).astype(np.float32)

    def record(self) -> dict[str, Any]:
        return {"cuts": self.cuts.tolist(), "grades": self.grades.tolist()}


@dataclass(frozen=True)
class AsTheyAre:
    """Numbers are what is asked for."""

    thresholds: None = None

    def decide(self, probabilities: Probabilities) -> Targets:
        return probabilities

    def record(self) -> dict[str, Any]:
        return {"numbers": True}


def decision_from(record: Mapping[str, Any]) -> Decision:
    """The decision that `record` describes; raises KeyError if it describes none."""
    if "thresholds" in record:
        return Cut(np.array(record["thresholds"], dtype=np.float64))
    if "offsets" in record:
        return Highest(np.array(record["offsets"], dtype=np.float64))
    if "cuts" in record:
        return Grades(np.array(record["cuts"], dtype=np.float64), np.array(record["grades"], dtype=np.float64))
    if "numbers" in record:
        return AsTheyAre()
    calibration = Calibration(np.array(record["slopes"]), np.array(record["intercepts"]))
    return PerRow(METRICS[record["per_row"]], calibration)


def default_rule(metric: Metric) -> RuleName:
    """The rule with the best honest score on real data (docs/stacking.md)."""
    return rules_for(metric)[0]


_OF_GRADES: dict[str, tuple[RuleName, ...]] = {
    "quadratic_weighted_kappa": ("cross_fitted", "cuts", "rates", "rounded"),
    "accuracy": ("cross_fitted", "cuts", "rates", "rounded"),
}


def rules_for(metric: Metric) -> tuple[RuleName, ...]:
    """The rules that make sense for the metric, the default first."""
    if metric.kind == "numbers" or (metric.kind == "grades" and not metric.decides):
        return ("none",)
    if metric.kind == "grades":
        return _OF_GRADES.get(metric.name, ("rounded", "rates"))
    if metric.kind == "classes":
        fitted = metric.decides and metric.name in class_offsets.SCORES
        return ("cross_fitted", "offsets", "highest") if fitted else ("highest",)
    if metric.thresholds is None:
        return ("half",)
    if metric.name == "f1_macro":
        return ("cross_fitted", "empirical", "expected", "where_worth", "shrunk", "half")
    if metric.thresholds == "label":
        return ("cross_fitted", "empirical", "expected", "shrunk", "half")
    if metric.name == "f1_micro":
        return ("cross_fitted", "empirical", "expected", "half")
    if metric.name in ("f1_samples", "jaccard_samples"):
        return ("per_row", "empirical", "cross_fitted", "half")
    if metric.name in BINARY and metric.task is not None and metric.task.name == "binary":
        return ("cross_fitted", "empirical", "half")
    return ("half",)  # of other metrics no exact maximiser is known


def fit_rule(rule: RuleName, metric: Metric, labels: Targets, probabilities: Probabilities, folds: Folds) -> Decision:
    """Fit a rule on rows with what is true and what is predicted, (n_rows, n_outputs) each; folds (n_rows,) are for
    `cross_fitted` and `where_worth`.
    """
    if rule == "none":
        return AsTheyAre()
    if metric.kind == "classes":
        return Highest(_offsets(rule, metric, labels, probabilities, folds))
    if metric.kind == "grades":
        assert metric.task is not None  # it has the kind from there
        return _grades(rule, metric, np.array(metric.task.grades), labels, probabilities, folds)
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


def _offsets(
    rule: RuleName, metric: Metric, labels: Labels, probabilities: Probabilities, folds: Folds
) -> NDArray[np.float64]:
    """Offsets (n_classes,); cross-fitted ones are means, which move less from sample to sample."""
    if rule == "highest":
        return np.zeros(labels.shape[1])
    without = _without_each(folds) if rule == "cross_fitted" else [np.ones(len(labels), dtype=bool)]
    found = [class_offsets.best_offsets(metric.name, labels[rows], probabilities[rows]) for rows in without]
    return np.asarray(np.mean(found, axis=0))


def _grades(
    rule: RuleName,
    metric: Metric,
    grades: NDArray[np.float64],
    truth: Targets,
    numbers: Probabilities,
    folds: Folds,
) -> Grades:
    """Cuts of every target; cross-fitted ones are means."""
    best = grade_cuts.accuracy_cuts if metric.name == "accuracy" else grade_cuts.kappa_cuts
    cuts, step = [], float(np.diff(grades).min())
    scale = grades / step  # on which a cut may lie 1 beyond all numbers
    for column, x in zip(truth.T, np.asarray(numbers, dtype=np.float64).T / step, strict=True):
        # float32 has other digits than the scale: the very grades, or none equals another.
        y = scale[np.searchsorted(grade_cuts.rounding_cuts(grades), column.astype(np.float64))]
        if rule == "rounded":
            cuts.append(grade_cuts.rounding_cuts(scale))
        elif rule == "rates":
            cuts.append(grade_cuts.rate_cuts(y, x, scale))
        else:
            without = _without_each(folds) if rule == "cross_fitted" else [np.ones(len(y), dtype=bool)]
            cuts.append(np.mean([best(y[rows], x[rows], scale) for rows in without], axis=0))
    return Grades(step * np.array(cuts), grades)


def _without_each(folds: Folds) -> list[NDArray[np.bool_]]:
    """For every fold the other rows, (n_rows,); all rows where there is but one fold."""
    numbers = np.unique(folds)
    return [folds != fold for fold in numbers] if len(numbers) > 1 else [np.ones(len(folds), dtype=bool)]


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
