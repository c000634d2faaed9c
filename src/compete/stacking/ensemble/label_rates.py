"""How often every label occurs in rows without labels, told from out-of-fold and test probabilities; how sure that is.

What may differ between train and test is how often labels occur, alone and together, not what rows with the same labels
look like (label shift: Saerens, Latinne and Decaestecker 2002; Lipton, Wang and Smola 2018). The test set is then the
training set with row i weighted by exp(theta . y_i), and theta is what makes the weighted mean of every out-of-fold
column the mean of the test column. Nothing but means is compared: over many rows, the mean of K models has the mean
that the models have one by one, so that it does no harm that an OOF row has one model and a test row K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.calibration import Calibration

Floats = NDArray[np.float64]
# Log-odds of a label before anything is known of the test set: one time in twenty they move by more than 2, which is a
# factor of 7.
_PRIOR = 1.0
# Rows with the same labels never look quite alike in train and test: the mean of a column may differ by so much of its
# standard deviation. Of 10,000 rows, that is as much as chance makes it differ.
_DRIFT = 0.01
# Standard errors to each side. 1.96 of them held 91 of 100 doubled rates among those that are told, since intervals
# that are narrow by chance are told more often; these held 93.
_LEVEL = 2.2
# Upper end over lower end, in odds. An interval that spans more cannot tell half of a rate from twice the rate.
_WIDEST = 5.0
# Training rows with a label, and without: what fewer look like is not known well enough to know how well it is known.
_FEWEST = 50
_STEPS, _TOLERANCE = 50, 1e-7
_MOST_ROWS = 100_000


@dataclass(frozen=True)
class LabelRates:
    """Estimated rates of the labels in the test set with the ends of their 95 % intervals, (n_labels,) each.

    NaN in all three where the probabilities cannot tell.
    """

    rates: Floats
    low: Floats
    high: Floats

    @property
    def told(self) -> NDArray[np.bool_]:
        """(n_labels,)"""
        return np.asarray(~np.isnan(self.rates))

    def record(self) -> list[dict[str, float] | None]:
        """A label after the other, None where nothing can be told."""
        rows = zip(self.rates.tolist(), self.low.tolist(), self.high.tolist(), strict=True)
        return [None if rate != rate else {"rate": rate, "low": low, "high": high} for rate, low, high in rows]


def rates_from(record: list[dict[str, float] | None]) -> LabelRates:
    """The inverse of LabelRates.record."""
    unknown = {"rate": np.nan, "low": np.nan, "high": np.nan}
    rows = [unknown if row is None else row for row in record]
    return LabelRates(*(np.array([row[key] for row in rows]) for key in ("rate", "low", "high")))


@dataclass(frozen=True)
class LabelShift:
    """From probabilities of a model to what they would be at other label rates, on the same scale."""

    calibration: Calibration
    """What makes the model's probabilities right at `before`."""
    before: Floats
    """Rates (n_labels,); then those that are corrected for."""
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


def shifted_rates(before: Floats, found: LabelRates) -> Floats:
    """Rates (n_labels,) to correct for: the estimate where its interval leaves out the rate `before`, else `before`."""
    surely_other = found.told & ~((found.low <= before) & (before <= found.high))
    return np.where(surely_other, found.rates, before)


