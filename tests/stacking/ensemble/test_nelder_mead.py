"""Weights found by a simplex: never worse than where it starts on its own rows, and shares unless told otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels
from compete.competition.task import Task
from compete.logits import sigmoid, softmax
from compete.stacking.ensemble.blend import Blend, FittedBlend
from compete.stacking.ensemble.nelder_mead import NelderMead, nearest_shares

ROWS, RATES = 600, (0.5, 0.3, 0.2)
AUC, LOG_LOSS = METRICS["roc_auc_macro"], METRICS["log_loss"]
THREE = METRICS["multiclass_log_loss"].of(Task("multiclass", ("a", "b", "c")))
RMSE = METRICS["rmse"].of(Task("regression", ("x", "y")))
PEARSON = METRICS["pearson"].of(Task("regression", ("x", "y")))
GREEDY = {
    "f1": Blend("f1"),
    "f1 per label": Blend("f1", per_label=True),
    "f1 negative": Blend("f1", negative=True),
    "log loss": Blend("log_loss"),
    "auc": Blend("metric", metric=AUC),
    "classes": Blend("log_loss", metric=THREE),
    "classes negative": Blend("metric", negative=True, metric=THREE),
    "numbers": Blend("metric", metric=RMSE),
    "numbers negative": Blend("metric", negative=True, metric=PEARSON),
}
EVERY = pytest.mark.parametrize("greedy", GREEDY.values(), ids=GREEDY)


def make_labels(seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, 3)) < RATES).astype(np.int8)


def make_models(labels: Labels, signal: tuple[float, ...], seed: int = 1) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return sigmoid(
        np.array([np.log(RATES) + s * (s * (labels - 0.5) + random.normal(size=labels.shape)) for s in signal])
    )


def rows_for(greedy: Blend) -> tuple[NDArray[np.float64], Any]:
    """Four models' predictions and what is true, of the kind of outputs that the blend is for."""
    random = np.random.default_rng(0)
    if greedy.metric.kind == "numbers":
        truth = random.normal(size=(ROWS, 2)).astype(np.float32)
        shared = random.normal(size=truth.shape)
        return np.stack([truth + s * shared + random.normal(size=truth.shape) for s in (0.3, 0.6, 1, 2)]), truth
    if greedy.metric.kind == "classes":
        classes = np.eye(3, dtype=np.int8)[random.choice(3, size=ROWS, p=[0.6, 0.3, 0.1])]
        return softmax(np.stack([s * classes + random.normal(size=classes.shape) for s in (2.0, 1.5, 1.2, 1)])), classes
    labels = make_labels()
    return make_models(labels, (0.8, 1.0, 1.2, 1.3)), labels


def gained(greedy: Blend, fitted: FittedBlend, models: NDArray[np.float64], truth: Any) -> list[float]:
    """What the weights of every group raise, on these rows."""
    found = []
    for group in greedy.groups(truth.shape[1]):
        weights = fitted.weights[:, group[0]].astype(np.float32)
        found.append(greedy.gains(truth[:, group])[0](np.tensordot(weights, models[:, :, group].astype(np.float32), 1)))
    return found


@EVERY
def test_on_its_own_rows_it_is_never_worse_than_the_greedy_blend_and_the_mean(greedy: Blend) -> None:
    models, truth = rows_for(greedy)
    found = gained(greedy, NelderMead(greedy).fit(models, truth), models, truth)
    mean = FittedBlend(np.full((len(models), truth.shape[1]), 1 / len(models)))
    for start in (greedy.fit(models, truth), mean):
        started = gained(greedy, start, models, truth)
        assert all(end >= begun - 1e-9 * abs(begun) for end, begun in zip(found, started, strict=True))
    assert sum(found) > sum(gained(greedy, greedy.fit(models, truth), models, truth))  # and does move


