"""Metrics of grades (n_rows, n_targets): decisions on a scale, where two grades off is worse than one."""

from __future__ import annotations

import numpy as np

from compete.competition.metrics.metric import CONSTANT, Floats, Predicted, Truth, named, ratio


def _kappa_sums(truth: Truth, decided: Predicted) -> Floats:
    """(n_rows, 5 n_targets + 1): squared differences, truth and decision and their squares, and one."""
    true, guess = np.asarray(truth, dtype=np.float64), np.asarray(decided, dtype=np.float64)
    # Grades of 1001 to 1005 would lose digits in their squares; differences are the same from any zero.
    zero = true.mean(axis=0)
    true, guess = true - zero, guess - zero
    return np.column_stack([(true - guess) ** 2, true, guess, true**2, guess**2, np.ones(len(true))])


def _quadratic_weighted_kappa(totals: Floats) -> Floats:
    """Mean over targets of 1 - mean squared difference / that of the same grades dealt out by chance.

    Cohen (1968), "Weighted kappa". Differences are those of the grades themselves: of consecutive whole grades the
    value is scikit-learn's, which counts steps. Where truth and decisions are one and the same grade, chance would do
    as well, scikit-learn gives none, and it is 0.
    """
    differences, true, guess, true_square, guess_square = np.split(totals[:, :-1] / totals[:, -1:], 5, axis=1)
    by_chance = true_square + guess_square - 2 * true * guess
    by_chance = np.where(by_chance > CONSTANT * (true_square + guess_square), by_chance, 0.0)
    return np.asarray(ratio(by_chance - differences, by_chance).mean(axis=1))


METRICS_OF_GRADES = (named("quadratic_weighted_kappa", _kappa_sums, _quadratic_weighted_kappa, lowest=-1.0),)
