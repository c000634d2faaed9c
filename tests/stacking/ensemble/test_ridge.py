"""Ridge regression of probabilities: scikit-learn's, brought back to what probabilities are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from compete.competition.metrics import METRICS, Labels
from compete.logits import sigmoid, softmax
from compete.stacking.ensemble.class_learners import log_features
from compete.stacking.ensemble.meta_learners import features
from compete.stacking.ensemble.ridge import ProbabilityRidge

ROWS = 500


def of_labels(seed: int = 0) -> tuple[NDArray[np.float32], Labels]:
    random = np.random.default_rng(seed)
    labels = (random.random((ROWS, 3)) < (0.5, 0.3, 0.1)).astype(np.int8)
    z = np.stack([s * (labels - 0.5) + random.normal(size=labels.shape) for s in (2.0, 1.5)])
    return sigmoid(z).astype(np.float32), labels


def of_classes(seed: int = 0) -> tuple[NDArray[np.float32], Labels]:
    random = np.random.default_rng(seed)
    labels = np.eye(3, dtype=np.int8)[random.choice(3, size=ROWS, p=[0.6, 0.3, 0.1])]
    z = np.stack([s * labels + random.normal(size=labels.shape) for s in (2.0, 1.5)])
    return softmax(z).astype(np.float32), labels


def standardised(X: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray((X - X.mean(axis=0, dtype=np.float64)) / X.std(axis=0, dtype=np.float64))


@pytest.mark.parametrize("alpha", [1.0, 100.0])
def test_of_labels_it_is_scikit_learns_cut_to_probabilities(alpha: float) -> None:
    models, labels = of_labels()
    X = standardised(features(models))
    expected = Ridge(alpha=alpha).fit(X, labels).predict(X)
    assert (expected < 0).any()  # there is something to cut
    found = ProbabilityRidge(alpha).fit(models, labels).predict_proba(models)
    assert found == pytest.approx(np.clip(expected, 0, 1), abs=1e-5)


def test_of_classes_it_is_scikit_learns_brought_to_a_sum_of_one() -> None:
    models, labels = of_classes()
    X = standardised(log_features(models))
    expected = np.clip(Ridge(alpha=10.0).fit(X, labels).predict(X), 0, None)
    found = ProbabilityRidge(classes=True).fit(models, labels).predict_proba(models)
    inside = expected.max(axis=1) <= 1
    assert inside.mean() > 0.5
    assert found[inside] == pytest.approx((expected / expected.sum(axis=1, keepdims=True))[inside], abs=1e-5)
    assert found.min() >= 0 and found.sum(axis=1) == pytest.approx(1)


def test_new_rows_are_told_better_than_by_the_best_model() -> None:
    models, labels = of_labels(1)
    p = ProbabilityRidge().fit(*of_labels(0)).predict_proba(models)
    auc = METRICS["roc_auc_macro"].compute
    assert auc(labels, p) > max(auc(labels, model) for model in models) + 0.005
    models, labels = of_classes(1)
    p = ProbabilityRidge(classes=True).fit(*of_classes(0)).predict_proba(models)
    loss = METRICS["multiclass_log_loss"].compute
    assert loss(labels, p) < min(loss(labels, model) for model in models)


def test_a_constant_model_changes_nothing_wherever_it_is_constant_later() -> None:
    models, labels = of_labels()
    with_constant = np.concatenate([models, np.full_like(models[:1], 0.3)])
    fitted = ProbabilityRidge().fit(with_constant, labels)
    alone = ProbabilityRidge().fit(models, labels).predict_proba(models)
    assert fitted.predict_proba(with_constant) == pytest.approx(alone, abs=1e-5)
    with_constant[2] = 0.9
    assert fitted.predict_proba(with_constant) == pytest.approx(alone, abs=1e-3)


def test_certain_models_and_labels_of_one_value_are_no_trouble() -> None:
    models, labels = of_labels()
    models = np.round(models, 1)
    labels[:, 2] = 0
    assert (models == 0).any() and (models == 1).any()
    p = ProbabilityRidge().fit(models, labels).predict_proba(models)
    assert np.isfinite(p).all()
    assert p[:, 2] == pytest.approx(np.zeros(ROWS), abs=1e-9)
