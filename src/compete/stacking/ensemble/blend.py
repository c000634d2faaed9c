"""Blends: weighted means of the base models, their weights found by greedy forward selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Metric, Probabilities
from compete.competition.shape import Targets
from compete.competition.task import are_probabilities
from compete.logits import EPSILON
from compete.stacking.ensemble.meta_learners import Parallel, RowFeatures
from compete.stacking.ensemble.thresholds import DEFAULT

Cells = NDArray[np.float32]
SelectBy = Literal["f1", "log_loss", "metric"]
Gain = Callable[[Cells], float]
_BINS = 512
# Gains that differ by less than this share of themselves are equal but for rounding.
_EQUAL = 1e-9
# Of the blend so far, what a model's part may be in a step that may also take away.
_PARTS = (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class Blend:
    """Greedy forward selection with replacement (Caruana et al. 2004).

    Model after model is added to the mean, each time the one that helps most, and the best of the means on the way is
    kept.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = True
    select_by: SelectBy = "f1"
    """What tells which model helps most: "f1", the macro-F1 at the best threshold of every label, "log_loss", or
    "metric", the metric of the blend as it is (of grades that are decided: its error, whatever they are cut at)."""
    per_label: bool = False
    """Every label has weights of its own."""
    steps: int = 20
    negative: bool = False
    """A model may also be taken away: weights may be below 0, and the sum of a column's stays 1."""
    metric: Metric = METRICS["f1_macro"]

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> FittedBlend:
        models = np.asarray(probabilities, dtype=np.float32)
        weights = np.empty((len(models), labels.shape[1]))
        for group in self.groups(labels.shape[1]):
            gain, of_equals = self.gains(labels[:, group])
            if self.negative:
                found = _climb(models[:, :, group], gain, self.steps)
            else:
                found = _select(models[:, :, group], gain, of_equals, self.steps)
            weights[:, group] = found[:, None]
        kind = self.metric.kind
        return FittedBlend(weights, self.negative and are_probabilities(kind), kind == "classes")

    def groups(self, n_labels: int) -> list[list[int]]:
        """The labels that share their weights, group by group."""
        return [[label] for label in range(n_labels)] if self.per_label else [list(range(n_labels))]

    def gains(self, truth: Targets) -> tuple[Gain, Gain]:
        """What weights must raise, and what tells models apart that raise it alike; both are functions of a weighted
        mean (n_rows, n_outputs), float32. truth: (n_rows, n_outputs).
        """
        if not are_probabilities(self.metric.kind):
            closeness = _closeness(truth)
            return (closeness if self.metric.decides else _of_metric(self.metric, truth)), closeness
        likelihood = _log_likelihood(truth) if self.metric.kind == "labels" else _log_likelihood_of_class(truth)
        if self.select_by == "f1":
            gain = _best_f1(truth)
        else:
            gain = _of_metric(self.metric, truth) if self.select_by == "metric" else likelihood
        if not self.negative:
            return gain, likelihood
        return (lambda mean: gain(bounded(mean, self.metric.kind == "classes"))), likelihood


@dataclass(frozen=True)
class FittedBlend:
    """A weighted mean of the base models."""

    weights: NDArray[np.float64]
    """(n_models, n_labels); every label's sum is 1."""
    bounded: bool = False
    """Whether results are probabilities that negative weights may take out of [0, 1]."""
    sums_to_one: bool = False
    """Whether they are those of classes."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        mean = np.asarray(np.einsum("mrl,ml->rl", probabilities, self.weights, dtype=np.float64))
        return bounded(mean, self.sums_to_one) if self.bounded else mean


def _select(models: Cells, gain: Gain, of_equals: Gain, steps: int) -> NDArray[np.float64]:
    """Weights (n_models,) of the best mean that greedy selection passes; models: (n_models, n_rows, n_labels).

    of_equals: chooses between models of equal gain, so that their order does not.
    """
    total = np.zeros(models.shape[1:], dtype=np.float32)
    taken = np.zeros(len(models))
    best, weights = -np.inf, taken
    for step in range(steps):
        means = [(total + model) / np.float32(step + 1) for model in models]
        gains = np.array([gain(mean) for mean in means])
        equal = np.flatnonzero(gains >= gains.max() - _EQUAL * abs(gains.max()))
        model = int(max(equal, key=lambda each: of_equals(means[each]))) if len(equal) > 1 else int(equal[0])
        total += models[model]
        taken[model] += 1
        if surely_more(gains[model], best):
            best, weights = gains[model], taken / taken.sum()
    return weights


def surely_more(gain: float, than: float) -> bool:
    """Whether a gain is greater by more than rounding."""
    return bool(gain - than > _EQUAL * abs(gain))


def bounded(cells: NDArray[Any], sums_to_one: bool) -> NDArray[Any]:
    """Cells (n_rows, n_outputs) brought back into [0, 1]; of classes, every row's sum to 1."""
    inside: NDArray[Any] = np.clip(cells, 0, 1)
    if not sums_to_one:
        return inside
    total = inside.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, inside / np.maximum(total, 1e-12), 1 / cells.shape[1])
    return np.asarray(shares, dtype=cells.dtype)


