"""Cuts between grades: where numbers become grades, by the exact optimum of the metric on the rows of the fit.

Numbers are sorted once; grades then are stretches of them. The best division under a cost that is a sum over rows is
found by dynamic programming, and quadratic weighted kappa, a ratio of two such sums, by a few of these (Dinkelbach
1967, "On nonlinear fractional programming").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_STEPS = 50


def graded(numbers: NDArray[np.generic], cuts: Floats, grades: Floats) -> Floats:
    """Grades (n_rows,) of numbers (n_rows,): the lowest below the first cut, the next from there on, and so on.

    cuts: (n_grades - 1,), not decreasing.
    """
    return np.asarray(grades[np.searchsorted(cuts, np.asarray(numbers, dtype=np.float64), side="right")])


def rounding_cuts(grades: Floats) -> Floats:
    """Cuts (n_grades - 1,) that give every number the nearest grade."""
    return np.asarray((grades[1:] + grades[:-1]) / 2)


def rate_cuts(truth: Floats, numbers: Floats, grades: Floats) -> Floats:
    """Cuts that give every grade as often as it is true, as nearly as ties allow; all (n_rows,) but the grades."""
    below = np.cumsum([(truth == grade).sum() for grade in grades[:-1]])
    return np.array([cut_between(np.sort(numbers), int(count)) for count in below])


def kappa_cuts(truth: Floats, numbers: Floats, grades: Floats) -> Floats:
    """Cuts with the highest quadratic weighted kappa that any cuts have on these rows.

    truth: true grades (n_rows,); numbers: (n_rows,). Kappa is 1 - N / D, both sums over rows: N of (given - true)^2,
    D of given^2 + true^2 - 2 given mean(true). The division that minimises N - r D, with r the ratio reached so far,
    has a lower ratio until none has.
    """
    mean, cuts = float(truth.mean()), rounding_cuts(grades)
    ratio = _ratio(truth, graded(numbers, cuts, grades), mean)
    for _ in range(_STEPS):
        cost = (grades[:, None] - truth) ** 2 - ratio * (grades**2 - 2 * grades * mean)[:, None]
        tried = divided(cost, numbers)
        reached = _ratio(truth, graded(numbers, tried, grades), mean)
        if not reached < ratio - 1e-12:
            break
        ratio, cuts = reached, tried
    return cuts


def accuracy_cuts(truth: Floats, numbers: Floats, grades: Floats) -> Floats:
    """Cuts that give the most rows their true grade."""
    return divided((grades[:, None] != truth).astype(np.float64), numbers)


def divided(cost: Floats, numbers: Floats) -> Floats:
    """Cuts (n_grades - 1,) of the division of the sorted numbers into stretches with the lowest sum of costs.

    cost: (n_grades, n_rows), of giving a row a grade; numbers: (n_rows,). O(n_grades n_rows) after a sort; equal
    numbers are never parted. A grade may be given to no row.
    """
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    # Of the first 0, 1, 2 ... rows; only between rows that differ may a stretch end.
    total = np.hstack([np.zeros((len(cost), 1)), np.cumsum(cost[:, order], axis=1)])
    ends = np.append(True, np.append(np.diff(numbers) > 0, True))
    best = np.where(ends, total[0], np.inf)
    begins = []
    for of_grade in total[1:]:
        from_here = best - of_grade
        lowest = np.minimum.accumulate(from_here)
        # Where the lowest so far was reached: the stretch of this grade begins there.
        at = np.maximum.accumulate(np.where(from_here <= lowest, np.arange(len(best)), 0))
        begins.append(at)
        best = np.where(ends, of_grade + from_here[at], np.inf)
    gone, cuts = len(numbers), []
    for at in reversed(begins):
        gone = int(at[gone])
        cuts.append(cut_between(numbers, gone))
    return np.array(cuts[::-1])


def _ratio(truth: Floats, given: Floats, mean: float) -> float:
    disagreement = float(((given - truth) ** 2).sum())
    by_chance = float((given**2 + truth**2 - 2 * given * mean).sum())
    return disagreement / by_chance if by_chance > 0 else (np.inf if disagreement else 0.0)


def cut_between(ascending: Floats, below: int) -> float:
    """A cut with the first `below` numbers below it and no other."""
    if below <= 0:
        return float(ascending[0] - 1)
    if below >= len(ascending):
        return float(ascending[-1] + 1)
    middle = (ascending[below - 1] + ascending[below]) / 2
    return float(middle if middle > ascending[below - 1] else ascending[below])
