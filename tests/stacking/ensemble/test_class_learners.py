"""Meta-learners over classes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from compete.competition.metrics import METRICS, Labels
from compete.competition.task import Task
from compete.logits import softmax
from compete.stacking.ensemble.blend import Blend, FittedBlend
from compete.stacking.ensemble.boosting import ClassTrees, LightGBM
from compete.stacking.ensemble.class_learners import (
    CalibratedClasses,
    Multinomial,
    fit_scaling,
    log_features,
)
from compete.stacking.ensemble.meta_learners import Mean, MetaLearner
from compete.stacking.ensemble.nelder_mead import NelderMead
from compete.stacking.ensemble.ridge import ProbabilityRidge

THREE = METRICS["multiclass_log_loss"].of(Task("multiclass", ("a", "b", "c")))
LEARNERS: dict[str, MetaLearner] = {
    "mean": Mean(),
    "blend": Blend("log_loss", metric=THREE),
    "by the metric": Blend("metric", metric=METRICS["f1_macro"].of(Task("multiclass", ("a", "b", "c")))),
    "negative": Blend("log_loss", negative=True, metric=THREE),
    "simplex": NelderMead(Blend("metric", metric=THREE)),
    "multinomial": Multinomial(0.5),
    "ridge": ProbabilityRidge(classes=True),
    "temperature": CalibratedClasses(Mean(), vector=False),
    "vector": CalibratedClasses(Mean(), vector=True),
    "trees": ClassTrees(LightGBM(min_data_in_leaf=10)),
}


def rows(seed: int, n_rows: int = 1200, sharpness: float = 1.0) -> tuple[NDArray[np.float64], Labels]:
    """Two models' probabilities of three classes, the second's of another temper, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, size=n_rows, p=[0.6, 0.3, 0.1])
    labels = np.eye(3, dtype=np.int8)[truth]
    z = np.log([0.6, 0.3, 0.1]) + np.stack([s * labels + random.normal(size=labels.shape) for s in (2.0, 1.5)])
    return softmax(sharpness * z), labels


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_every_row_is_given_probabilities_of_sum_one_that_tell_more_than_the_weaker_model(learner: MetaLearner) -> None:
    fitted = learner.fit(*rows(0))
    models, labels = rows(1)
    p = fitted.predict_proba(models)
    assert p.shape == labels.shape
    assert (p >= 0).all()
    assert p.sum(axis=1) == pytest.approx(1)
    assert THREE.compute(labels, p) < THREE.compute(labels, models[1])


def test_a_multinomial_regression_is_scikit_learns() -> None:
    models, labels = rows(0)
    X = log_features(models)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    expected = LogisticRegression(C=0.1, max_iter=1000, tol=1e-6).fit(X, labels.argmax(axis=1)).predict_proba(X)
    assert Multinomial(0.1).fit(models, labels).predict_proba(models) == pytest.approx(expected, abs=5e-3)


def test_of_two_classes_too() -> None:
    models, labels = rows(0)
    two = models[:, :, :2] / models[:, :, :2].sum(axis=2, keepdims=True)
    truth = np.eye(2, dtype=np.int8)[labels[:, 1]]
    X = log_features(two)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    expected = LogisticRegression(C=0.1, max_iter=1000, tol=1e-6).fit(X, truth.argmax(axis=1)).predict_proba(X)
    assert Multinomial(0.1).fit(two, truth).predict_proba(two) == pytest.approx(expected, abs=5e-3)


def test_a_class_that_no_row_of_the_fit_has_is_given_nothing() -> None:
    models, labels = rows(0)
    without = labels[:, 2] == 0
    p = Multinomial().fit(models[:, without], labels[without]).predict_proba(models)
    assert p[:, 2].tolist() == [0.0] * len(labels)
    assert p.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("vector", [False, True])
def test_scaling_undoes_a_temperature_and_lowers_the_log_loss(vector: bool) -> None:
    sharp, labels = rows(0, n_rows=4000, sharpness=3.0)
    scaling = fit_scaling(labels, sharp[0], vector=vector)
    truth = labels.argmax(axis=1)
    assert log_loss(truth, scaling.apply(sharp[0])) < log_loss(truth, sharp[0]) - 0.05
    plain, _ = rows(0, n_rows=4000)
    own = fit_scaling(labels, plain[0], vector=vector)
    assert (scaling.scales * 3).tolist() == pytest.approx(own.scales.tolist(), rel=0.1)


def test_a_temperature_is_the_best_of_all() -> None:
    sharp, labels = rows(0, sharpness=2.0)
    truth, scaling = labels.argmax(axis=1), fit_scaling(labels, sharp[0], vector=False)
    z = np.log(sharp[0])
    tried = [log_loss(truth, softmax(scale * z)) for scale in np.linspace(0.05, 2, 100)]
    assert log_loss(truth, scaling.apply(sharp[0])) <= min(tried) + 1e-4
    assert scaling.intercepts.tolist() == [0, 0, 0]


def test_trees_that_do_not_help_leave_what_they_start_from() -> None:
    models, labels = rows(0, n_rows=60)
    fitted = ClassTrees(LightGBM(min_data_in_leaf=60)).fit(models, labels)
    start = fit_scaling(labels, models.mean(axis=0), vector=True).apply(models.mean(axis=0))
    assert fitted.predict_proba(models) == pytest.approx(start, abs=1e-6)


def test_trees_learn_what_only_one_model_tells_by_a_step() -> None:
    random = np.random.default_rng(3)
    models, labels = rows(0, n_rows=4000)
    hidden = random.random(4000) < 0.3  # where the second model's first class says 0.99, the truth is the third
    models[1, hidden] = [0.98, 0.01, 0.01]
    labels[hidden] = [0, 0, 1]
    half = np.arange(4000) < 2000
    trees = ClassTrees(LightGBM()).fit(models[:, half], labels[half])
    mean = models[:, ~half].mean(axis=0)
    assert THREE.compute(labels[~half], trees.predict_proba(models[:, ~half])) < THREE.compute(labels[~half], mean) / 2


def test_rows_of_a_blend_that_takes_away_have_the_sum_one() -> None:
    models, labels = rows(0)
    models[1] = softmax(np.log(models[0]) + 0.3 * np.log(models[1]))  # what it shares with the first is taken away
    blend = Blend("log_loss", negative=True, metric=THREE).fit(models, labels)
    far = np.stack([np.eye(3)[[0, 1]], np.eye(3)[[1, 2]]])
    assert blend.predict_proba(far).sum(axis=1) == pytest.approx(1)
    assert FittedBlend(np.array([[1.5] * 3, [-0.5] * 3]), True, True).predict_proba(far) == pytest.approx(
        np.eye(3)[[0, 1]]
    )