def _climb(models: Cells, gain: Gain, steps: int) -> NDArray[np.float64]:
    """Weights (n_models,) of sum 1 that hill climbing ends at: the best model alone, to which in every step the part of
    a model is added, or taken away, that helps most; until none helps."""
    alone = [gain(model) for model in models]
    weights = np.eye(len(models))[int(np.argmax(alone))]
    best, blend = max(alone), models[int(np.argmax(alone))]
    for _ in range(steps):
        moves = [(number, part) for number in range(len(models)) for part in _PARTS]
        gains = [gain((1 - part) * blend + part * models[number]) for number, part in moves]
        reached, (number, part) = max(zip(gains, moves, strict=True))
        if not surely_more(reached, best):
            break
        best, blend = reached, (1 - part) * blend + part * models[number]
        weights = (1 - part) * weights
        weights[number] += part
    return np.asarray(weights)


def _of_metric(metric: Metric, truth: Targets) -> Gain:
    """The metric of the blend; where decisions are scored, of the most probable class, or of labels at one half."""

    def gain(mean: Cells) -> float:
        if not metric.decides:
            return metric.sign * metric.compute(truth, mean)
        decided = mean >= mean.max(axis=1, keepdims=True) if metric.kind == "classes" else mean >= DEFAULT
        return metric.sign * metric.compute(truth, decided.astype(np.int8))

    return gain


def _closeness(truth: Targets) -> Gain:
    """Minus the mean squared error, every target in its own standard deviations."""
    spread = truth.std(axis=0)
    spread[spread == 0] = 1.0
    return lambda mean: -float((((mean - truth) / spread) ** 2).mean(dtype=np.float64))


def _log_likelihood_of_class(labels: Labels) -> Gain:
    truth, rows = labels.argmax(axis=1), np.arange(len(labels))
    return lambda mean: float(np.log(np.maximum(mean[rows, truth], EPSILON)).mean(dtype=np.float64))


def _log_likelihood(labels: Labels) -> Gain:
    positive = labels == 1

    def gain(mean: Cells) -> float:
        given = np.where(positive, mean, 1 - mean)
        return float(np.log(np.maximum(given, EPSILON)).mean(dtype=np.float64))

    return gain


def _best_f1(labels: Labels) -> Gain:
    """Macro-F1 at the best threshold of every label, on a grid of _BINS: exact thresholds would take a sort each."""
    n_labels = labels.shape[1]
    # Every label has _BINS bins of its own, one label's after another's: a single bincount counts them all.
    offsets = (np.arange(n_labels) * _BINS).astype(np.int32)
    positive, positives = labels == 1, (labels == 1).sum(axis=0)[:, None]

    def predicted(bins: NDArray[np.int32]) -> NDArray[np.int64]:
        """Cells at or above every bin, (n_labels, _BINS)."""
        counts = np.bincount(bins, minlength=_BINS * n_labels).reshape(n_labels, _BINS)
        return np.cumsum(counts[:, ::-1], axis=1)

    def gain(mean: Cells) -> float:
        bins = np.minimum((mean * _BINS).astype(np.int32), _BINS - 1) + offsets
        f1 = 2 * predicted(bins[positive]) / np.maximum(predicted(bins.ravel()) + positives, 1)
        return float(f1.max(axis=1).mean())

    return gain
