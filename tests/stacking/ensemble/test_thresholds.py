"""The exact maximisers against brute force: every cut there is, tried one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, jaccard_score

from compete.competition.metrics import Labels, Metric, Probabilities
from compete.stacking.ensemble.thresholds import (
    BINARY,
    DEFAULT,
    best_expected_f1_threshold,
    best_f1_threshold,
    best_mean_threshold,
    cross_fitted_f1_threshold,
    decide,
    fit_thresholds,
)
from support.declared_metrics import DECLARED_METRICS

pytestmark = pytest.mark.slow

ONE_32, ONE_64 = np.float32(0.4), np.float64(0.4)
NEIGHBOURS_32 = (np.nextafter(ONE_32, np.float32(0)), ONE_32, np.nextafter(ONE_32, np.float32(1)))
NEIGHBOURS_64 = (np.nextafter(ONE_64, 0.0), ONE_64, np.nextafter(ONE_64, 1.0))

# Few distinct values make ties; the neighbours have no float, or no float32, between them.
SCORES = st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0, *map(float, NEIGHBOURS_32), *map(float, NEIGHBOURS_64)])
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=1, max_size=14)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Labels, NDArray[np.float64]]:
    """Labels and scores of 1 to 6 rows and 1 to 4 labels."""
    n_rows, n_labels = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    cells = draw(st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=n_rows * n_labels, max_size=n_rows * n_labels))
    table = np.array(cells, dtype=np.float64).reshape(n_rows, n_labels, 2)
    return table[..., 0].astype(np.int8), table[..., 1]


def f1(labels: Labels, decisions: NDArray[np.int8]) -> float:
    return float(f1_score(labels, decisions, zero_division=0))


def cuts(scores: Probabilities) -> list[NDArray[np.int8]]:
    """The decisions of every threshold that can be told apart; the last predicts nothing."""
    return [(scores >= cut).astype(np.int8) for cut in [*np.unique(scores), np.inf]]


@given(ROWS)
@example([(1, 0.5), (0, 0.5), (1, 0.5)])  # all equal
@example([(0, 0.9), (0, 0.8), (1, 0.1), (0, 0.05)])  # one positive
@example([(1, 0.9), (1, 0.1)])  # all positive
@example([(0, 0.9), (0, 0.1)])  # no positive
@example([(0, 0.5), (0, 0.5)])
@example([(1, 0.0), (1, 0.0)])
@example([(1, 0.0), (0, 1.0)])
@example([(1, float(NEIGHBOURS_64[1])), (0, float(NEIGHBOURS_64[0])), (1, float(NEIGHBOURS_64[2]))])
@settings(max_examples=150, deadline=None)
def test_no_cut_has_a_better_f1(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array([r[0] for r in rows], dtype=np.int8), np.array([r[1] for r in rows])
    found = f1(labels, decide(scores, np.array(best_f1_threshold(labels, scores))))
    assert found == pytest.approx(max(f1(labels, decisions) for decisions in cuts(scores)), abs=1e-12)


@given(st.lists(st.tuples(SCORES, st.floats(0, 1)), min_size=1, max_size=14))
@example([(0.5, 0.2), (0.5, 0.9), (0.5, 0.0)])  # all equal
@example([(0.9, 0.0), (0.2, 0.0)])  # nothing promised
@example([(0.9, 1.0), (0.2, 1.0)])  # everything promised
@example([(0.9, 0.1), (0.2, 0.9)])  # turned around: the scores alone decide what is cut
@settings(max_examples=150, deadline=None)
def test_no_cut_promises_a_better_f1(rows: list[tuple[float, float]]) -> None:
    scores, calibrated = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])

    def promised(decisions: NDArray[np.int8]) -> float:
        return float(2 * calibrated[decisions == 1].sum() / (decisions.sum() + calibrated.sum()))

    some = cuts(scores)[:-1]  # predicting nothing promises nothing
    found = promised(decide(scores, np.array(best_expected_f1_threshold(scores, calibrated))))
    assert found == pytest.approx(max(promised(decisions) for decisions in some), abs=1e-12)


def test_of_calibrated_probabilities_the_best_threshold_is_half_of_the_f1_that_they_promise() -> None:
    """Lipton, Elkan and Naryanaswamy (2014): the optimum of calibrated probabilities."""
    calibrated = np.random.default_rng(0).beta(0.5, 2.0, size=20_000)
    threshold = best_expected_f1_threshold(calibrated, calibrated)
    taken = calibrated >= threshold
    assert threshold == pytest.approx(calibrated[taken].sum() / (taken.sum() + calibrated.sum()), abs=1e-3)


@pytest.mark.parametrize("neighbours", [NEIGHBOURS_32, NEIGHBOURS_64], ids=["float32", "float64"])
def test_neighbouring_floats_are_told_apart(neighbours: tuple[np.floating, ...]) -> None:
    labels = np.array([1, 0, 1, 0], dtype=np.int8)
    for low, high in [neighbours[:2], neighbours[1:]]:
        scores = np.array([high, low, high, low])
        assert scores.dtype == type(low)
        assert decide(scores, np.array(best_f1_threshold(labels, scores))).tolist() == labels.tolist()


@given(ROWS, st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_cross_fitted_threshold_is_the_mean_of_those_without_one_fold(
    rows: list[tuple[int, float]], k: int, seed: int
) -> None:
    labels, scores = np.array([r[0] for r in rows], dtype=np.int8), np.array([r[1] for r in rows])
    folds = np.random.default_rng(seed).integers(k, size=len(rows)).astype(np.int16)
    there = np.unique(folds)
    without = [best_f1_threshold(labels[folds != fold], scores[folds != fold]) for fold in there]
    expected = np.mean(without) if len(there) > 1 else best_f1_threshold(labels, scores)
    if labels.sum() < len(there):
        expected = DEFAULT
    assert cross_fitted_f1_threshold(labels, scores, folds) == pytest.approx(expected, abs=1e-12)


def test_without_positives_the_threshold_is_the_default() -> None:
    assert best_f1_threshold(np.zeros(3, dtype=np.int8), np.array([0.1, 0.9, 0.3])) == DEFAULT
    assert best_mean_threshold(np.zeros((2, 2), dtype=np.int8), np.full((2, 2), 0.9), jaccard=True) == DEFAULT


def test_a_threshold_lies_midway_between_the_values_it_parts() -> None:
    labels, scores = np.array([1, 1, 0, 0], dtype=np.int8), np.array([0.9, 0.7, 0.3, 0.1])
    assert best_f1_threshold(labels, scores) == pytest.approx(0.5)
    assert best_f1_threshold(np.ones(2, dtype=np.int8), np.array([0.6, 0.4])) == pytest.approx(0.2)


def test_of_equal_maxima_the_highest_threshold_wins() -> None:
    labels, scores = np.array([1, 0, 0, 1], dtype=np.int8), np.array([0.8, 0.6, 0.4, 0.2])
    assert [f1(labels, decisions) for decisions in cuts(scores)][:4] == pytest.approx([2 / 3, 2 / 5, 1 / 2, 2 / 3])
    assert best_f1_threshold(labels, scores) == pytest.approx(0.7)


def mean_f1(labels: Labels, decisions: NDArray[np.int8]) -> float:
    return float(np.mean([f1(*row) for row in zip(labels, decisions, strict=True)]))


def mean_jaccard(labels: Labels, decisions: NDArray[np.int8]) -> float:
    return float(np.mean([jaccard_score(*row, zero_division=0) for row in zip(labels, decisions, strict=True)]))


@pytest.mark.parametrize("jaccard", [False, True], ids=["f1", "jaccard"])
@given(table=tables())
@settings(max_examples=50, deadline=None)
def test_no_shared_cut_has_a_better_mean_over_rows(jaccard: bool, table: tuple[Labels, NDArray[np.float64]]) -> None:
    labels, scores = table
    mean = mean_jaccard if jaccard else mean_f1
    found = mean(labels, decide(scores, np.array(best_mean_threshold(labels, scores, jaccard=jaccard))))
    assert found == pytest.approx(max(mean(labels, decisions) for decisions in cuts(scores)), abs=1e-12)


@pytest.mark.parametrize("metric", DECLARED_METRICS.values(), ids=lambda metric: metric.name)
@given(table=tables(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_is_nothing_and_that_of_labels_carries_over(
    metric: Metric, table: tuple[Labels, NDArray[np.float64]], seed: int
) -> None:
    labels, scores = table
    thresholds = fit_thresholds(metric, labels, scores)
    random = np.random.default_rng(seed)
    rows, columns = random.permutation(labels.shape[0]), random.permutation(labels.shape[1])
    if metric.name not in ("f1_samples", "jaccard_samples"):
        assert fit_thresholds(metric, labels[rows], scores[rows]).tolist() == thresholds.tolist()
        assert fit_thresholds(metric, labels[:, columns], scores[:, columns]).tolist() == thresholds[columns].tolist()
        return
    # Sums over rows in another order differ in the last digit, so that of two equal cuts either may win.
    for labels_, scores_ in [(labels[rows], scores[rows]), (labels[:, columns], scores[:, columns])]:
        again = decide(scores_, fit_thresholds(metric, labels_, scores_))
        first = decide(scores, thresholds)
        assert metric.compute(labels_, again) == pytest.approx(metric.compute(labels, first), abs=1e-12)


@pytest.mark.parametrize("metric", DECLARED_METRICS.values(), ids=lambda metric: metric.name)
def test_thresholds_are_per_label_shared_or_not_needed(metric: Metric) -> None:
    random = np.random.default_rng(0)
    labels = (random.random((60, 3)) < (0.5, 0.3, 0.1)).astype(np.int8)
    scores = np.clip(0.4 * labels + 0.6 * random.random((60, 3)) * (1.0, 0.8, 0.4), 0, 1)
    thresholds = fit_thresholds(metric, labels, scores)
    assert len(set(thresholds.tolist())) == (3 if metric.thresholds == "label" else 1)
    if metric.thresholds is None or metric.name in BINARY:  # nobody knows a search for those of several labels
        assert thresholds.tolist() == [DEFAULT] * 3
    elif metric.thresholds == "shared":
        best = max(metric.compute(labels, decisions) for decisions in cuts(scores))
        assert metric.compute(labels, decide(scores, thresholds)) == pytest.approx(best)


def test_a_probability_at_the_threshold_is_predicted() -> None:
    scores = np.array([[0.2, 0.2], [0.4, 0.4], [0.6, 0.6]])
    assert decide(scores, np.array([0.4, 0.6])).tolist() == [[0, 0], [1, 0], [1, 1]]
    scores_32 = np.array([0.3], dtype=np.float32)
    # 0.3 as float32 and as float64 differ: both sides are compared as float64, nothing is rounded.
    assert decide(scores_32, np.nextafter(scores_32.astype(np.float64), 1)).tolist() == [0]
    assert decide(scores_32, scores_32.astype(np.float64)).tolist() == [1]
