"""Meta-learners over numbers: regression targets, and grades as numbers on their scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Probabilities
from compete.competition.shape import Targets
from compete.stacking.ensemble.meta_learners import Parallel, RowFeatures
from compete.stacking.ensemble.ridge import fit_ridge

Floats = NDArray[np.float64]


def side_by_side(numbers: Probabilities) -> Floats:
    """The numbers of all models and targets, (n_rows, n_models * n_targets)."""
    n_models, n_rows, n_targets = np.shape(numbers)
    return np.asarray(np.asarray(numbers, dtype=np.float64).transpose(1, 0, 2).reshape(n_rows, n_models * n_targets))


@dataclass(frozen=True)
class Ridge:
    """One ridge regression per target over what all models say of all targets.

    The features are standardised on the rows of the fit, so that `alpha`, the strength of the L2 penalty, means the
    same for every model; it is 1 / C of a logistic regression.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = False
    alpha: float = 10.0

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> Affine:
        return Affine(*fit_ridge(side_by_side(probabilities), labels, self.alpha, constant=1e-6))


@dataclass(frozen=True)
class NonNegative:
    """Per target a weighted sum of the models' numbers, weights not negative, plus a constant (Lawson and Hanson 1974;
    Breiman 1996, "Stacked regressions", on why not negative)."""

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = True

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> Affine:
        from scipy.optimize import nnls

        n_models, _, n_targets = np.shape(probabilities)
        weights, constants = np.zeros((n_models, n_targets, n_targets)), np.zeros(n_targets)
        for target, y in enumerate(labels.T.astype(np.float64)):
            X = np.asarray(probabilities[:, :, target], dtype=np.float64).T
            spread = float(y.std()) or 1.0  # nnls takes small enough numbers for rounding
            found, _ = nnls((X - X.mean(axis=0)) / spread, (y - y.mean()) / spread)
            weights[:, target, target] = found
            constants[target] = y.mean() - X.mean(axis=0) @ found
        return Affine(weights.reshape(-1, n_targets), constants)


@dataclass(frozen=True)
class Affine:
    """Weighted sums of all numbers, plus a constant."""

    weights: Floats
    """(n_models * n_targets, n_targets)."""
    constants: Floats
    """(n_targets,)."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> Floats:
        return np.asarray(side_by_side(probabilities) @ self.weights + self.constants)
