from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import Labels
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.blend import Blend
from compete.stacking.ensemble.calibration import fit_calibration
from compete.stacking.ensemble.meta_learners import Calibrated, Logistic, Mean, MetaLearner, features

ROWS = 400


def make_labels(seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, 3)) < (0.5, 0.3, 0.15)).astype(np.int8)


def make_models(labels: Labels, signal: tuple[float, ...], seed: int = 1) -> NDArray[np.float32]:
    """(n_models, n_rows, n_labels): how much each model knows of the labels; 0 is noise."""
    random = np.random.default_rng(seed)
    scores = [s * (labels - 0.5) + random.normal(size=labels.shape) for s in signal]
    return (1 / (1 + np.exp(-np.array(scores)))).astype(np.float32)


def test_features_keep_every_row_together() -> None:
    models = np.array([[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.6], [0.7, 0.8]]])  # model, row, label
    expected = logits(np.array([[0.1, 0.2, 0.5, 0.6], [0.3, 0.4, 0.7, 0.8]]))
    assert features(models).tolist() == expected.tolist()


def test_the_mean_is_the_mean_over_models() -> None:
    models = np.array([[[0.0, 0.2]], [[0.6, 0.3]], [[0.9, 1.0]]], dtype=np.float32)
    fitted = Mean().fit(models, np.array([[0, 1]], dtype=np.int8))
    assert fitted.predict_proba(models) == pytest.approx(np.array([[0.5, 0.5]]), abs=1e-7)


@pytest.mark.parametrize("informative", [0, 1])
def test_logistic_learns_which_model_to_believe(informative: int) -> None:
    labels = make_labels()
    signal = (3.0, 0.0) if informative == 0 else (0.0, 3.0)
    fitted = Logistic(C=1.0).fit(make_models(labels, signal), labels)
    weights = fitted.weights.reshape(2, 3, 3)  # model, label of the feature, label predicted
    for label in range(3):
        assert weights[informative, label, label] > 1.0
        assert abs(weights[1 - informative, label, label]) < 0.4
    fresh_labels = make_labels(seed=5)
    fresh = make_models(fresh_labels, signal, seed=6)
    predicted = fitted.predict_proba(fresh)
    informed = fitted.predict_proba(np.array([fresh[informative]] * 2))
    right = ((predicted > 0.5) == fresh_labels).mean()
    assert right > ((fresh.mean(axis=0) > 0.5) == fresh_labels).mean() + 0.03
    assert informed.shape == predicted.shape == (ROWS, 3)


def test_logistic_uses_what_one_label_says_about_another() -> None:
    labels = make_labels()
    labels[:, 1] = 1 - labels[:, 0]
    models = make_models(labels, (4.0,))
    models[0, :, 1] = np.random.default_rng(3).random(ROWS)  # of label 1 itself the model knows nothing
    predicted = Logistic(C=1.0).fit(models, labels).predict_proba(models)
    assert ((predicted[:, 1] > 0.5) == labels[:, 1]).mean() > 0.9


@pytest.mark.parametrize("constant", [0.0, 0.5, 0.3])
def test_a_constant_model_changes_nothing(constant: float) -> None:
    labels = make_labels()
    models = make_models(labels, (2.0,))
    with_constant = np.concatenate([models, np.full_like(models, constant)])
    alone = Logistic().fit(models, labels).predict_proba(models)
    together = Logistic().fit(with_constant, labels).predict_proba(with_constant)
    assert np.abs(alone - together).max() < 1e-4


@pytest.mark.parametrize(("value", "expected"), [(0, 1 / (ROWS + 2)), (1, (ROWS + 1) / (ROWS + 2))])
def test_a_label_of_one_class_gets_its_smoothed_rate(value: int, expected: float) -> None:
    labels = make_labels()
    labels[:, 2] = value
    models = make_models(labels, (1.0, 2.0))
    predicted = Logistic().fit(models, labels).predict_proba(models)
    assert predicted[:, 2] == pytest.approx(np.full(ROWS, expected))
    assert predicted[:, :2].std() > 0.01


