"""Rows that choose an epoch are taken from the training rows, apart from the rows that are fitted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.validation_split import validation_split


def numbered(count: int) -> list[str]:
    return [f"post number {number}" for number in range(count)]


def test_inner_rows_are_a_stratified_tenth_apart_from_the_fitted_rows() -> None:
    labels = (np.random.default_rng(5).random((400, 3)) < (0.5, 0.2, 0.06)).astype(np.int8)
    fitted, validation = validation_split(numbered(400), labels, 0.1, seed=3)
    assert sorted([*fitted, *validation]) == list(range(400))
    assert 35 <= len(validation) <= 45
    np.testing.assert_allclose(labels[validation].mean(axis=0), labels.mean(axis=0), atol=0.02)


def test_near_identical_texts_stay_on_one_side() -> None:
    texts = [f"post number {number % 50} @user{number}" for number in range(200)]
    labels = (np.random.default_rng(5).random((200, 2)) < 0.4).astype(np.int8)
    fitted, validation = validation_split(texts, labels, 0.2, seed=3)
    assert not {row % 50 for row in fitted} & {row % 50 for row in validation}


def test_the_seed_decides() -> None:
    labels = (np.random.default_rng(5).random((100, 2)) < 0.4).astype(np.int8)
    first, again, other = (validation_split(numbered(100), labels, 0.1, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_a_single_label_is_stratified_too() -> None:
    labels = (np.random.default_rng(5).random((200, 1)) < 0.1).astype(np.int8)
    fitted, validation = validation_split(numbered(200), labels, 0.25, seed=3)
    assert labels[validation].mean() == pytest.approx(labels[fitted].mean(), abs=0.02)


@pytest.mark.parametrize("labels", [np.zeros((3, 2)), np.eye(4), np.ones((5, 1)), np.zeros((30, 2))])
@pytest.mark.parametrize("same_text", [False, True])
def test_few_or_plain_rows(labels: NDArray[np.float64], same_text: bool) -> None:
    texts = ["the same"] * len(labels) if same_text else numbered(len(labels))
    fitted, validation = validation_split(texts, labels.astype(np.int8), 0.1, seed=3)
    assert sorted([*fitted, *validation]) == list(range(len(labels)))
    assert len(fitted) >= 2
    assert len(validation) >= 1
