from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error, mean_squared_log_error, r2_score

from compete.competition.metrics import METRICS
from compete.errors import DataError

Numbers = NDArray[np.float32] | NDArray[np.float64]


def over_targets(score: Callable[..., float]) -> Callable[[Numbers, Numbers], float]:
    return lambda truth, predicted: float(np.mean([score(*pair) for pair in zip(truth.T, predicted.T, strict=True)]))


EXPECTED: dict[str, Callable[[Numbers, Numbers], float]] = {
    "rmse": lambda truth, predicted: float(np.sqrt(mean_squared_error(truth, predicted))),
    "mcrmse": over_targets(lambda truth, predicted: float(np.sqrt(mean_squared_error(truth, predicted)))),
    "mae": mean_absolute_error,
    "rmsle": lambda truth, predicted: float(np.sqrt(mean_squared_log_error(truth, predicted))),
    "r2": r2_score,
    "pearson": over_targets(lambda truth, predicted: float(pearsonr(truth, predicted).statistic)),
    "spearman": over_targets(lambda truth, predicted: float(spearmanr(truth, predicted).statistic)),
}


@st.composite
def truth_and_numbers(draw: st.DrawFn) -> tuple[Numbers, Numbers]:
    """Of every target at least two values; ties are frequent; sometimes far from 0."""
    rows, targets = draw(st.integers(2, 12)), draw(st.integers(1, 3))
    cells = st.lists(st.integers(0, 6), min_size=rows * targets, max_size=rows * targets)
    truth, predicted = (np.array(draw(cells), dtype=np.float32).reshape(rows, targets) for _ in range(2))
    truth[0], truth[1], predicted[0], predicted[1] = 0, 2, 3, 1
    return truth + draw(st.sampled_from([0, 0, 3000])), predicted + draw(st.sampled_from([0, 0, 3000]))


@pytest.mark.parametrize("name", EXPECTED)
@settings(max_examples=80, deadline=None)
@given(matrices=truth_and_numbers())
def test_numbers_are_scored_as_scikit_learn_and_scipy_do(name: str, matrices: tuple[Numbers, Numbers]) -> None:
    truth, predicted = (each.astype(np.float64) for each in matrices)
    expected = EXPECTED[name](truth, predicted)
    assert METRICS[name].compute(*matrices) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_worked_example() -> None:
    truth = np.array([[0, 10], [0, 30]], dtype=np.float32)
    predicted = np.array([[3, 10], [-3, 34]], dtype=np.float32)
    assert METRICS["rmse"].compute(truth, predicted) == pytest.approx(np.sqrt((9 + 9 + 0 + 16) / 4))
    assert METRICS["mcrmse"].compute(truth, predicted) == pytest.approx((3 + np.sqrt(8)) / 2)
    assert METRICS["mae"].compute(truth, predicted) == pytest.approx(10 / 4)


def test_rmsle_takes_a_prediction_below_0_for_0_and_refuses_such_a_target() -> None:
    truth = np.array([[0], [np.e - 1]], dtype=np.float32)
    assert METRICS["rmsle"].compute(truth, np.array([[-5.0], [-5.0]])) == pytest.approx(np.sqrt(1 / 2))
    with pytest.raises(DataError, match="RMSLE is not defined here: a target is below 0"):
        METRICS["rmsle"].compute(-truth, truth)


@pytest.mark.parametrize("name", ["r2", "pearson", "spearman"])
def test_a_target_that_is_always_the_same_cannot_be_scored(name: str) -> None:
    truth = np.array([[1, 5], [2, 5], [3, 5]], dtype=np.float32)
    assert METRICS[name].compute(truth[:, :1], truth[:, :1]) == pytest.approx(1)
    with pytest.raises(DataError, match="is not defined here: a target is the same in every row"):
        METRICS[name].compute(truth, truth)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_constant_prediction_has_correlation_0(name: str) -> None:
    truth = np.array([[1, 1], [2, 2], [3, 3]], dtype=np.float32)
    predicted = np.array([[0.1, 3], [0.1, 2], [0.1, 1]], dtype=np.float32)
    assert METRICS[name].compute(truth[:, :1], predicted[:, :1]) == 0
    assert METRICS[name].compute(truth, predicted) == pytest.approx(-1 / 2)


@pytest.mark.parametrize("name", ["r2", "pearson", "spearman"])
def test_numbers_far_from_0_lose_no_digits(name: str) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(500, 2))
    predicted = truth + random.normal(size=truth.shape)
    near, far = (METRICS[name].compute(truth + zero, predicted + zero) for zero in (0, 1e7))
    assert far == pytest.approx(near, abs=1e-7)


@pytest.mark.parametrize("ties", [False, True])
def test_values_of_the_rows_have_the_spread_of_spearmans_correlation(ties: bool) -> None:
    metric = METRICS["spearman"]

    def drawn(seed: int) -> tuple[Numbers, Numbers]:
        truth = np.random.default_rng(seed).normal(size=(400, 1))
        predicted = truth + np.random.default_rng(seed + 1000).normal(size=truth.shape)
        return (np.round(truth), np.round(predicted)) if ties else (truth, predicted)

    noise = np.std([metric.compute(*drawn(seed)) for seed in range(200)])
    assert metric.sums is not None and metric.of_sums is not None
    sums = metric.sums(*drawn(0))
    random = np.random.default_rng(0)
    totals = np.stack([sums[random.integers(400, size=400)].sum(axis=0) for _ in range(300)])
    assert metric.of_sums(totals).std() == pytest.approx(noise, rel=0.2)


def test_draws_in_which_a_target_does_not_vary_give_no_score() -> None:
    truth = np.array([[1], [2], [2], [3]], dtype=np.float32)
    for name in ("r2", "pearson"):
        metric = METRICS[name]
        assert metric.sums is not None and metric.of_sums is not None
        sums = metric.sums(truth, truth)
        assert np.isnan(metric.of_sums(np.stack([sums[[1, 2]].sum(axis=0), sums.sum(axis=0)]))).tolist() == [
            True,
            False,
        ]
