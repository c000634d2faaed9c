from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, jaccard_score, log_loss, precision_recall_fscore_support, roc_auc_score

from compete.competition.metrics import METRICS, f1_per_label, precision_recall_per_label
from compete.errors import DataError

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


DECISION_METRICS = {
    "f1_macro": partial(f1_score, average="macro", zero_division=0),
    "f1_micro": partial(f1_score, average="micro", zero_division=0),
    "f1_samples": partial(f1_score, average="samples", zero_division=0),
    "jaccard_samples": partial(jaccard_score, average="samples", zero_division=0),
}


@pytest.mark.parametrize("name", DECISION_METRICS)
@settings(max_examples=80, deadline=None)
@given(matrices=truth_and_decisions())
def test_decisions_are_scored_as_scikit_learn_does(name: str, matrices: tuple[Matrix, Matrix]) -> None:
    truth, decisions = matrices
    assert METRICS[name].compute(truth, decisions) == pytest.approx(DECISION_METRICS[name](truth, decisions))


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
    }
    assert {name: METRICS[name].compute(truth, decisions) for name in expected} == pytest.approx(expected)


def random_probabilities(seed: int, rows: int = 40, labels: int = 3) -> tuple[Matrix, NDArray[np.float64]]:
    """Labels with both values in every column, and probabilities with many ties and both extremes."""
    random = np.random.default_rng(seed)
    truth = (random.random((rows, labels)) < 0.3).astype(np.int8)
    truth[0], truth[1] = 0, 1
    return truth, random.integers(0, 11, (rows, labels)) / 10


@pytest.mark.parametrize("seed", range(5))
def test_roc_auc_is_scikit_learns(seed: int) -> None:
    truth, probabilities = random_probabilities(seed)
    per_label = [roc_auc_score(truth[:, label], probabilities[:, label]) for label in range(3)]
    assert METRICS["roc_auc_macro"].compute(truth, probabilities) == pytest.approx(np.mean(per_label))


def test_roc_auc_leaves_out_labels_of_one_class_and_refuses_if_none_is_left() -> None:
    truth, probabilities = random_probabilities(0, labels=4)
    truth[:, 1], truth[:, 3] = 0, 1
    expected = METRICS["roc_auc_macro"].compute(truth[:, [0, 2]], probabilities[:, [0, 2]])
    assert METRICS["roc_auc_macro"].compute(truth, probabilities) == pytest.approx(expected)
    with pytest.raises(DataError, match="every label is the same in every row"):
        METRICS["roc_auc_macro"].compute(truth[:, [1, 3]], probabilities[:, [1, 3]])


@pytest.mark.parametrize("seed", range(5))
def test_log_loss_is_the_mean_of_scikit_learns_over_labels(seed: int) -> None:
    truth, probabilities = random_probabilities(seed)
    inside = np.clip(probabilities, 0.01, 0.99)
    per_label = [log_loss(truth[:, label], inside[:, label], labels=[0, 1]) for label in range(3)]
    assert METRICS["log_loss"].compute(truth, inside) == pytest.approx(np.mean(per_label))


def test_log_loss_of_a_label_without_positives_is_defined() -> None:
    truth = np.zeros((4, 2), dtype=np.int8)
    assert METRICS["log_loss"].compute(truth, np.full((4, 2), 0.25)) == pytest.approx(-np.log(0.75))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_log_loss_of_certainty_is_finite_and_right(kind: type[np.floating]) -> None:
    truth = np.array([[1, 0]], dtype=np.int8)
    assert METRICS["log_loss"].compute(truth, np.array([[1, 0]], dtype=kind)) == pytest.approx(1e-7, rel=1e-3)
    assert METRICS["log_loss"].compute(truth, np.array([[0, 1]], dtype=kind)) == pytest.approx(-np.log(1e-7))


def test_only_log_loss_is_better_when_smaller() -> None:
    better = {name: metric.better(0.6, than=0.5) for name, metric in METRICS.items()}
    worse = {name: metric.better(0.5, than=0.6) for name, metric in METRICS.items()}
    equal = {name: metric.better(0.5, than=0.5) for name, metric in METRICS.items()}
    assert [name for name in METRICS if not better[name]] == ["log_loss"]
    assert [name for name in METRICS if worse[name]] == ["log_loss"]
    assert not any(equal.values())


def test_every_metric_exists_under_its_name() -> None:
    assert all(metric.name == name for name, metric in METRICS.items())


def test_only_macro_f1_may_choose_a_threshold_for_every_label() -> None:
    chosen = {name: metric.thresholds for name, metric in METRICS.items()}
    assert [name for name, kind in chosen.items() if kind == "label"] == ["f1_macro"]
    assert sorted(name for name, kind in chosen.items() if kind is None) == ["log_loss", "roc_auc_macro"]
