"""Calibration: planted distortions are found, and what cannot be calibrated does no harm."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from compete.competition.metrics import METRICS, Labels
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.calibration import Method, fit_calibration

SLOPES, INTERCEPTS = np.array([0.5, 2.0, 1.0]), np.array([-1.0, 0.7, 0.0])
METHODS: list[Method] = ["platt", "temperature"]


def distorted(n_rows: int, seed: int = 0) -> tuple[Labels, NDArray[np.float64]]:
    """Labels, and probabilities that need SLOPES and INTERCEPTS to be right."""
    random = np.random.default_rng(seed)
    z = random.normal(-0.5, 1.5, size=(n_rows, 3))
    labels = (random.random(z.shape) < sigmoid(SLOPES * z + INTERCEPTS)).astype(np.int8)
    return labels, sigmoid(z)


def log_loss(labels: Labels, probabilities: NDArray[np.generic]) -> float:
    return METRICS["log_loss"].compute(labels, probabilities)


def test_planted_slopes_and_intercepts_are_found() -> None:
    found = fit_calibration(*distorted(20_000))
    assert found.slopes == pytest.approx(SLOPES, abs=0.08)
    assert found.intercepts == pytest.approx(INTERCEPTS, abs=0.08)


def test_the_solution_is_that_of_logistic_regression() -> None:
    labels, probabilities = distorted(2000)
    found = fit_calibration(labels, probabilities)
    for label in range(3):
        z = logits(probabilities[:, [label]]).astype(np.float64)
        reference = LogisticRegression(C=1e9, tol=1e-10).fit(z, labels[:, label])
        assert found.slopes[label] == pytest.approx(reference.coef_[0, 0], abs=5e-3)
        assert found.intercepts[label] == pytest.approx(reference.intercept_[0], abs=5e-3)


def test_calibrated_probabilities_have_the_rates_of_the_labels_and_less_loss() -> None:
    labels, probabilities = distorted(2000)
    calibrated = fit_calibration(labels, probabilities).apply(probabilities)
    assert calibrated.mean(axis=0) == pytest.approx(labels.mean(axis=0), abs=1e-4)
    assert log_loss(labels, calibrated) < log_loss(labels, probabilities) - 0.02
    ranks = [np.argsort(cells, axis=0).tolist() for cells in (probabilities, calibrated)]
    assert ranks[0] == ranks[1]


def test_temperature_scales_and_shifts_nothing() -> None:
    random = np.random.default_rng(1)
    z = random.normal(size=(20_000, 3))
    labels = (random.random(z.shape) < sigmoid(SLOPES * z)).astype(np.int8)
    found = fit_calibration(labels, sigmoid(z), "temperature")
    assert found.intercepts.tolist() == [0.0] * 3
    assert found.slopes == pytest.approx(SLOPES, abs=0.08)


@pytest.mark.parametrize("method", METHODS)
def test_columns_that_tell_their_labels_perfectly_stay_finite(method: Method) -> None:
    labels = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]] * 10, dtype=np.int8)
    for probabilities in (labels.astype(np.float64), 0.4 + 0.2 * labels):
        found = fit_calibration(labels, probabilities, method)
        assert np.isfinite(found.slopes).all() and np.isfinite(found.intercepts).all()
        assert (found.slopes > 0).all()
        calibrated = found.apply(probabilities)
        assert log_loss(labels, calibrated) <= log_loss(labels, probabilities) + 1e-6
        assert ((calibrated[:, :2] > 0.5) == labels[:, :2]).all()


def test_a_constant_column_becomes_the_rate_of_its_label() -> None:
    labels = (np.random.default_rng(0).random((400, 3)) < (0.5, 0.1, 0.9)).astype(np.int8)
    constant = np.broadcast_to([0.5, 0.8, 0.001], labels.shape)
    calibrated = fit_calibration(labels, constant).apply(constant)
    assert calibrated == pytest.approx(np.broadcast_to(labels.mean(axis=0), labels.shape), abs=1e-3)


@pytest.mark.parametrize("value", [0, 1])
def test_labels_of_one_class_give_finite_numbers(value: int) -> None:
    labels, probabilities = distorted(300)
    labels[:, 1] = value
    calibrated = fit_calibration(labels, probabilities).apply(probabilities)
    assert np.isfinite(calibrated).all()
    assert np.abs(calibrated[:, 1] - value).max() < 0.02
    others = [0, 2]
    alone = fit_calibration(labels[:, others], probabilities[:, others]).apply(probabilities[:, others])
    assert calibrated[:, others] == pytest.approx(alone, abs=1e-4)  # one hard column does not spoil the rest


@pytest.mark.parametrize("factor", [0.3, 2.0, 4.0])
def test_overconfident_and_timid_columns_are_put_right(factor: float) -> None:
    """Newton's method alone would jump off here: nearly all logits lie where the loss is straight."""
    labels, probabilities = distorted(2000)
    stretched = sigmoid(factor * logits(probabilities))
    found = log_loss(labels, fit_calibration(labels, stretched).apply(stretched))
    best = log_loss(labels, fit_calibration(labels, probabilities).apply(probabilities))
    assert found == pytest.approx(best, abs=2e-3)