def estimate_rates(labels: Labels, oof: Probabilities, test: Probabilities) -> LabelRates:
    """How often every label occurs in the test rows, with 95 % intervals.

    labels: (n_rows, n_labels) of 0 and 1; oof: (n_rows, n_labels), out of fold; test: (n_test, n_labels), by the same
    model or by the mean of the K models of the folds. Means of several models may be given, but nothing else that is
    computed from a row's probabilities: their mean would not be the mean of what one model gives.

    The estimate is the mean of a Gaussian posterior: theta has a prior of mean 0, the column means have an error
    that counts training rows, test rows and _DRIFT. Not told is a label of nearly all training rows or of nearly none,
    one whose column is constant, and one whose interval would be too wide to say anything.
    """
    labels, oof, test = labels[_some_rows(labels)], oof[_some_rows(oof)], test[_some_rows(test)]
    enough = np.minimum((labels == 1).sum(axis=0), (labels == 0).sum(axis=0)) >= _FEWEST
    varies = (labels.max(axis=0) > labels.min(axis=0)) & (oof.max(axis=0) > oof.min(axis=0))
    unknown = np.full(labels.shape[1], np.nan)
    found = LabelRates(unknown, unknown.copy(), unknown.copy())
    if len(test) and varies.any():
        rates, errors = _posterior(labels[:, varies], oof[:, varies], test[:, varies])
        # On the scale of log-odds, whose derivative by a rate is 1 / (rate (1 - rate)): a rate has no interval that
        # reaches below 0.
        middle, spread = _log_odds(rates), _LEVEL * errors / np.clip(rates * (1 - rates), 1e-9, None)
        # The ends are 2 * spread apart in log-odds, which is a factor of exp(2 * spread) in odds.
        told = enough[varies] & (np.exp(np.minimum(2 * spread, 50)) < _WIDEST)
        for values, of in ((found.rates, middle), (found.low, middle - spread), (found.high, middle + spread)):
            values[varies] = np.where(told, sigmoid(of), np.nan)
    return found


def _posterior(labels: Labels, oof: Probabilities, test: Probabilities) -> tuple[Floats, Floats]:
    """Rates and their standard errors, (n_labels,) each.

    Around theta, the rates of the test rows are those of the weighted training rows plus a deviation, and so are the
    means of the columns. The deviations of both come from the same rows, so what the columns' tells of the labels'.
    """
    n_labels = labels.shape[1]
    rows = np.hstack([labels, oof]).astype(np.float64)
    seen, theta = test.mean(axis=0, dtype=np.float64), np.zeros(n_labels)
    for _ in range(_STEPS):
        at = _Weighted.by(theta, rows, n_labels, len(test))
        weights = np.linalg.solve(at.noise, at.by_theta)
        spread = np.linalg.inv(at.by_theta.T @ weights + np.eye(n_labels) / _PRIOR**2)
        step = spread @ (weights.T @ (seen - at.columns) - theta / _PRIOR**2)
        # No step changes a log-odds by more than 1: what it was computed from holds near theta only.
        theta = theta + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < _TOLERANCE:
            break
    told = np.linalg.solve(at.noise, at.shared).T
    slope = at.rates_by_theta - told @ at.by_theta
    variance = np.diag(slope @ spread @ slope.T) + np.maximum(np.diag(at.rates_noise - told @ at.shared), 0)
    rates = at.rates + told @ (seen - at.columns)
    return np.clip(rates, 1e-6, 1 - 1e-6), np.sqrt(variance)


@dataclass(frozen=True)
class _Weighted:
    """Training rows weighted by exp(theta . y): moments of labels and columns."""

    rates: Floats
    """Means, (n_labels,): of the labels, then of the columns."""
    columns: Floats
    rates_by_theta: Floats
    """Their derivatives, the labels' first."""
    by_theta: Floats
    rates_noise: Floats
    """Covariances of what they differ by from the test rows', by chance in both: of the labels, of the columns, then of
    columns with labels."""
    noise: Floats
    shared: Floats

    @classmethod
    def by(cls, theta: Floats, rows: Floats, n_labels: int, n_test: int) -> _Weighted:
        """rows: (n_rows, 2 * n_labels), labels and then columns."""
        exponents = rows[:, :n_labels] @ theta
        weights = np.exp(exponents - exponents.max())
        weights /= weights.sum()
        mean = weights @ rows
        centred = rows - mean
        covariance = (centred * weights[:, None]).T @ centred
        noise = covariance / n_test + (centred * (weights**2)[:, None]).T @ centred
        y, s = slice(0, n_labels), slice(n_labels, None)
        # The smallest of numbers keeps the matrix invertible where one column is the sum of others.
        drift = np.diag(_DRIFT**2 * np.diag(covariance)[s] + 1e-12)
        return cls(mean[y], mean[s], covariance[y, y], covariance[s, y], noise[y, y], noise[s, s] + drift, noise[s, y])


def _some_rows(values: Labels | Probabilities) -> slice:
    """Of very many rows, some: more tell nothing that _DRIFT does not hide."""
    return slice(None, None, max(1, -(-len(values) // _MOST_ROWS)))


def _log_odds(rates: Floats) -> Floats:
    clipped = np.clip(rates, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
