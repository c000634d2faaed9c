from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from compete.competition.metrics import METRICS, Metric, auc_values, both_classes, find_metric
from compete.errors import DataError

Matrix = NDArray[np.int8]


def random_probabilities(seed: int, rows: int = 40, labels: int = 3) -> tuple[Matrix, NDArray[np.float64]]:
    """Labels with both values in every column, and probabilities with many ties and both extremes."""
    random = np.random.default_rng(seed)
    truth = (random.random((rows, labels)) < 0.3).astype(np.int8)
    truth[0], truth[1] = 0, 1
    return truth, random.integers(0, 11, (rows, labels)) / 10


def random_classes(seed: int, rows: int = 40, classes: int = 4) -> tuple[Matrix, NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    truth = np.eye(classes, dtype=np.int8)[np.arange(rows) % classes]
    values = random.integers(1, 5, truth.shape) + 2.0 * truth
    return truth, values / values.sum(axis=1, keepdims=True)


SCIKIT: dict[str, Callable[..., float]] = {
    "roc_auc_macro": lambda y, p: roc_auc_score(y, p, average="macro"),
    "roc_auc_weighted": lambda y, p: roc_auc_score(y, p, average="weighted"),
    "average_precision_macro": lambda y, p: average_precision_score(y, p, average="macro"),
}


@pytest.mark.parametrize("name", SCIKIT)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("drawn", [random_probabilities, random_classes])
def test_what_ranks_rows_is_scikit_learns(name: str, seed: int, drawn: Callable[[int], tuple[Matrix, Matrix]]) -> None:
    truth, probabilities = drawn(seed)
    assert METRICS[name].compute(truth, probabilities) == pytest.approx(SCIKIT[name](truth, probabilities))


@pytest.mark.parametrize("seed", range(5))
def test_weighted_auc_of_classes_is_scikit_learns_one_against_the_rest(seed: int) -> None:
    truth, probabilities = random_classes(seed, rows=41)
    expected = roc_auc_score(truth.argmax(axis=1), probabilities, multi_class="ovr", average="weighted")
    assert METRICS["roc_auc_weighted"].compute(truth, probabilities) == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=15))
def test_average_precision_of_one_label_is_scikit_learns(cells: list[tuple[bool, int]]) -> None:
    truth = np.array([[positive] for positive, _ in cells], dtype=np.int8)
    probabilities = np.array([[place / 6] for _, place in cells])
    metric = METRICS["average_precision"]
    if truth.any():
        expected = average_precision_score(truth[:, 0], probabilities[:, 0])
        assert metric.compute(truth, probabilities) == pytest.approx(expected)
    else:
        with pytest.raises(DataError, match="average precision is not defined here: no row"):
            metric.compute(truth, probabilities)


def test_roc_auc_leaves_out_labels_of_one_class_and_refuses_if_none_is_left() -> None:
    truth, probabilities = random_probabilities(0, labels=4)
    truth[:, 1], truth[:, 3] = 0, 1
    for name in ("roc_auc_macro", "roc_auc_weighted"):
        metric = METRICS[name]
        expected = metric.compute(truth[:, [0, 2]], probabilities[:, [0, 2]])
        assert metric.compute(truth, probabilities) == pytest.approx(expected)
        with pytest.raises(DataError, match="every label is the same in every row"):
            metric.compute(truth[:, [1, 3]], probabilities[:, [1, 3]])
    with pytest.raises(DataError, match="AUC is not defined here: the label is the same in every row"):
        METRICS["roc_auc"].compute(truth[:, [1]], probabilities[:, [1]])


def test_average_precision_leaves_out_labels_that_no_row_has() -> None:
    truth, probabilities = random_probabilities(0, labels=4)
    truth[:, 1], truth[:, 3] = 0, 1
    each = [average_precision_score(truth[:, label], probabilities[:, label]) for label in (0, 2)]
    assert METRICS["average_precision_macro"].compute(truth, probabilities) == pytest.approx((sum(each) + 1) / 3)


def test_both_classes() -> None:
    truth = np.array([[0, 1, 1], [0, 1, 0]], dtype=np.int8)
    assert both_classes(truth).tolist() == [False, False, True]
    assert both_classes(truth[:0]).tolist() == [False, False, False]


def drawn(seed: int) -> tuple[Matrix, NDArray[np.float64]]:
    """400 rows of three labels; the scores of another seed are those of new rows."""
    random = np.random.default_rng(seed)
    labels = (random.random((400, 3)) < (0.5, 0.3, 0.15)).astype(np.int8)
    z = 2.0 * (labels - 0.5) + random.normal(size=labels.shape)
    return labels, np.round(1 / (1 + np.exp(-z)), 2)


