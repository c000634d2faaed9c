"""Heads on plain numbers: those of the libraries, or reckoned by hand; what chooses, and what there is to choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC, LinearSVR

from compete.base_models.embeddings.heads import Head, fit_head, load_head
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FitContext
from compete.competition.shape import Targets
from compete.competition.task import TaskName
from support.task_posts import TASKS, assert_in_form, task_context, task_posts

N_ROWS, WIDTH = 150, 12
HEADS = ("linear", "svm", "knn", "lightgbm")
ROWS = np.arange(0, 120), np.arange(120, N_ROWS)


def settings(head: str, **more: Any) -> EmbeddingsSettings:
    small: dict[str, Any] = {"C": (0.1,), "trees": {"min_data_in_leaf": 5}, "neighbours": 5}
    return EmbeddingsSettings(checkpoint="miniature:roberta", head=head, **{**small, **more})  # type: ignore[arg-type]


def told(task: TaskName) -> tuple[NDArray[np.float32], Targets]:
    """Numbers of very different sizes that tell the targets, with noise."""
    _, targets = task_posts(task, N_ROWS)
    chance = np.random.default_rng(1)
    mixed = targets.astype(np.float64) @ chance.normal(size=(targets.shape[1], WIDTH)) / targets.std()
    numbers = (mixed + chance.normal(size=mixed.shape)) * np.logspace(-1, 3, WIDTH) + 100
    return numbers.astype(np.float32), targets


def fitted(task: TaskName, head: str, **more: Any) -> tuple[Head, NDArray[np.float32], Targets]:
    numbers, targets = told(task)
    return fit_head(settings(head, **more), numbers, targets, ROWS, task_context(task)), numbers, targets


def standardised(numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = numbers.astype(np.float64)
    return np.asarray((wide - wide.mean(axis=0)) / wide.std(axis=0))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("head", HEADS)
def test_every_head_in_every_task_has_its_form_and_is_the_same_once_read_again(
    head: str, task: TaskName, tmp_path: Path
) -> None:
    found, numbers, targets = fitted(task, head)
    predictions = found.predict(numbers)
    assert_in_form(task, predictions.astype(np.float32), N_ROWS)
    errors = ((predictions - targets) ** 2).mean(axis=0)
    assert np.all(errors < 0.8 * targets.astype(np.float64).var(axis=0))
    found.save(tmp_path)
    again = load_head(settings(head), tmp_path, task_context(task)).predict(numbers)
    assert predictions.tobytes() == again.tobytes()
    assert_in_form(task, found.predict(numbers[:0]).astype(np.float32), 0) if head != "lightgbm" else None


def test_of_labels_and_classes_a_linear_head_is_scikit_learns_logistic_regression() -> None:
    for task in ("multilabel", "binary"):
        found, numbers, targets = fitted(task, "linear")
        for column, y in zip(found.predict(numbers).T, targets.T, strict=True):
            theirs = LogisticRegression(C=0.1, tol=1e-8, max_iter=2000).fit(standardised(numbers), y)
            np.testing.assert_allclose(column, theirs.predict_proba(standardised(numbers))[:, 1], atol=1e-3)
    found, numbers, targets = fitted("multiclass", "linear")
    classes = LogisticRegression(C=0.1, tol=1e-8, max_iter=2000).fit(standardised(numbers), targets.argmax(axis=1))
    np.testing.assert_allclose(found.predict(numbers), classes.predict_proba(standardised(numbers)), atol=1e-3)


def test_of_two_classes_too() -> None:
    numbers, targets = told("multiclass")
    targets = np.eye(2, dtype=np.int8)[(targets.argmax(axis=1) >= 2).astype(int)]
    context = FitContext(("no", "yes"), 1, "multiclass")
    found = fit_head(settings("linear"), numbers, targets, ROWS, context).predict(numbers)
    theirs = LogisticRegression(C=0.1, tol=1e-8, max_iter=2000).fit(standardised(numbers), targets[:, 1])
    np.testing.assert_allclose(found, theirs.predict_proba(standardised(numbers)), atol=1e-3)


def test_of_numbers_it_is_ridge_whatever_their_scale_and_grades_are_cut_to_theirs() -> None:
    found, numbers, targets = fitted("regression", "linear")
    theirs = Ridge(alpha=10).fit(standardised(numbers), targets).predict(standardised(numbers))
    np.testing.assert_allclose(found.predict(numbers), theirs, rtol=1e-4)
    found, numbers, targets = fitted("ordinal", "linear")
    theirs = Ridge(alpha=10).fit(standardised(numbers), targets).predict(standardised(numbers))
    np.testing.assert_allclose(found.predict(numbers), theirs.clip(-2, 1), atol=1e-3)
    assert theirs.max() > 1


def test_the_solution_holds_for_numbers_that_repeat_each_other_under_next_to_no_penalty() -> None:
    numbers, targets = told("multilabel")
    numbers = np.hstack([numbers] * 20)
    found = fit_head(settings("linear", C=(1e6,)), numbers, targets, ROWS, task_context("multilabel"))
    assert_in_form("multilabel", found.predict(numbers).astype(np.float32), N_ROWS)
    numbers, targets = told("regression")
    wide = np.hstack([numbers] * 20)
    found = fit_head(settings("linear", C=(1e3,)), wide, targets, ROWS, task_context("regression"))
    theirs = Ridge(alpha=1e-3, solver="svd").fit(standardised(wide), targets).predict(standardised(wide))
    np.testing.assert_allclose(found.predict(wide), theirs, rtol=1e-3)


def test_a_machines_probabilities_are_those_of_its_margins_calibrated() -> None:
    found, numbers, targets = fitted("multilabel", "svm")
    X, seed = standardised(numbers).astype(np.float32), task_context("multilabel").seed
    for column, y in zip(found.predict(numbers).T, targets.T, strict=True):
        machine = LinearSVC(C=0.1, dual="auto", random_state=seed)
        theirs = CalibratedClassifierCV(machine, method="sigmoid", cv=3).fit(X, y).predict_proba(X)[:, 1]
        np.testing.assert_allclose(column, theirs, atol=1e-3)
    found, numbers, targets = fitted("regression", "svm")
    X = standardised(numbers).astype(np.float32)
    y = (targets - targets.mean(axis=0)) / targets.std(axis=0)
    machine = LinearSVR(C=0.1, loss="squared_epsilon_insensitive", dual="auto", random_state=seed).fit(X, y[:, 0])
    np.testing.assert_allclose(
        found.predict(numbers)[:, 0], machine.predict(X) * targets[:, 0].std() + targets[:, 0].mean(), rtol=1e-3
    )


def test_neighbours_are_weighed_by_their_cosine_and_may_be_fewer_than_asked_for() -> None:
    numbers = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float32)
    targets = np.array([[10.0], [20.0], [30.0], [40.0]], dtype=np.float32)
    context = FitContext(("mood",), 1, "regression")
    rows = np.arange(3), np.arange(3, 4)
    two = fit_head(settings("knn", neighbours=2), numbers, targets, rows, context)
    # Between the first and the third, twice as near to the first in cosine.
    np.testing.assert_allclose(two.predict(np.array([[2, 1]], dtype=np.float32)), [[(2 * 10 + 30) / 3]], rtol=1e-5)
    all_of_them = fit_head(settings("knn", neighbours=50), numbers, targets, rows, context)
    np.testing.assert_allclose(all_of_them.predict(np.array([[1, 0]], dtype=np.float32)), [[10]], rtol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_one_class_in_the_rows_a_label_without_positives_and_a_constant_target(head: str) -> None:
    numbers, targets = told("multiclass")
    targets[:] = [0, 1, 0, 0]
    found = fit_head(settings(head), numbers, targets, ROWS, task_context("multiclass")).predict(numbers)
    assert_in_form("multiclass", found.astype(np.float32), N_ROWS)
    assert found[:, 1].min() > 0.9
    numbers, targets = told("multilabel")
    targets[:, 1] = 0
    found = fit_head(settings(head), numbers, targets, ROWS, task_context("multilabel")).predict(numbers)
    assert found[:, 1].max() < 0.05
    assert np.ptp(found[:, 0]) > 0.5
    numbers, targets = told("regression")
    targets[:, 1] = 7
    found = fit_head(settings(head), numbers, targets, ROWS, task_context("regression")).predict(numbers)
    np.testing.assert_allclose(found[:, 1], 7, atol=1e-3)


def test_the_penalty_is_chosen_on_the_rows_that_choose_and_on_no_others() -> None:
    """Noise in the fitted rows is learnt by a weak penalty; rows that have the same noise then prefer it."""
    chance = np.random.default_rng(3)
    numbers = chance.normal(size=(80, 60)).astype(np.float32)
    y = (chance.random((80, 1)) < 0.5).astype(np.int8)
    penalties = (0.0001, 10.0)

    def best(choose: NDArray[np.int64], labels: NDArray[np.int8]) -> float:
        context = FitContext(("joy",), 1)
        fit_head(settings("linear", C=penalties), numbers, labels, (np.arange(60), choose), context)
        assert [row["C"] for row in context.curves] == list(penalties)
        return min(context.curves, key=lambda row: row["validation_loss"])["C"]

    assert best(np.arange(60, 80), y) == 0.0001
    assert best(np.arange(60), y) == 10.0
    # The labels of rows that choose are not fitted: turned about, they are predicted no better than by chance.
    turned = np.vstack([y[:60], 1 - y[60:]])
    assert best(np.arange(60, 80), turned) == 0.0001
