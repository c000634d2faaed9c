"""The joint solver finds scikit-learn's solution, label by label."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from compete.logistic_regression import fit_logistic


def made_up(n_rows: int, n_features: int, rates: tuple[float, ...]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Correlated standardised features, and labels of the given rates that depend on some of them."""
    random = np.random.default_rng(3)
    X = random.standard_normal((n_rows, n_features)) + random.standard_normal((n_rows, 1))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    logit = X @ random.standard_normal((n_features, len(rates))) + random.logistic(size=(n_rows, len(rates)))
    cuts = [np.quantile(column, 1 - rate) for column, rate in zip(logit.T, rates, strict=True)]
    return X.astype(np.float32), (logit > cuts).astype(np.int8)


@pytest.mark.parametrize("C", [0.001, 0.1, 10.0])
def test_the_solution_is_scikit_learns(C: float) -> None:
    X, labels = made_up(800, 12, (0.5, 0.2, 0.03))
    weights, intercepts = fit_logistic(X, labels, C)
    for column, target in enumerate(labels.T):
        model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-8).fit(X.astype(np.float64), target)
        size = np.abs(model.coef_).max()
        np.testing.assert_allclose(weights[:, column], model.coef_[0], atol=2e-3 * size)
        assert intercepts[column] == pytest.approx(model.intercept_[0], abs=5e-3)


def test_more_features_than_rows_and_collinear_columns() -> None:
    X, labels = made_up(60, 40, (0.5, 0.3))
    X = np.concatenate([X, X], axis=1)
    weights, _ = fit_logistic(X, labels, 0.1)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights[:40], weights[40:], atol=1e-3)  # twins share their weight


def test_labels_do_not_influence_each_other() -> None:
    X, labels = made_up(500, 6, (0.5, 0.1, 0.3))
    together, _ = fit_logistic(X, labels, 0.1)
    alone, _ = fit_logistic(X, labels[:, [1]], 0.1)
    np.testing.assert_allclose(together[:, 1], alone[:, 0], atol=2e-3)


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_with_one_class_gets_its_smoothed_rate(value: int) -> None:
    X, labels = made_up(98, 3, (0.5, 0.5))
    labels[:, 1] = value
    weights, intercepts = fit_logistic(X, labels, 1.0)
    assert np.all(weights[:, 1] == 0)
    rate = 1 / (1 + np.exp(-intercepts[1]))
    assert rate == pytest.approx(0.99 if value else 0.01)


def test_rows_count_as_their_weights_say() -> None:
    X, labels = made_up(600, 8, (0.5, 0.2))
    counts = np.random.default_rng(1).uniform(0.1, 2, len(X)).astype(np.float32)
    weights, intercepts = fit_logistic(X, labels, 0.1, counts)
    for column, target in enumerate(labels.T):
        model = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8)
        model.fit(X.astype(np.float64), target, sample_weight=counts)
        size = np.abs(model.coef_).max()
        np.testing.assert_allclose(weights[:, column], model.coef_[0], atol=2e-3 * size)
        assert intercepts[column] == pytest.approx(model.intercept_[0], abs=5e-3)


def test_a_probability_is_so_much_of_a_positive_and_the_rest_of_a_negative_row() -> None:
    X, labels = made_up(500, 6, (0.4,))
    soft = labels.astype(np.float32)
    soft[:200, 0] = np.random.default_rng(2).uniform(0, 1, 200)
    counts = np.where(np.arange(len(X)) < 200, 0.5, 1.0).astype(np.float32)
    weights, intercepts = fit_logistic(X, soft, 1.0, counts)
    twice = np.concatenate([X, X]).astype(np.float64)
    target = np.repeat([1, 0], len(X))
    share = np.concatenate([soft[:, 0], 1 - soft[:, 0]]) * np.tile(counts, 2)
    model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-8).fit(twice, target, sample_weight=share)
    np.testing.assert_allclose(weights[:, 0], model.coef_[0], atol=2e-3 * np.abs(model.coef_).max())
    assert intercepts[0] == pytest.approx(model.intercept_[0], abs=5e-3)