# Rows, rate of the label, share of the outputs that are wrong, seed.
SATURATED = [
    (300, 0.02, 0.01, 0),
    (2000, 0.005, 0.1, 0),
    (2000, 0.02, 0.0, 1),
    (5000, 0.002, 0.0003, 7),
    (20_000, 0.02, 0.001, 8),
    (20_000, 0.005, 0.001, 2),
    (20_000, 0.98, 0.001, 1),
]


@pytest.mark.parametrize(("n_rows", "rate", "wrong", "seed"), SATURATED)
def test_hard_outputs_of_a_rare_label_come_as_near_to_the_labels_as_a_logistic_regression(
    n_rows: int, rate: float, wrong: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random((n_rows, 1)) < rate).astype(np.int8)
    hard = np.where(random.random(labels.shape) < wrong, 1 - labels, labels).astype(np.float64)
    z = logits(hard).astype(np.float64)
    reference = LogisticRegression(C=1e6, tol=1e-8, max_iter=2000).fit(z, labels[:, 0]).predict_proba(z)[:, 1:]
    calibrated = fit_calibration(labels, hard).apply(hard)
    assert log_loss(labels, calibrated) == pytest.approx(log_loss(labels, reference), abs=1e-4)
    rates = np.full(labels.shape, labels.mean())
    assert log_loss(labels, calibrated) < log_loss(labels, rates)  # the control: hard outputs do tell something


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_a_column_at_one_end_becomes_the_rate_of_its_label(end: float, method: Method) -> None:
    labels = (np.random.default_rng(0).random((400, 3)) < (0.5, 0.02, 0.9)).astype(np.int8)
    saturated = np.full(labels.shape, end)
    found = fit_calibration(labels, saturated, method)
    assert np.isfinite(found.slopes).all() and np.isfinite(found.intercepts).all()
    calibrated = found.apply(saturated)
    assert calibrated == pytest.approx(np.broadcast_to(labels.mean(axis=0), labels.shape), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_saturated_column_leaves_the_others_as_they_are(method: Method) -> None:
    labels, probabilities = distorted(500)
    alone = fit_calibration(labels, probabilities, method).apply(probabilities)
    probabilities[:, 1] = 0.0
    calibrated = fit_calibration(labels, probabilities, method).apply(probabilities)
    assert calibrated[:, [0, 2]] == pytest.approx(alone[:, [0, 2]], abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_several_models_at_once_are_model_by_model(method: Method) -> None:
    labels, first = distorted(500)
    models = np.stack([first, first**2, np.roll(first, 1, axis=0), np.full_like(first, 0.3)])
    together = fit_calibration(labels, models, method)
    assert together.apply(models).shape == models.shape
    for number, model in enumerate(models):
        alone = fit_calibration(labels, model, method)
        assert together.apply(models)[number] == pytest.approx(alone.apply(model), abs=1e-4)