@pytest.mark.parametrize("name", ["roc_auc_macro", "average_precision_macro"])
def test_values_of_the_rows_have_the_score_as_their_mean_and_its_noise_as_their_spread(name: str) -> None:
    metric = METRICS[name]
    noise = np.std([metric.compute(*drawn(seed)) for seed in range(200)])
    assert metric.sums is not None
    values = metric.sums(*drawn(0))[:, 0]
    assert values.mean() == pytest.approx(metric.compute(*drawn(0)), abs=1e-9)
    assert values.std() / np.sqrt(400) == pytest.approx(noise, rel=0.2)


def test_a_label_of_one_class_has_no_part_in_the_values_of_the_auc() -> None:
    labels, probabilities = drawn(0)
    labels[:, 2] = 1
    assert auc_values(labels, probabilities) == pytest.approx(auc_values(labels[:, :2], probabilities[:, :2]))
    assert auc_values(labels[:, 2:], probabilities[:, 2:]).tolist() == [0.5] * 400


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
@pytest.mark.parametrize("name", ["log_loss", "multiclass_log_loss"])
def test_log_loss_of_certainty_is_finite_and_right(name: str, kind: type[np.floating]) -> None:
    truth = np.array([[1, 0]], dtype=np.int8)
    assert METRICS[name].compute(truth, np.array([[1, 0]], dtype=kind)) == pytest.approx(1e-7, rel=1e-3)
    assert METRICS[name].compute(truth, np.array([[0, 1]], dtype=kind)) == pytest.approx(-np.log(1e-7))


@pytest.mark.parametrize("seed", range(5))
def test_log_loss_of_classes_is_scikit_learns_whatever_a_rows_sum(seed: int) -> None:
    truth, probabilities = random_classes(seed)
    expected = log_loss(truth.argmax(axis=1), probabilities, labels=range(4))
    metric = METRICS["multiclass_log_loss"]
    assert metric.compute(truth, probabilities) == pytest.approx(expected)
    stretched = probabilities * np.random.default_rng(seed).uniform(0.5, 2, (len(truth), 1))
    assert metric.compute(truth, stretched) == pytest.approx(expected)


def test_a_row_of_zeros_holds_all_classes_for_equally_likely() -> None:
    truth = np.array([[0, 1, 0, 0]], dtype=np.int8)
    assert METRICS["multiclass_log_loss"].compute(truth, np.zeros((1, 4))) == pytest.approx(np.log(4))


def average_precision_at(k: int, truth: list[int], probabilities: list[float]) -> float:
    """As it is written at Kaggle: the sum of precision at n times relevance at n, over min(k, number of positives)."""
    places = sorted(range(len(truth)), key=lambda place: (-probabilities[place], place))[:k]
    hits, total = 0, 0.0
    for n, place in enumerate(places, start=1):
        if truth[place]:
            hits += 1
            total += hits / n
    return total / min(k, sum(truth)) if sum(truth) else 0.0


@settings(max_examples=100, deadline=None)
@given(
    k=st.integers(1, 7),
    rows=st.lists(
        st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=5, max_size=5), min_size=1, max_size=6
    ),
)
def test_map_at_k_is_kaggles(k: int, rows: list[list[tuple[bool, int]]]) -> None:
    truth = [[int(there) for there, _ in row] for row in rows]
    probabilities = [[place / 4 for _, place in row] for row in rows]
    expected = np.mean([average_precision_at(k, *row) for row in zip(truth, probabilities, strict=True)])
    found = find_metric(f"map_at_{k}").compute(np.array(truth, dtype=np.int8), np.array(probabilities))
    assert found == pytest.approx(expected)


def test_map_at_k_of_classes_is_one_over_the_place() -> None:
    truth = np.eye(4, dtype=np.int8)
    probabilities = np.tile([0.1, 0.4, 0.3, 0.2], (4, 1))
    assert find_metric("map_at_3").compute(truth, probabilities) == pytest.approx((0 + 1 + 1 / 2 + 1 / 3) / 4)


def test_of_equal_probabilities_the_column_to_the_left_comes_first() -> None:
    truth = np.array([[1, 0], [0, 1]], dtype=np.int8)
    metric: Metric = find_metric("map_at_1")
    assert metric.compute(truth[:1], np.full((1, 2), 0.5)) == 1
    assert metric.compute(truth[1:], np.full((1, 2), 0.5)) == 0
