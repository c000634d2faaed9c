"""Calibration: probabilities that mean what they say, by two numbers per column, fitted on logits.

Platt (1999) scales and shifts the logits of a column, temperature scaling (Guo et al. 2017) only scales them. Neither
changes the order of the rows, so neither changes a threshold's best F1; they matter where columns are averaged, and
where a threshold is computed from the probabilities themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.logits import logits, sigmoid

Method = Literal["platt", "temperature"]
_STEPS = 100
_TOLERANCE = 1e-9  # of the log loss per row
# The weight of one row in two for a slope of 1: keeps the slope finite where a column tells its labels perfectly.
_PRIOR = 0.5


@dataclass(frozen=True)
class Calibration:
    """What turns a column's logits into those of calibrated probabilities."""

    slopes: NDArray[np.float64]
    """(n_labels,) or (n_models, 1, n_labels), as the probabilities it was fitted on; the intercepts too."""
    intercepts: NDArray[np.float64]

    def apply(self, probabilities: Probabilities) -> NDArray[np.float64]:
        """Calibrated probabilities of the same shape."""
        return sigmoid(self.slopes * logits(probabilities) + self.intercepts)


def fit_calibration(labels: Labels, probabilities: Probabilities, method: Method = "platt") -> Calibration:
    """Slope and intercept of every column's logits with the lowest log loss on these rows.

    labels: (n_rows, n_labels); probabilities: (n_rows, n_labels) or (n_models, n_rows, n_labels). Newton's method on
    all columns at once; a step that does not lower the loss of a column is halved for that column.
    """
    z = logits(probabilities).astype(np.float64)
    # From the flat solution, where the curvature is largest: far out, where a saturated column may begin, it is next to
    # nothing, and Newton's steps are astronomic.
    slopes, intercepts = np.zeros_like(z[..., :1, :]), np.zeros_like(z[..., :1, :])
    if method == "platt":
        # Half a row more of either class: a label of one class has finite log-odds, too.
        rates = (labels.sum(axis=0) + 0.5) / (len(labels) + 1)
        intercepts += np.log(rates) - np.log1p(-rates)
    loss = _loss(labels, z, slopes, intercepts)
    step = np.ones_like(slopes)
    for _ in range(_STEPS):
        by_slope, by_intercept = _newton(labels, z, slopes, intercepts, method)
        tried = slopes - step * by_slope, intercepts - step * by_intercept
        lower = _loss(labels, z, *tried)
        better = lower <= loss
        slopes, intercepts = np.where(better, tried[0], slopes), np.where(better, tried[1], intercepts)
        done = np.abs(loss - lower) < _TOLERANCE
        loss, step = np.where(better, lower, loss), np.where(better, 1.0, step / 2)
        if done.all():
            break
    return Calibration(_squeezed(slopes), _squeezed(intercepts))


def _squeezed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[0] if values.ndim == 2 else values


def _loss(
    labels: Labels, z: NDArray[np.float64], slopes: NDArray[np.float64], intercepts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cross-entropy per row of every column, with the prior."""
    u = slopes * z + intercepts
    entropy = (np.logaddexp(0, u) - labels * u).sum(axis=-2, keepdims=True)
    return np.asarray((entropy + _PRIOR * (slopes - 1) ** 2 / 2) / z.shape[-2])


def _newton(
    labels: Labels,
    z: NDArray[np.float64],
    slopes: NDArray[np.float64],
    intercepts: NDArray[np.float64],
    method: Method,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Newton step of slope and intercept."""
    p = sigmoid(slopes * z + intercepts)
    spread, residual = p * (1 - p) + 1e-9, p - labels
    g1 = (residual * z).sum(axis=-2, keepdims=True) + _PRIOR * (slopes - 1)
    h11 = (spread * z * z).sum(axis=-2, keepdims=True) + _PRIOR
    if method == "temperature":
        return g1 / h11, np.zeros_like(g1)
    # 1e-3: no prior keeps the intercept's curvature off 0 where a column is saturated.
    g0, h00 = residual.sum(axis=-2, keepdims=True), spread.sum(axis=-2, keepdims=True) + 1e-3
    h01 = (spread * z).sum(axis=-2, keepdims=True)
    determinant = h11 * h00 - h01**2
    return (h00 * g1 - h01 * g0) / determinant, (h11 * g0 - h01 * g1) / determinant
