"""Trees over base models: they start from the calibrated mean and only learn what it misses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels
from compete.logits import sigmoid
from compete.stacking.ensemble.boosting import FittedLightGBM, LightGBM
from compete.stacking.ensemble.calibration import fit_calibration
from compete.stacking.ensemble.meta_learners import RowFeatures

ROWS = 800


def make_labels(seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, 3)) < (0.5, 0.3, 0.2)).astype(np.int8)


def make_models(labels: Labels, signal: tuple[float, ...], seed: int = 1) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    z = [s * (labels - 0.5) + random.normal(size=labels.shape) for s in signal]
    return sigmoid(np.array(z)).astype(np.float32)


def noise(columns: int, seed: int = 3) -> RowFeatures:
    return np.random.default_rng(seed).normal(size=(ROWS, columns)).astype(np.float32)


def log_loss(labels: Labels, probabilities: NDArray[np.generic]) -> float:
    return METRICS["log_loss"].compute(labels, probabilities)


def trees(fitted: FittedLightGBM) -> list[int]:
    return [0 if booster is None else booster.num_trees() for booster in fitted.boosters]


def test_where_the_mean_says_it_all_the_trees_stay_near_it() -> None:
    """Two equal models and 20 columns of noise: there is nothing to find but the mean."""
    labels = make_labels()
    models = make_models(labels, (2.0, 2.0))
    fitted = LightGBM().fit(models, labels, noise(20))
    mean = models.mean(axis=0)
    calibrated = fit_calibration(labels, mean).apply(mean)
    predicted = fitted.predict_proba(models, noise(20))
    assert max(trees(fitted)) < 60
    assert np.abs(predicted - calibrated).mean() < 0.03
    assert log_loss(labels, calibrated) < log_loss(labels, mean) - 0.005  # the control: calibration is something


@pytest.mark.parametrize("shuffled", [False, True])
def test_where_no_tree_can_be_grown_the_calibrated_mean_is_left(shuffled: bool) -> None:
    labels = make_labels()
    models = make_models(labels, (2.0, 2.0))
    if shuffled:
        labels = labels[np.random.default_rng(1).permutation(ROWS)]
    fitted = LightGBM(min_data_in_leaf=ROWS).fit(models, labels)
    mean = models.mean(axis=0, dtype=np.float64)
    calibrated = fit_calibration(labels, mean).apply(mean)
    assert fitted.predict_proba(models) == pytest.approx(calibrated, abs=1e-6)


def test_trees_find_what_a_mean_cannot_say() -> None:
    """Label 0 is there where a model is neither sure of it nor sure against it."""
    labels, fresh_labels = make_labels(), make_labels(seed=5)

    def models_of(labels: Labels, seed: int) -> NDArray[np.float32]:
        models, random = make_models(labels, (1.0, 1.0), seed), np.random.default_rng(seed)
        sure = np.where(random.random(ROWS) < 0.5, 0.1, 0.9) + random.uniform(-0.1, 0.1, ROWS)
        models[0, :, 0] = np.where(labels[:, 0] == 1, random.uniform(0.3, 0.7, ROWS), sure)
        models[1, :, 0] = random.random(ROWS)
        return models

    fitted = LightGBM(learning_rate=0.2, feature_fraction=1.0).fit(models_of(labels, 1), labels)
    fresh = models_of(fresh_labels, 2)
    right = ((fitted.predict_proba(fresh)[:, 0] > 0.5) == fresh_labels[:, 0]).mean()
    by_mean = ((fresh.mean(axis=0)[:, 0] > 0.5) == fresh_labels[:, 0]).mean()
    assert right > 0.95
    assert by_mean < 0.6


def test_row_features_are_looked_at() -> None:
    labels, fresh_labels = make_labels(), make_labels(seed=5)
    models, fresh = make_models(labels, (1.0, 1.0)), make_models(fresh_labels, (1.0, 1.0), seed=6)
    rows, fresh_rows = noise(4, 3), noise(4, 4)
    rows[:, 2], fresh_rows[:, 2] = labels[:, 1], fresh_labels[:, 1]  # one of them gives label 1 away
    learner = LightGBM(learning_rate=0.2, feature_fraction=1.0)
    with_rows = learner.fit(models, labels, rows).predict_proba(fresh, fresh_rows)
    without = learner.fit(models, labels).predict_proba(fresh)
    assert ((with_rows[:, 1] > 0.5) == fresh_labels[:, 1]).mean() > 0.98
    assert ((without[:, 1] > 0.5) == fresh_labels[:, 1]).mean() < 0.9


def test_trees_add_to_the_mean_and_do_not_count_it_again() -> None:
    """What the trees start from is what their predictions are added to: the result is calibrated on new rows."""
    labels, fresh_labels = make_labels(), make_labels(seed=5)
    models, fresh = make_models(labels, (1.5, 1.5)), make_models(fresh_labels, (1.5, 1.5), seed=6)
    hints = [1.5 * y + noise(3, seed=int(y.sum())) for y in (labels, fresh_labels)]
    fitted = LightGBM().fit(models, labels, hints[0])
    assert min(trees(fitted)) > 0
    found = fitted.predict_proba(fresh, hints[1])
    mean = fresh.mean(axis=0)
    assert log_loss(fresh_labels, found) < log_loss(fresh_labels, fitted.start.apply(mean)) - 0.005
    assert fit_calibration(fresh_labels, found).slopes == pytest.approx(np.ones(3), abs=0.3)


@pytest.mark.parametrize(("value", "rate"), [(0, 0.0), (1, 1.0)])
def test_a_label_that_is_the_same_in_every_row_grows_no_tree(value: int, rate: float) -> None:
    labels = make_labels()
    labels[:, 1] = value
    fitted = LightGBM().fit(make_models(labels, (1.0, 2.0)), labels)
    assert trees(fitted)[1] == 0
    predicted = fitted.predict_proba(make_models(labels, (1.0, 2.0)))
    assert np.isfinite(predicted).all()
    assert np.abs(predicted[:, 1] - rate).max() < 0.02


def test_the_same_fit_gives_the_same_bits_and_another_seed_does_not() -> None:
    labels = make_labels()
    models = make_models(labels, (0.5, 2.0, 1.0))
    first, again, other = (LightGBM(seed=seed).fit(models, labels).predict_proba(models) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_row_is_predicted_by_itself() -> None:
    labels = make_labels()
    models = make_models(labels, (0.5, 2.0))
    fitted = LightGBM().fit(models, labels, noise(2))
    whole = fitted.predict_proba(models, noise(2))
    assert whole.shape == labels.shape
    one = fitted.predict_proba(models[:, 7:8], noise(2)[7:8])
    assert one == pytest.approx(whole[7:8], abs=1e-6)


def test_no_more_trees_than_allowed() -> None:
    labels = make_labels()
    models = make_models(labels, (0.2, 3.0))
    assert max(trees(LightGBM(max_trees=4, learning_rate=0.01).fit(models, labels))) <= 4
