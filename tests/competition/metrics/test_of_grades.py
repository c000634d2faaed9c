from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from compete.competition.metrics import METRICS

KAPPA = METRICS["quadratic_weighted_kappa"]
GRADES = st.integers(1, 5)


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(GRADES, GRADES), min_size=1, max_size=15), zero=st.sampled_from([0, 1000]))
def test_kappa_of_consecutive_grades_is_scikit_learns(pairs: list[tuple[int, int]], zero: int) -> None:
    truth, decided = np.array(pairs, dtype=np.float32).T[:, :, None] + np.float32(zero)
    found = KAPPA.compute(truth, decided)
    if len({grade for pair in pairs for grade in pair}) == 1:
        assert found == 0  # scikit-learn has none
        return
    grades = [zero + grade for grade in range(1, 6)]
    expected = cohen_kappa_score(truth[:, 0].astype(int), decided[:, 0].astype(int), labels=grades, weights="quadratic")
    assert found == pytest.approx(expected, abs=1e-9)


def test_kappa_is_the_mean_over_targets() -> None:
    truth = np.array([[1, 1], [2, 2], [3, 3]], dtype=np.float32)
    decided = np.array([[1, 3], [2, 2], [3, 1]], dtype=np.float32)
    assert KAPPA.compute(truth, decided) == pytest.approx((1 - 1) / 2)
    assert KAPPA.compute(truth[:, :1], decided[:, :1]) == pytest.approx(1)


def test_kappa_looks_at_grades_and_not_at_steps_between_them() -> None:
    truth, decided = (np.array([column], dtype=np.float32).T for column in ([0, 1, 4, 4], [0, 4, 4, 1]))
    by_chance = np.mean((truth - decided.T) ** 2)
    assert KAPPA.compute(truth, decided) == pytest.approx(1 - np.mean((truth - decided) ** 2) / by_chance)


def test_kappa_against_one_grade_throughout_is_0() -> None:
    truth, decided = np.array([[1], [2], [3]], dtype=np.float32), np.full((3, 1), 2, dtype=np.float32)
    assert KAPPA.compute(truth, decided) == pytest.approx(0)
    assert KAPPA.compute(decided, truth) == pytest.approx(0)
