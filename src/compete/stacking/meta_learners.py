"""Meta-learners: from the base models' probabilities to one probability per label.

Every array of base models has the shape (n_models, n_rows, n_labels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.stacking.logistic_regression import fit_logistic

# Probabilities of exactly 0 or 1 have no finite logit. A power of two, so that 1 - EPSILON is exact in float32
# too and the largest logit is minus the smallest (about 13.9).
EPSILON = 2.0**-20


class FittedMetaLearner(Protocol):
    def predict_proba(self, probabilities: Probabilities) -> NDArray[np.float64]:
        """From (n_models, n_rows, n_labels) to (n_rows, n_labels)."""
        ...


class MetaLearner(Protocol):
    """Learns to combine base models; knows nothing about folds."""

    def fit(self, probabilities: Probabilities, labels: Labels) -> FittedMetaLearner:
        """Fit on probabilities (n_models, n_rows, n_labels) and 0/1 labels (n_rows, n_labels)."""
        ...


def logits(probabilities: Probabilities) -> NDArray[np.float32]:
    """log(p / (1 - p)), with p clipped to [EPSILON, 1 - EPSILON]; same shape, float32."""
    clipped = np.clip(np.asarray(probabilities, dtype=np.float32), EPSILON, 1 - EPSILON)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def features(probabilities: Probabilities) -> NDArray[np.float32]:
    """The logits of all models and labels side by side, (n_rows, n_models * n_labels)."""
    n_models, n_rows, n_labels = np.shape(probabilities)
    side_by_side = np.empty((n_rows, n_models, n_labels), dtype=np.float32)
    for number, model in enumerate(probabilities):  # model by model: temporary arrays of one model's size
        side_by_side[:, number] = logits(model)
    return side_by_side.reshape(n_rows, n_models * n_labels)


@dataclass(frozen=True)
class Mean:
    """The plain mean of the base models' probabilities; nothing is fitted."""

    def fit(self, probabilities: Probabilities, labels: Labels) -> Mean:
        return self

    def predict_proba(self, probabilities: Probabilities) -> NDArray[np.float64]:
        return np.asarray(np.mean(probabilities, axis=0, dtype=np.float64))


@dataclass(frozen=True)
class Logistic:
    """One logistic regression per label over the logits of all models and all labels.

    Another label's logits are features too: joy speaks against anger. The features are standardised on the
    rows of the fit, so that `C`, the inverse strength of the L2 penalty, means the same for every model.
    """

    C: float = 0.05

    def fit(self, probabilities: Probabilities, labels: Labels) -> FittedLogistic:
        X = features(probabilities)
        center, scale = X.mean(axis=0), X.std(axis=0)
        # A constant column carries nothing. Its float32 deviation is rounding, which dividing would blow up.
        scale[scale <= 1e-4 * np.maximum(np.abs(center), 1)] = 1.0
        X -= center
        X /= scale
        return FittedLogistic(center, scale, *fit_logistic(X, labels, self.C))


@dataclass(frozen=True)
class FittedLogistic:
    """center, scale: (n_models * n_labels,); weights: (n_models * n_labels, n_labels)."""

    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def predict_proba(self, probabilities: Probabilities) -> NDArray[np.float64]:
        X = features(probabilities)
        X -= self.center
        X /= self.scale
        z = X @ self.weights.astype(np.float32) + self.intercepts
        return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))  # the sigmoid, without overflow
