"""Weights of the base models, found by Nelder and Mead's simplex."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from compete.competition.metrics import Probabilities
from compete.competition.shape import Targets
from compete.stacking.ensemble.blend import Blend, Cells, FittedBlend, Gain, surely_more
from compete.stacking.ensemble.meta_learners import Parallel, RowFeatures

Weights = NDArray[np.float64]
# How far on the way to each model the corners of the first simplex lie. Scores of decisions are steps: corners that lie
# nearer would often decide alike, and tell no direction.
_STEP = 0.25
_TRIES = 40  # weighings per model and start; five models settle in about thirty each
_PRECISE = 1e-3  # of a weight


@dataclass(frozen=True)
class NelderMead:
    """A weighted mean whose weights are moved freely, and not in the steps of a greedy blend.

    Nelder and Mead (1965), "A simplex method for function minimization", needs no slope, which scores of decisions do
    not have; of more than three models with the coefficients of Gao and Han (2012). It starts from the greedy blend and
    from the plain mean, and the better end is taken, so that on the rows of the fit it is never worse than either.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = True
    greedy: Blend = field(default_factory=Blend)
    """Where it starts, what weights must raise, which outputs share them, and whether they may be negative."""

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> FittedBlend:
        models = np.asarray(probabilities, dtype=np.float32)
        greedy = self.greedy.fit(models, labels)
        if len(models) == 1:
            return greedy
        weights = np.empty_like(greedy.weights)
        for group in self.greedy.groups(labels.shape[1]):
            gain, _ = self.greedy.gains(labels[:, group])
            allowed = _as_they_are if self.greedy.negative else nearest_shares
            found = _best_end(models[:, :, group], gain, greedy.weights[:, group[0]], allowed)
            weights[:, group] = found[:, None]
        return replace(greedy, weights=weights)


def nearest_shares(weights: Weights) -> Weights:
    """The nearest weights (n_models,) that are not negative and sum to 1.

    Duchi et al. (2008), "Efficient projections onto the l1-ball", figure 1: all are lowered by as much, and cut at 0.
    """
    falling = np.sort(weights)[::-1]
    lowered_by = (np.cumsum(falling) - 1) / np.arange(1, len(weights) + 1)
    last = int(np.flatnonzero(falling > lowered_by)[-1])
    return np.asarray(np.maximum(weights - lowered_by[last], 0))


def _as_they_are(weights: Weights) -> Weights:
    return weights


def _best_end(models: Cells, gain: Gain, greedy: Weights, allowed: Callable[[Weights], Weights]) -> Weights:
    """The better end of the two starts; models: (n_models, n_rows, n_outputs)."""
    # The best model first: the order that models come in then decides nothing.
    order = np.argsort([-gain(model) for model in models], kind="stable")
    ordered, found, best = np.ascontiguousarray(models[order]), greedy, -np.inf
    for start in (greedy, np.full(len(models), 1 / len(models))):
        end, reached = _search(ordered, gain, start[order], allowed)
        if surely_more(reached, best):
            best, found = reached, np.empty(len(models))
            found[order] = end
    return found


def _search(models: Cells, gain: Gain, start: Weights, allowed: Callable[[Weights], Weights]) -> tuple[Weights, float]:
    """Where the simplex ends that begins around `start`, and the gain there.

    It moves in all weights but the heaviest, which is what is left of 1.
    """
    heaviest = int(np.argmax(start))
    free = np.delete(np.arange(len(start)), heaviest)

    def whole(point: Weights) -> Weights:
        weights = np.empty(len(start))
        weights[free], weights[heaviest] = point, 1 - point.sum()
        return allowed(weights)

    def loss(point: Weights) -> float:
        return -gain(np.tensordot(whole(point).astype(np.float32), models, 1))

    corners = np.vstack([start[free], (1 - _STEP) * start[free] + _STEP * np.eye(len(free))])
    options = {
        "initial_simplex": corners,
        "adaptive": len(free) > 2,  # of one weight these coefficients shrink the simplex to a point
        "maxfev": _TRIES * len(start),
        "xatol": _PRECISE,
        "fatol": 1e-6 * abs(loss(start[free])),
    }
    found = minimize(loss, start[free], method="Nelder-Mead", options=options)
    return whole(found.x), -float(found.fun)
