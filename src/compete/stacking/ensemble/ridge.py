"""Ridge regression: of probabilities here, and what that of numbers shares with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.competition.shape import Targets
from compete.stacking.ensemble.blend import bounded
from compete.stacking.ensemble.class_learners import log_features
from compete.stacking.ensemble.meta_learners import Parallel, RowFeatures, features

Floats = NDArray[np.float64]


def fit_ridge(X: NDArray[Any], truth: Targets, alpha: float, constant: float) -> tuple[Floats, Floats]:
    """Weights (n_features, n_outputs) and constants (n_outputs,) of one ridge regression per output.

    The features X (n_rows, n_features) are standardised on these rows, so that `alpha`, the strength of the L2 penalty,
    means the same for every model; the constants are not penalised. A column whose deviation is at most the share
    `constant` of its greatest number is taken for constant: it carries nothing, and dividing by rounding would blow it
    up.
    """
    X = np.asarray(X, dtype=np.float64)
    center, scale = X.mean(axis=0), X.std(axis=0)
    scale[scale <= constant * np.abs(X).max(axis=0)] = 1.0
    X = (X - center) / scale
    y = truth.astype(np.float64)
    weights = np.linalg.solve(X.T @ X + alpha * np.eye(X.shape[1]), X.T @ (y - y.mean(axis=0)))
    weights /= scale[:, None]
    return weights, y.mean(axis=0) - center @ weights


@dataclass(frozen=True)
class ProbabilityRidge:
    """One ridge regression of 0 and 1 per output, over the logits of all models and labels or, of classes, over their
    log-probabilities; cut to [0, 1], of classes brought to a sum of 1.

    It minimises the squared error where `Logistic` minimises the log loss, and is solved at once.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = False
    alpha: float = 10.0
    classes: bool = False

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedRidge:
        X = log_features(probabilities) if self.classes else features(probabilities)
        return FittedRidge(*fit_ridge(X, labels, self.alpha, constant=1e-4), self.classes)


@dataclass(frozen=True)
class FittedRidge:
    weights: Floats
    """(n_models * n_outputs, n_outputs)."""
    constants: Floats
    """(n_outputs,)."""
    classes: bool

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> Floats:
        X = log_features(probabilities) if self.classes else features(probabilities)
        return np.asarray(bounded(X.astype(np.float64) @ self.weights + self.constants, self.classes))