def test_the_order_of_models_is_nothing() -> None:
    labels = make_labels()
    models = make_models(labels, (2.0, 0.5, 0.0))
    first = Logistic().fit(models, labels).predict_proba(models)
    again = Logistic().fit(models[[2, 0, 1]], labels).predict_proba(models[[2, 0, 1]])
    assert np.abs(first - again).max() < 1e-4
    mixed_up = Logistic().fit(models, labels).predict_proba(models[[2, 0, 1]])
    assert np.abs(first - mixed_up).max() > 0.01  # the control: order between fit and prediction does count


def test_the_order_of_labels_carries_over() -> None:
    labels, order = make_labels(), [2, 0, 1]
    models = make_models(labels, (2.0, 0.5))
    first = Logistic().fit(models, labels).predict_proba(models)
    again = Logistic().fit(models[..., order], labels[:, order]).predict_proba(models[..., order])
    assert np.abs(first[:, order] - again).max() < 1e-4


def test_a_fit_sees_its_own_rows_only() -> None:
    """Centre and scale come from the fit; a new batch is not standardised by itself."""
    labels = make_labels()
    models = make_models(labels, (2.0, 1.0))
    fitted = Logistic().fit(models, labels)
    whole = fitted.predict_proba(models)
    one_by_one = np.concatenate([fitted.predict_proba(models[:, row : row + 1]) for row in range(5)])
    assert one_by_one == pytest.approx(whole[:5], abs=1e-6)


@pytest.mark.parametrize("C", [0.001, 1.0])
def test_probabilities_lie_strictly_between_0_and_1(C: float) -> None:
    labels = make_labels()
    models = np.round(make_models(labels, (8.0, 3.0)), 1)  # many exact zeros and ones
    assert (models == 0).any() and (models == 1).any()
    predicted = Logistic(C).fit(models, labels).predict_proba(models)
    assert predicted.min() > 0
    assert predicted.max() < 1
    extreme = Logistic(C).fit(models, labels).predict_proba(np.zeros((2, 3, 3)))
    assert np.isfinite(extreme).all()


def test_a_column_constant_in_training_moves_nothing_afterwards() -> None:
    """Its float32 standard deviation is rounding, not zero: dividing by it would make noise a feature."""
    random = np.random.default_rng(0)
    labels = (random.random((3001, 2)) < 0.4).astype(np.int8)
    probabilities = np.stack([np.clip(labels * 0.4 + random.random((3001, 2)) * 0.5, 0, 1), np.full((3001, 2), 0.7)])
    fitted = Logistic().fit(probabilities, labels)
    before = fitted.predict_proba(probabilities)
    probabilities[1] = 0.9
    assert fitted.predict_proba(probabilities) == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("learner", [Mean(), Blend(), Logistic()])
def test_a_calibrated_learner_is_fitted_on_columns_calibrated_on_its_own_rows(learner: MetaLearner) -> None:
    labels, fresh_labels = make_labels(), make_labels(seed=5)
    models, fresh = make_models(labels, (2.0, 1.0)) ** 3, make_models(fresh_labels, (2.0, 1.0), seed=6) ** 3
    found = Calibrated(learner, "platt").fit(models, labels).predict_proba(fresh)
    calibration = fit_calibration(labels, models, "platt")
    by_hand = learner.fit(calibration.apply(models), labels).predict_proba(calibration.apply(fresh))
    assert found == pytest.approx(by_hand, abs=1e-12)
    if not isinstance(learner, Logistic):  # which scales every column by itself
        assert np.abs(found - learner.fit(models, labels).predict_proba(fresh)).max() > 0.05


def test_calibration_lets_a_mean_weigh_what_models_mean() -> None:
    """Of two good models one is far too sure of itself: calibrated, it no longer drowns the other."""
    labels = make_labels()
    models = make_models(labels, (2.0, 2.0))
    models[0] = sigmoid(6 * logits(models[0]))
    plain = Mean().fit(models, labels).predict_proba(models)
    calibrated = Calibrated(Mean(), "temperature").fit(models, labels).predict_proba(models)
    losses = [-np.log(np.where(labels == 1, p, 1 - p)).mean() for p in (plain, calibrated)]
    assert losses[1] < losses[0] - 0.005
