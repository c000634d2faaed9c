"""Likely label errors: planted ones are found, clean labels are left alone, and taste is not mistaken for error."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.confident_learning import likely_class_errors, likely_label_errors
from compete.competition.metrics import Labels

ROWS = 4000


def truth(rates: tuple[float, ...] = (0.5, 0.3, 0.1), seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, len(rates))) < rates).astype(np.int8)


def model(labels: Labels, strength: float, seed: int = 1) -> NDArray[np.float32]:
    """Calibrated probabilities of somebody who sees the labels through noise."""
    random = np.random.default_rng(seed)
    rates = labels.mean(axis=0)
    seen = (labels - 0.5) * strength + random.normal(size=labels.shape)
    logits = strength * seen + np.log(rates / (1 - rates))
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def turned(labels: Labels, share: float, seed: int = 2) -> tuple[Labels, NDArray[np.bool_]]:
    """Labels of which a share was turned round, and which."""
    wrong = np.random.default_rng(seed).random(labels.shape) < share
    return np.where(wrong, 1 - labels, labels).astype(np.int8), wrong


@pytest.mark.parametrize(("strength", "least_found", "least_right"), [(3.0, 0.6, 0.6), (5.0, 0.9, 0.9)])
def test_planted_errors_are_found_and_few_others(strength: float, least_found: float, least_right: float) -> None:
    labels = truth()
    given, wrong = turned(labels, 0.05)
    found = likely_label_errors(given, model(labels, strength))
    assert found.shape == given.shape
    assert found[wrong].mean() > least_found
    assert wrong[found].mean() > least_right
    assert found[wrong].mean() > 10 * found[~wrong].mean()
    for label in range(3):  # of rare labels too, and of both kinds
        for value in (0, 1):
            of_value = given[:, label] == value
            hit, miss = wrong[:, label] & of_value, ~wrong[:, label] & of_value
            assert found[hit, label].mean() > 4 * found[miss, label].mean(), (label, value)


def test_the_more_are_wrong_the_more_are_marked() -> None:
    labels = truth()
    p = model(labels, 4.0)
    counts = [int(likely_label_errors(turned(labels, share)[0], p).sum()) for share in (0.0, 0.02, 0.1)]
    assert counts[0] < counts[1] < counts[2]
    assert counts[0] < 0.02 * labels.size


def test_nothing_is_wrong_where_the_model_agrees() -> None:
    labels = truth()
    assert not likely_label_errors(labels, 0.02 + 0.96 * labels.astype(np.float32)).any()


def test_a_marked_row_is_always_one_that_the_model_would_say_otherwise() -> None:
    labels, _ = turned(truth(), 0.1)
    p = model(truth(), 2.0)
    found = likely_label_errors(labels, p)
    wrong_side = np.where(labels == 1, 1 - p, p)
    for label in range(3):
        for value in (0, 1):
            rows = labels[:, label] == value
            marked, left = wrong_side[rows & found[:, label], label], wrong_side[rows & ~found[:, label], label]
            # The thresholds are the means over a class: what is marked is further off than what is not.
            assert len(marked) and marked.min() >= np.median(left)


def test_what_the_model_too_says_is_not_marked_however_unsure_it_is_of_a_rare_label() -> None:
    labels = truth((0.05,))
    p = model(labels, 1.0)
    assert p[labels == 1].mean() < 0.3  # it is rarely sure of it, so that many others seem sure in comparison
    found = likely_label_errors(labels, p)
    assert found.any()
    assert (np.where(labels == 1, p < 0.5, p > 0.5)[found]).all()


def test_labels_and_their_negation_are_treated_alike() -> None:
    labels, _ = turned(truth((0.5, 0.3)), 0.05)
    p = model(truth((0.5, 0.3)), 3.0).astype(np.float64)
    assert np.array_equal(likely_label_errors(labels, p), likely_label_errors(1 - labels, 1 - p))


def test_every_label_is_a_problem_of_its_own() -> None:
    labels, _ = turned(truth(), 0.05)
    p = model(truth(), 3.0)
    whole = likely_label_errors(labels, p)
    for label in range(3):
        alone = likely_label_errors(labels[:, [label]], p[:, [label]])
        assert np.array_equal(alone[:, 0], whole[:, label])


def test_of_a_label_that_is_the_same_everywhere_nothing_is_known() -> None:
    labels = np.zeros((50, 2), dtype=np.int8)
    labels[:, 1] = 1
    p = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    assert not likely_label_errors(labels, p).any()


def test_a_constant_model_marks_nothing() -> None:
    labels = truth()
    for value in (0.0, 0.2, 0.5, 1.0):
        found = likely_label_errors(labels, np.full(labels.shape, value, dtype=np.float32))
        assert not found.any(), value


def test_a_single_positive() -> None:
    labels = np.zeros((30, 1), dtype=np.int8)
    labels[0] = 1
    p = np.linspace(0.1, 0.9, 30).reshape(-1, 1)
    assert likely_label_errors(labels, p).shape == (30, 1)
    assert not likely_label_errors(labels, p)[:15].all()


def classes(seed: int = 4, count: int = 4) -> tuple[Labels, NDArray[np.float32], NDArray[np.bool_]]:
    """Classes of which one in twenty was exchanged, what a good model says of them, and which were exchanged."""
    random = np.random.default_rng(seed)
    true = random.choice(count, ROWS, p=[0.5, 0.3, 0.15, 0.05])
    scores = 3 * np.eye(count)[true] + random.normal(size=(ROWS, count))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = random.random(ROWS) < 0.05
    given = np.where(wrong, (true + random.integers(1, count, ROWS)) % count, true)
    return np.eye(count, dtype=np.int8)[given], p.astype(np.float32), wrong


def test_planted_errors_of_classes_are_found_and_few_others() -> None:
    given, p, wrong = classes()
    found = likely_class_errors(given, p)
    assert found.shape == (ROWS,)
    assert found[wrong].mean() > 0.6
    assert wrong[found].mean() > 0.8


def test_a_marked_row_is_under_its_class_and_over_another_and_would_be_given_another() -> None:
    given, p, _ = classes()
    sure = np.array([p[given[:, k] == 1, k].mean(dtype=np.float64) for k in range(4)])
    own = given.argmax(axis=1)
    found = likely_class_errors(given, p)
    for row in np.flatnonzero(found):
        others = [k for k in range(4) if k != own[row]]
        assert p[row, own[row]] < sure[own[row]]
        assert any(p[row, k] >= sure[k] for k in others)
        assert p[row].argmax() != own[row]


def test_of_a_model_that_says_the_same_of_every_row_no_class_is_wrong() -> None:
    given, p, _ = classes()
    assert not likely_class_errors(given, np.broadcast_to(p.mean(axis=0), p.shape).astype(np.float32)).any()


def test_a_class_without_a_row_is_nobodys() -> None:
    given, p, wrong = classes()
    rows = given[:, 3] == 0
    found = likely_class_errors(given[rows], p[rows])
    assert found[wrong[rows]].mean() > 0.5
