"""Cuts between grades against brute force."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compete.stacking.ensemble.grade_cuts import (
    accuracy_cuts,
    divided,
    graded,
    kappa_cuts,
    rate_cuts,
    rounding_cuts,
)

Floats = NDArray[np.float64]
SCALES = ([0.0, 1.0], [-1.0, 0.0, 1.0], [1.0, 2.0, 5.0, 7.0])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Floats, Floats, Floats]:
    """True grades, numbers with many ties, and the scale, of which some grades may have no row."""
    grades = np.array(draw(st.sampled_from(SCALES)))
    n_rows = draw(st.integers(2, 8))
    truth = draw(st.lists(st.sampled_from(grades.tolist()), min_size=n_rows, max_size=n_rows))
    numbers = draw(st.lists(st.integers(-4, 4), min_size=n_rows, max_size=n_rows))
    return np.array(truth), np.array(numbers, dtype=np.float64) / 2, grades


def kappa(truth: Floats, given_: Floats) -> float:
    """Quadratic weighted kappa from the confusion matrix, as Cohen (1968) defines it; 0 where it has no value."""
    weights = (truth[:, None] - given_[None, :]) ** 2
    by_chance = weights.mean()
    return 1 - float(((truth - given_) ** 2).mean() / by_chance) if by_chance > 0 else 0.0


def accuracy(truth: Floats, given_: Floats) -> float:
    return float((truth == given_).mean())


def best_of_all(score: Callable[[Floats, Floats], float], truth: Floats, x: Floats, grades: Floats) -> float:
    values = np.unique(x)
    places = [values[0] - 1, *((values[1:] + values[:-1]) / 2), values[-1] + 1]
    tried = combinations_with_replacement(places, len(grades) - 1)
    return max(score(truth, graded(x, np.array(cuts), grades)) for cuts in tried)


@settings(max_examples=200, deadline=None)
@given(case=cases())
def test_no_cuts_have_a_higher_kappa(case: tuple[Floats, Floats, Floats]) -> None:
    truth, x, grades = case
    cuts = kappa_cuts(truth, x, grades)
    assert (np.diff(cuts) >= 0).all()
    assert kappa(truth, graded(x, cuts, grades)) == pytest.approx(best_of_all(kappa, truth, x, grades), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(case=cases())
def test_no_cuts_give_more_rows_their_grade(case: tuple[Floats, Floats, Floats]) -> None:
    truth, x, grades = case
    found = accuracy(truth, graded(x, accuracy_cuts(truth, x, grades), grades))
    assert found == pytest.approx(best_of_all(accuracy, truth, x, grades))


@settings(max_examples=100, deadline=None)
@given(case=cases(), seed=st.integers(0, 1000))
def test_the_cheapest_division_of_any_costs(case: tuple[Floats, Floats, Floats], seed: int) -> None:
    _, x, grades = case
    cost = np.random.default_rng(seed).normal(size=(len(grades), len(x)))

    def cheapness(_: Floats, given_: Floats) -> float:
        return -float(cost[np.searchsorted(grades, given_), np.arange(len(x))].sum())

    found = cheapness(x, graded(x, divided(cost, x), grades))
    assert found == pytest.approx(best_of_all(cheapness, x, x, grades))


def test_rounding_gives_the_nearest_grade_and_the_upper_one_in_the_middle() -> None:
    grades = np.array([-1.0, 0.0, 3.0])
    found = graded(np.array([-9, -0.51, -0.5, 1.4, 1.5, 9]), rounding_cuts(grades), grades)
    assert found.tolist() == [-1, -1, 0, 0, 3, 3]


def test_rates_give_every_grade_as_often_as_it_is_true() -> None:
    random = np.random.default_rng(0)
    grades = np.array([0.0, 1.0, 2.0])
    truth = random.choice(grades, size=300, p=[0.6, 0.1, 0.3])
    x = truth * 0.1 + random.normal(size=300)
    found = graded(x, rate_cuts(truth, x, grades), grades)
    assert [(found == grade).sum() for grade in grades] == [(truth == grade).sum() for grade in grades]


def test_cuts_of_shrunken_numbers_reach_the_outer_grades() -> None:
    random = np.random.default_rng(1)
    grades = np.arange(-3.0, 4.0)
    truth = random.choice(grades, size=2000)
    x = 0.4 * truth + 0.5 * random.normal(size=2000)  # as a ridge regression shrinks them
    plain = kappa(truth, graded(x, rounding_cuts(grades), grades))
    assert kappa(truth, graded(x, kappa_cuts(truth, x, grades), grades)) > plain + 0.1
