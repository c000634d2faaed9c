"""Blends: weighted means of the base models, their weights found by greedy forward selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.logits import EPSILON
from compete.stacking.ensemble.meta_learners import Parallel, RowFeatures

Cells = NDArray[np.float32]
SelectBy = Literal["f1", "log_loss"]
Gain = Callable[[Cells], float]
_BINS, _EQUAL = 512, 1e-9


@dataclass(frozen=True)
class Blend:
    """Greedy forward selection with replacement (Caruana et al. 2004).

    Model after model is added to the mean, each time the one that helps most, and the best of the means on the way is
    kept.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = True
    select_by: SelectBy = "f1"
    """What tells which model helps most: "f1", the macro-F1 at the best threshold of every label, or "log_loss"."""
    per_label: bool = False
    """Every label has weights of its own."""
    steps: int = 20

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedBlend:
        groups = [[label] for label in range(labels.shape[1])] if self.per_label else [list(range(labels.shape[1]))]
        models = np.asarray(probabilities, dtype=np.float32)
        weights = np.empty((len(models), labels.shape[1]))
        for group in groups:
            likelihood = _log_likelihood(labels[:, group])
            gain = _best_f1(labels[:, group]) if self.select_by == "f1" else likelihood
            weights[:, group] = _select(models[:, :, group], gain, likelihood, self.steps)[:, None]
        return FittedBlend(weights)


@dataclass(frozen=True)
class FittedBlend:
    """A weighted mean of the base models."""

    weights: NDArray[np.float64]
    """(n_models, n_labels), not negative; every label's sum is 1."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        return np.asarray(np.einsum("mrl,ml->rl", probabilities, self.weights, dtype=np.float64))


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
        equal = np.flatnonzero(gains > gains.max() - _EQUAL)
        model = int(max(equal, key=lambda each: of_equals(means[each]))) if len(equal) > 1 else int(equal[0])
        total += models[model]
        taken[model] += 1
        if gains[model] > best + _EQUAL:
            best, weights = gains[model], taken / taken.sum()
    return weights


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
