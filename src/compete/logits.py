"""From probabilities to logits and back, of labels and of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Probabilities of exactly 0 or 1 have no finite logit. A power of two, so that 1 - EPSILON is exact in float32
# too and the largest logit is minus the smallest (about 13.9).
EPSILON = 2.0**-20
# What a class's probability is at the least before its logarithm is taken.
SMALLEST = 1e-7


def logits(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """log(p / (1 - p)), with p clipped to [EPSILON, 1 - EPSILON]; same shape, float32."""
    clipped = np.clip(np.asarray(probabilities, dtype=np.float32), EPSILON, 1 - EPSILON)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def sigmoid(logits: NDArray[np.generic]) -> NDArray[np.float64]:
    """1 / (1 + exp(-logits)), without overflow; same shape, float64."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(logits, dtype=np.float64))))


def softmax(logits: NDArray[np.generic]) -> NDArray[np.float64]:
    """exp(logits), divided by the sum over the last axis, without overflow; same shape, float64."""
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def log_probabilities(probabilities: NDArray[np.generic]) -> NDArray[np.float64]:
    """Natural logarithms, those of less than SMALLEST cut off; same shape, float64."""
    return np.asarray(np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), SMALLEST)))
