"""How often every label occurs in rows without labels, from calibrated probabilities.

Saerens, Latinne and Decaestecker (2002), "Adjusting the outputs of a classifier to new a priori probabilities".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Probabilities
from compete.stacking.calibration import Calibration
from compete.stacking.logits import logits, sigmoid

Floats = NDArray[np.float64]
_STEPS = 1000


@dataclass(frozen=True)
class LabelShift:
    """From probabilities of a model to what they would be at other label rates, on the same scale.

    calibration: what makes the model's probabilities right at `before`; before, after: rates (n_labels,).
    """

    calibration: Calibration
    before: Floats
    after: Floats

    def apply(self, probabilities: Probabilities) -> Floats:
        """(n_rows, n_labels); the thresholds of the uncorrected probabilities hold for them too.

        Other rates move calibrated logits by a constant, so they move a model's logits by that constant over its
        slope. A column that tells nothing of its label, with a slope of 0 or less, stays as it is.
        """
        constant = _log_odds(self.after) - _log_odds(self.before)
        slopes = self.calibration.slopes
        moved = sigmoid(logits(probabilities) + constant / np.where(slopes > 0, slopes, 1.0))
        return np.asarray(np.where((slopes > 0) & (constant != 0), moved, probabilities))


def estimate_rates(calibrated: Probabilities, training_rates: Floats) -> Floats:
    """Rates (n_labels,) of the labels in new rows, by expectation maximisation.

    calibrated: (n_rows, n_labels), right for rows with `training_rates`. What may differ is how often a label occurs,
    not what its rows look like.
    """
    rates = training_rates.copy()
    for _ in range(_STEPS):
        new = shifted(calibrated, training_rates, rates).mean(axis=0)
        if np.abs(new - rates).max() < 1e-7:
            return np.asarray(new)
        rates = new
    return np.asarray(rates)


def rate_errors(calibrated: Probabilities, training_rates: Floats, rates: Floats) -> Floats:
    """Standard errors (n_labels,) of estimated rates, from the curvature of their likelihood.

    At most 1, which says that nothing is known. They count the rows and how well the probabilities tell them
    apart, and take the probabilities to be calibrated.
    """
    p, before = np.asarray(calibrated, dtype=np.float64), np.clip(training_rates, 1e-9, 1 - 1e-9)
    yes, no = p / before, (1 - p) / (1 - before)
    information = (((yes - no) / np.maximum(rates * yes + (1 - rates) * no, 1e-9)) ** 2).sum(axis=0)
    return np.asarray(1 / np.sqrt(np.maximum(information, 1.0)))


def shifted(calibrated: Probabilities, training_rates: Floats, rates: Floats) -> Floats:
    """Calibrated probabilities (n_rows, n_labels) as they are where labels occur at `rates`."""
    return sigmoid(logits(calibrated) + (_log_odds(rates) - _log_odds(training_rates)))


def _log_odds(rates: Floats) -> Floats:
    clipped = np.clip(rates, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
