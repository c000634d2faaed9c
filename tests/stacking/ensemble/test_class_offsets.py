"""Offsets between classes against brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels
from compete.logits import log_probabilities
from compete.stacking.ensemble import class_offsets
from compete.stacking.ensemble.class_offsets import SCORES, best_offsets, highest

Case = tuple[Labels, NDArray[np.float64]]


@st.composite
def cases(draw: st.DrawFn, n_classes: int) -> Case:
    """One-hot classes and probabilities with many ties; some classes may have no row."""
    n_rows = draw(st.integers(2, 8))
    truth = draw(st.lists(st.integers(0, n_classes - 1), min_size=n_rows, max_size=n_rows))
    cells = draw(
        st.lists(st.lists(st.integers(1, 6), min_size=n_classes, max_size=n_classes), min_size=n_rows, max_size=n_rows)
    )
    weights = np.array(cells, dtype=np.float64)
    return np.eye(n_classes, dtype=np.int8)[truth], weights / weights.sum(axis=1, keepdims=True)


def score(metric: str, labels: Labels, p: NDArray[np.float64], offsets: NDArray[np.float64]) -> float:
    return METRICS[metric].compute(labels, highest(p, offsets))


def every_cut(p: NDArray[np.float64], offsets: NDArray[np.float64], number: int) -> list[NDArray[np.float64]]:
    """The offsets with that of one class put between every two rows that it may take, and beyond them."""
    z = log_probabilities(p) + offsets
    z[:, number] = -np.inf
    ahead = np.unique(np.round(z.max(axis=1) - log_probabilities(p)[:, number], 12))
    places = [ahead[0] - 1, *(np.mean(pair) for pair in pairwise(ahead)), ahead[-1] + 1]
    moved = []
    for place in places:
        moved.append(offsets.copy())
        moved[-1][number] = place
    return moved


@pytest.mark.parametrize("metric", SCORES)
@settings(max_examples=40, deadline=None)
@given(case=cases(2))
def test_of_two_classes_no_offset_is_better(metric: str, case: Case) -> None:
    labels, p = case
    found = score(metric, labels, p, best_offsets(metric, labels, p))
    best = max(score(metric, labels, p, tried) for tried in every_cut(p, np.zeros(2), 1))
    assert found == pytest.approx(best)


@pytest.mark.parametrize("metric", SCORES)
@settings(max_examples=40, deadline=None)
@given(case=cases(4))
def test_no_class_alone_can_be_moved_to_a_better_place(metric: str, case: Case) -> None:
    labels, p = case
    # Three classes whose sums are equal but for rounding are nobody's to tell apart.
    p = p + 0.01 * np.random.default_rng(0).random(p.shape)
    offsets = best_offsets(metric, labels, p)
    found = score(metric, labels, p, offsets)
    moved = [score(metric, labels, p, tried) for number in range(4) for tried in every_cut(p, offsets, number)]
    assert found >= max(moved) - 1e-9
    assert found >= score(metric, labels, p, np.zeros(4)) - 1e-9
    assert offsets.mean() == pytest.approx(0)


def test_a_rare_class_is_predicted_more_often_for_macro_recall_and_not_for_accuracy() -> None:
    random = np.random.default_rng(0)
    truth = (random.random(4000) < 0.1).astype(np.intp)
    labels = np.eye(2, dtype=np.int8)[truth]
    z = np.log([0.9, 0.1]) + random.normal(size=(4000, 2)) + 1.5 * labels
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    often = {
        metric: highest(p, best_offsets(metric, labels, p))[:, 1].mean() for metric in ("accuracy", "recall_macro")
    }
    plain = highest(p, np.zeros(2))[:, 1].mean()
    assert often["recall_macro"] > 3 * plain
    assert often["accuracy"] < often["recall_macro"] / 2


def test_very_many_rows_are_cut_at_some_places_and_lose_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    truth = random.choice(3, size=6000, p=[0.7, 0.2, 0.1])
    labels = np.eye(3, dtype=np.int8)[truth]
    z = 1.2 * labels + random.normal(size=(6000, 3)) + np.log([0.7, 0.2, 0.1])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    exact = score("f1_macro", labels, p, best_offsets("f1_macro", labels, p))
    monkeypatch.setattr(class_offsets, "_MANY_ROWS", 1000)
    monkeypatch.setattr(class_offsets, "_MOST_CUTS", 200)
    quick = score("f1_macro", labels, p, best_offsets("f1_macro", labels, p))
    assert quick == pytest.approx(exact, abs=0.005)
    assert quick > score("f1_macro", labels, p, np.zeros(3)) + 0.02


def test_a_probability_of_zero_is_never_minus_infinity() -> None:
    labels = np.eye(2, dtype=np.int8)[[0, 1, 1]]
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    offsets = best_offsets("f1_macro", labels, p)
    assert np.isfinite(offsets).all()
    assert np.isfinite(log_probabilities(p)).all()