@EVERY
def test_weights_sum_to_one_and_are_shares_unless_they_may_be_negative(greedy: Blend) -> None:
    models, truth = rows_for(greedy)
    weights = NelderMead(greedy).fit(models, truth).weights
    assert weights.shape == (4, truth.shape[1])
    assert weights.sum(axis=0) == pytest.approx(1)
    assert greedy.negative or (weights >= 0).all()
    assert greedy.per_label or np.ptp(weights, axis=1).max() == 0


def test_weights_that_the_greedy_steps_cannot_reach_are_found() -> None:
    """The truth has a fortieth of one model: twenty steps take a twentieth of it or nothing."""
    models = np.random.default_rng(0).normal(size=(2, ROWS, 2))
    truth = (0.025 * models[0] + 0.975 * models[1]).astype(np.float32)
    by_rmse = Blend("metric", metric=RMSE)
    assert by_rmse.fit(models, truth).weights[0, 0] in (0.0, 0.05)
    assert NelderMead(by_rmse).fit(models, truth).weights[:, 0] == pytest.approx([0.025, 0.975], abs=2e-3)


def test_a_model_may_be_taken_away_only_if_it_is_said() -> None:
    models = np.random.default_rng(0).normal(size=(3, ROWS, 2))
    truth = (1.2 * models[0] - 0.5 * models[1] + 0.3 * models[2]).astype(np.float32)
    free = NelderMead(Blend("metric", negative=True, metric=RMSE)).fit(models, truth)
    assert free.weights[:, 0] == pytest.approx([1.2, -0.5, 0.3], abs=5e-3)
    shares = NelderMead(Blend("metric", metric=RMSE)).fit(models, truth)
    assert shares.weights[1, 0] == 0


def test_negative_weights_leave_probabilities() -> None:
    labels = make_labels()
    models = make_models(labels, (1.0, 1.3, 0.1))
    greedy = Blend("f1", negative=True)
    extreme = np.concatenate([models, 1 - models], axis=1)
    p = NelderMead(greedy).fit(models, labels).predict_proba(extreme)
    assert p.min() >= 0 and p.max() <= 1


def test_the_order_of_models_and_rows_is_nothing() -> None:
    labels = make_labels()
    models = make_models(labels, (0.8, 1.0, 1.2, 1.3))
    order, rows = [2, 0, 3, 1], np.random.default_rng(3).permutation(ROWS)
    first = NelderMead().fit(models, labels).weights
    assert NelderMead().fit(models[order], labels).weights == pytest.approx(first[order], abs=1e-6)
    assert NelderMead().fit(models[:, rows], labels[rows]).weights == pytest.approx(first, abs=1e-6)


def test_one_model_is_all_there_is() -> None:
    labels = make_labels()
    assert NelderMead().fit(make_models(labels, (1.0,)), labels).weights.tolist() == [[1.0] * 3]


def test_the_unit_of_numbers_is_nothing() -> None:
    models, truth = rows_for(GREEDY["numbers"])
    first = NelderMead(GREEDY["numbers"]).fit(models, truth).weights
    for unit in (1e-7, 1e7):
        found = NelderMead(GREEDY["numbers"]).fit(unit * models, (unit * truth).astype(np.float32)).weights
        assert found == pytest.approx(first, abs=5e-3)


@pytest.mark.parametrize(
    ("weights", "nearest"),
    [
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ([0.5, 0.7], [0.4, 0.6]),
        ([1.5, -0.5], [1.0, 0.0]),
        ([0.6, 0.6, -0.2], [0.5, 0.5, 0.0]),
        ([-1.0, -1.0], [0.5, 0.5]),
    ],
)
def test_the_nearest_shares(weights: list[float], nearest: list[float]) -> None:
    assert nearest_shares(np.array(weights)) == pytest.approx(nearest)


def test_no_shares_lie_nearer() -> None:
    random = np.random.default_rng(0)
    others = random.dirichlet(np.ones(4), size=2000)
    for weights in random.normal(size=(20, 4)):
        nearest = nearest_shares(weights)
        assert nearest.min() >= 0 and nearest.sum() == pytest.approx(1)
        assert np.linalg.norm(weights - nearest) <= np.linalg.norm(weights - others, axis=1).min()
