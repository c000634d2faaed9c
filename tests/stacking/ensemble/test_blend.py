"""Greedy selection: weights go to models that know something, and only as much as their own rows say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from compete.competition.metrics import METRICS, Labels, f1_per_label
from compete.logits import sigmoid
from compete.stacking.ensemble.blend import Blend, SelectBy
from compete.stacking.ensemble.thresholds import decide, fit_thresholds

ROWS, RATES = 600, (0.5, 0.3, 0.2)


def make_labels(seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, 3)) < RATES).astype(np.int8)


def make_models(labels: Labels, signal: tuple[float, ...], seed: int = 1) -> NDArray[np.float64]:
    """Calibrated base models of these strengths, each with noise of its own."""
    random = np.random.default_rng(seed)
    z = [np.log(RATES) + s * (s * (labels - 0.5) + random.normal(size=labels.shape)) for s in signal]
    return sigmoid(np.array(z) + 0.3)


def log_loss(labels: Labels, probabilities: NDArray[np.float64]) -> float:
    return METRICS["log_loss"].compute(labels, probabilities)


@pytest.mark.parametrize("select_by", ["f1", "log_loss"])
@pytest.mark.parametrize("per_label", [False, True])
def test_weights_are_shares(per_label: bool, select_by: SelectBy) -> None:
    labels = make_labels()
    fitted = Blend(select_by, per_label).fit(make_models(labels, (0.5, 1.0, 1.5)), labels)
    assert fitted.weights.shape == (3, 3)
    assert (fitted.weights >= 0).all()
    assert fitted.weights.sum(axis=0) == pytest.approx(np.ones(3))
    assert np.ptp(fitted.weights, axis=1).max() == pytest.approx(0.0) or per_label


def test_predictions_are_the_weighted_mean() -> None:
    labels = make_labels()
    models = make_models(labels, (1.0, 1.5))
    fitted = Blend("log_loss").fit(models, labels)
    expected = sum(weight * model for weight, model in zip(fitted.weights[:, 0], models, strict=True))
    assert fitted.predict_proba(models) == pytest.approx(expected)
    as_float32 = fitted.predict_proba(models.astype(np.float32))
    assert as_float32.dtype == np.float64 and as_float32 == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("select_by", ["f1", "log_loss"])
def test_noise_and_damage_get_no_weight(select_by: SelectBy) -> None:
    labels = make_labels()
    good = make_models(labels, (1.5,))
    models = np.concatenate([np.random.default_rng(2).random((2, *labels.shape)), good, 1 - good])
    weights = Blend(select_by).fit(models, labels).weights[:, 0]
    assert weights[2] >= 0.8 and weights[3] == 0


def test_every_label_can_have_a_model_of_its_own() -> None:
    labels = make_labels()
    first, second = make_models(labels, (1.5, 0.2)).copy()
    first[:, 2], second[:, 2] = second[:, 2].copy(), first[:, 2].copy()  # each knows what the other does not
    models = np.stack([first, second])
    weights = Blend("log_loss", per_label=True).fit(models, labels).weights
    assert (weights[0, :2] > 0.7).all() and weights[1, 2] > 0.7
    apart, shared = (
        Blend("log_loss", per_label).fit(models, labels).predict_proba(models) for per_label in (True, False)
    )
    assert log_loss(labels, apart) < log_loss(labels, shared) - 0.01


def test_the_loss_is_near_that_of_the_best_weights_there_are() -> None:
    labels = make_labels()
    models = make_models(labels, (1.0, 1.3, 1.5))

    def loss(free: NDArray[np.float64]) -> float:
        weights = np.exp(free - free.max())
        return log_loss(labels, np.einsum("mrl,m->rl", models, weights / weights.sum()))

    best = minimize(loss, np.zeros(3), method="Nelder-Mead").fun
    found = log_loss(labels, Blend("log_loss").fit(models, labels).predict_proba(models))
    alone = min(log_loss(labels, model) for model in models)
    assert best - 1e-6 <= found <= best + 1e-3
    assert found < alone - 0.01


def test_fewer_steps_are_coarser_weights() -> None:
    labels = make_labels()
    models = make_models(labels, (1.0, 1.3, 1.5))
    one, three = (Blend("log_loss", steps=steps).fit(models, labels).weights[:, 0] for steps in (1, 3))
    assert sorted(one.tolist()) == [0, 0, 1]
    assert one.argmax() == np.argmin([log_loss(labels, model) for model in models])
    assert any(np.allclose(three * taken, np.rint(three * taken)) for taken in (1, 2, 3))


def test_the_best_of_the_means_on_the_way_is_kept() -> None:
    """Each model knows every second row: half and half is best, and a third step only leads away from it."""
    labels = make_labels()
    known, first = np.where(labels == 1, 0.9, 0.1), (np.arange(ROWS) % 2 == 0)[:, None]
    models = np.stack([np.where(first, known, 0.5), np.where(first, 0.5, known)])
    assert Blend("log_loss", steps=3).fit(models, labels).weights[:, 0].tolist() == [0.5, 0.5]


def test_certain_errors_cost_much_but_not_infinity() -> None:
    labels = make_labels()
    models = np.stack([make_models(labels, (1.0,))[0], labels.astype(np.float64)])
    models[1, 0] = 1 - models[1, 0]  # all right but one row, and there with certainty
    fitted = Blend("log_loss").fit(models, labels)
    assert np.isfinite(fitted.weights).all()
    assert fitted.weights[1, 0] > 0.8


def test_of_two_copies_the_first_is_taken() -> None:
    labels = make_labels()
    model = make_models(labels, (1.0,))[0]
    assert Blend("log_loss").fit(np.stack([model, model]), labels).weights[:, 0].tolist() == [1, 0]


def best_f1(labels: Labels, probabilities: NDArray[np.float64]) -> float:
    """Macro-F1 at the exact best thresholds."""
    thresholds = fit_thresholds(METRICS["f1_macro"], labels, probabilities)
    return float(f1_per_label(labels, decide(probabilities, thresholds)).mean())


def test_selected_by_f1_no_other_weights_of_the_grid_give_more() -> None:
    labels = make_labels()
    models = make_models(labels, (1.3, 1.2))
    fitted = Blend("f1", steps=10).fit(models, labels)
    grid = [best_f1(labels, weight * models[0] + (1 - weight) * models[1]) for weight in np.linspace(0, 1, 11)]
    # Thresholds on a grid of bins miss the exact ones by a row or two.
    assert best_f1(labels, fitted.predict_proba(models)) > max(grid) - 0.01
    assert best_f1(labels, fitted.predict_proba(models)) > max(best_f1(labels, model) for model in models)


def test_f1_does_not_care_how_sure_a_model_is_and_log_loss_does() -> None:
    """A model that ranks well and promises far too much."""
    labels = make_labels()
    good, weak = make_models(labels, (1.6, 0.7))
    sure = sigmoid(np.log(good / (1 - good)) * 20)
    models = np.stack([sure, weak])
    by_f1, by_loss = (Blend(select_by).fit(models, labels).weights[0, 0] for select_by in ("f1", "log_loss"))
    assert by_f1 > by_loss + 0.1
