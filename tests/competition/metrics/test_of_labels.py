from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    jaccard_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    recall_score,
)

from compete.competition.metrics import METRICS, f1_per_label, precision_recall_per_label

Matrix = NDArray[np.int8]


@st.composite
def truth_and_decisions(draw: st.DrawFn) -> tuple[Matrix, Matrix]:
    """Two 0/1 matrices of one shape; rows and labels without a one are frequent, so are whole empty matrices."""
    rows, labels = draw(st.integers(1, 7)), draw(st.integers(2, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    truth, decisions = (random.random((2, rows, labels)) < rate).astype(np.int8)
    truth[draw(st.integers(0, rows - 1))] = 0
    decisions[:, draw(st.integers(0, labels - 1))] = 0
    return truth, decisions


@st.composite
def two_columns(draw: st.DrawFn, most_classes: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Classes of some rows, true and decided; often some class, or all but one, is missing."""
    rows, classes = draw(st.integers(1, 12)), draw(st.integers(1, most_classes))
    classes_of_rows = st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows)
    return np.array(draw(classes_of_rows)), np.array(draw(classes_of_rows))


MULTILABEL: dict[str, Callable[..., float]] = {
    "f1_macro": partial(f1_score, average="macro", zero_division=0),
    "f1_micro": partial(f1_score, average="micro", zero_division=0),
    "f1_weighted": partial(f1_score, average="weighted", zero_division=0),
    "f1_samples": partial(f1_score, average="samples", zero_division=0),
    "jaccard_samples": partial(jaccard_score, average="samples", zero_division=0),
    "accuracy": accuracy_score,
}
BINARY: dict[str, Callable[..., float]] = {
    "f1": partial(f1_score, zero_division=0),
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "matthews": matthews_corrcoef,
}
MULTICLASS: dict[str, Callable[..., float]] = {
    "f1_macro": partial(f1_score, average="macro", labels=range(4), zero_division=0),
    "f1_micro": partial(f1_score, average="micro", labels=range(4), zero_division=0),
    "f1_weighted": partial(f1_score, average="weighted", labels=range(4), zero_division=0),
    "recall_macro": partial(recall_score, average="macro", labels=range(4), zero_division=0),
    "accuracy": accuracy_score,
    "matthews": matthews_corrcoef,
}


@pytest.mark.parametrize("name", MULTILABEL)
@settings(max_examples=80, deadline=None)
@given(matrices=truth_and_decisions())
def test_decisions_of_labels_are_scored_as_scikit_learn_does(name: str, matrices: tuple[Matrix, Matrix]) -> None:
    truth, decisions = matrices
    assert METRICS[name].compute(truth, decisions) == pytest.approx(MULTILABEL[name](truth, decisions))


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=80, deadline=None)
@given(columns=two_columns(2))
def test_decisions_of_one_label_are_scored_as_scikit_learn_does(
    name: str, columns: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> None:
    truth, decisions = columns
    found = METRICS[name].compute(truth[:, None].astype(np.int8), decisions[:, None].astype(np.int8))
    with warnings.catch_warnings():  # scikit-learn says that a class is missing
        warnings.simplefilter("ignore", UserWarning)
        assert found == pytest.approx(BINARY[name](truth, decisions))


@pytest.mark.parametrize("name", MULTICLASS)
@settings(max_examples=80, deadline=None)
@given(columns=two_columns(4))
def test_decisions_of_classes_are_scored_as_scikit_learn_does(
    name: str, columns: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> None:
    truth, decisions = columns
    one_hot = np.eye(4, dtype=np.int8)
    found = METRICS[name].compute(one_hot[truth], one_hot[decisions])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert found == pytest.approx(MULTICLASS[name](truth, decisions))


@settings(max_examples=80, deadline=None)
@given(matrices=truth_and_decisions())
def test_scores_of_single_labels_are_scikit_learns(matrices: tuple[Matrix, Matrix]) -> None:
    truth, decisions = matrices
    precision, recall, f1, _ = precision_recall_fscore_support(truth, decisions, average=None, zero_division=0)
    assert f1_per_label(truth, decisions) == pytest.approx(f1)
    ours = precision_recall_per_label(truth, decisions)
    assert ours[0] == pytest.approx(precision)
    assert ours[1] == pytest.approx(recall)


def test_a_worked_example() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 0]], dtype=np.int8)
    decisions = np.array([[1, 1], [0, 1], [0, 0]], dtype=np.int8)
    expected = {
        "f1_macro": 2 / 3,  # F1 of both labels: 2/3
        "f1_micro": 2 / 3,  # 2 hits, 3 true, 3 predicted
        "f1_samples": (2 / 3 + 2 / 3 + 0) / 3,
        "jaccard_samples": (1 / 2 + 1 / 2 + 0) / 3,
        "accuracy": 1 / 3,
    }
    assert {name: METRICS[name].compute(truth, decisions) for name in expected} == pytest.approx(expected)


def test_the_matthews_correlation_of_one_label_is_that_of_its_two_classes() -> None:
    truth, decisions = np.array([[1, 1, 1, 0, 0, 0, 0]]).T, np.array([[1, 1, 0, 1, 0, 0, 0]]).T
    one_hot = np.eye(2, dtype=np.int8)
    both = METRICS["matthews"].compute(one_hot[truth[:, 0]], one_hot[decisions[:, 0]])
    assert METRICS["matthews"].compute(truth, decisions) == pytest.approx(both)
    assert both == pytest.approx((2 * 3 - 1 * 1) / np.sqrt(3 * 3 * 4 * 4))


def test_accuracy_of_grades_needs_every_target_right_and_knows_a_grade_in_any_precision() -> None:
    truth = np.array([[0.1, 1.0], [0.1, 2.0], [0.3, 1.0]], dtype=np.float32)
    decided = np.array([[0.1, 1.0], [0.1, 1.0], [0.3, 1.0]])
    assert METRICS["accuracy"].compute(truth, decided) == pytest.approx(2 / 3)
