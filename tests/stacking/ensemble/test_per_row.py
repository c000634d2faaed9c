"""Decisions row by row against enumeration: every set of labels, under every outcome."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compete.stacking.ensemble import per_row
from compete.stacking.ensemble.per_row import best_decisions

MEASURES = pytest.mark.parametrize("jaccard", [False, True], ids=["f1", "jaccard"])
# Few distinct values make ties; 0 and 1 leave no doubt.
CHANCES = st.sampled_from([0.0, 0.01, 0.2, 0.5, 0.9, 1.0]) | st.floats(0, 1)


def score(taken: tuple[int, ...], true: tuple[int, ...], jaccard: bool) -> float:
    hits = sum(t and o for t, o in zip(taken, true, strict=True))
    counted = sum(taken) + sum(true)
    if not counted:
        return 0.0
    return hits / (counted - hits) if jaccard else 2 * hits / counted


def expected_score(taken: tuple[int, ...], chances: list[float], jaccard: bool) -> float:
    """Mean score over all outcomes, the labels independent of one another."""
    outcomes = product((0, 1), repeat=len(chances))
    weighted = (
        np.prod([p if o else 1 - p for p, o in zip(chances, true, strict=True)]) * score(taken, true, jaccard)
        for true in outcomes
    )
    return float(sum(weighted))


def taken_in(chances: list[float], jaccard: bool) -> tuple[int, ...]:
    return tuple(best_decisions(np.array([chances]), jaccard=jaccard)[0].tolist())


@MEASURES
@given(chances=st.lists(CHANCES, min_size=1, max_size=4))
@example(chances=[0.0, 0.0, 0.0])
@example(chances=[1.0, 1.0])
@example(chances=[0.3, 0.3, 0.3, 0.3])
@settings(max_examples=80, deadline=None)
def test_no_set_of_labels_is_expected_to_score_more(jaccard: bool, chances: list[float]) -> None:
    every_set = product((0, 1), repeat=len(chances))
    best = max(expected_score(taken, chances, jaccard) for taken in every_set)
    assert expected_score(taken_in(chances, jaccard), chances, jaccard) == pytest.approx(best, abs=1e-9)


@MEASURES
@given(chances=st.lists(CHANCES, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_row_gets_its_most_probable_labels_and_at_least_one(jaccard: bool, chances: list[float]) -> None:
    taken = taken_in(chances, jaccard)
    inside = [p for p, t in zip(chances, taken, strict=True) if t]
    outside = [p for p, t in zip(chances, taken, strict=True) if not t]
    assert inside
    assert min(inside) >= max(outside, default=0.0)


@MEASURES
def test_what_a_row_gets_depends_on_its_other_labels(jaccard: bool) -> None:
    """No threshold can do that: 0.4 is worth taking beside nothing, and not beside a certain label."""
    assert taken_in([0.4, 0.05, 0.05], jaccard) == (1, 0, 0)
    assert taken_in([0.98, 0.3, 0.01], jaccard) == (1, 0, 0)
    assert taken_in([0.35, 0.3, 0.3], jaccard=False) == (1, 1, 1)


def chances_of(n_rows: int, n_labels: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(0).beta(0.5, 1.5, size=(n_rows, n_labels))


@MEASURES
@pytest.mark.parametrize("n_rows", [6, 7, 8])
def test_rows_in_chunks_get_what_they_get_alone(jaccard: bool, n_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = chances_of(n_rows)
    alone = [best_decisions(chances[row : row + 1], jaccard=jaccard)[0].tolist() for row in range(n_rows)]
    monkeypatch.setattr(per_row, "_AT_ONCE", 3)
    assert best_decisions(chances, jaccard=jaccard).tolist() == alone


def test_the_order_of_labels_carries_over() -> None:
    chances, order = chances_of(50), [3, 0, 4, 1, 2]
    expected = best_decisions(chances, jaccard=False)[:, order]
    assert best_decisions(chances[:, order], jaccard=False).tolist() == expected.tolist()


def test_float32_and_no_rows_are_fine() -> None:
    chances = chances_of(50)
    expected = best_decisions(chances, jaccard=True).tolist()
    assert best_decisions(chances.astype(np.float32), jaccard=True).tolist() == expected
    assert best_decisions(chances[:0], jaccard=True).shape == (0, 5)
