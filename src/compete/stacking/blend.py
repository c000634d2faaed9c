"""Blends: weighted means of the base models, their weights found by greedy forward selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.stacking.logits import EPSILON
from compete.stacking.meta_learners import RowFeatures


@dataclass(frozen=True)
class Blend:
    """Greedy forward selection with replacement (Caruana et al. 2004), for the lowest log loss.

    Model after model is added to the mean, each time the one that lowers the log loss most, and the best of the means
    on the way is kept. Log loss, not the competition's metric: it looks at every row, where F1 only looks at those near
    the threshold, so the choice is less of a gamble.

    per_label: every label has weights of its own.
    """

    at_once: ClassVar[bool] = True
    per_label: bool = False
    steps: int = 40

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedBlend:
        # The probability that each model gave to what came true. Means of these are means of the probabilities.
        given = np.where(labels == 1, probabilities, 1 - np.asarray(probabilities)).astype(np.float32)
        np.clip(given, EPSILON, None, out=given)
        groups = [[label] for label in range(labels.shape[1])] if self.per_label else [list(range(labels.shape[1]))]
        weights = np.empty((len(given), labels.shape[1]))
        for group in groups:
            weights[:, group] = _select(given[:, :, group], self.steps)[:, None]
        return FittedBlend(weights)


@dataclass(frozen=True)
class FittedBlend:
    """weights: (n_models, n_labels), not negative; every label's sum is 1."""

    weights: NDArray[np.float64]

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        return np.asarray(np.einsum("mrl,ml->rl", probabilities, self.weights, dtype=np.float64))


def _select(given: NDArray[np.float32], steps: int) -> NDArray[np.float64]:
    """Weights (n_models,) of the best mean that greedy selection passes; given: (n_models, n_rows, n_labels)."""
    total = np.zeros(given.shape[1:], dtype=np.float32)
    taken = np.zeros(len(given))
    best, weights = np.inf, taken
    for _ in range(steps):
        losses = [-float(np.log(total + model).mean(dtype=np.float64)) for model in given]
        model = int(np.argmin(losses))
        total += given[model]
        taken[model] += 1
        loss = losses[model] + np.log(taken.sum())
        if loss < best - 1e-12:
            best, weights = loss, taken / taken.sum()
    return weights
