"""Texts as numbers: learnt from the training texts alone, the same beside other texts and after reading them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compete.base_models.boosted.settings import BoostedSettings
from compete.base_models.boosted.text_numbers import TextNumbers
from compete.base_models.row_features import NAMES, row_features
from support.task_posts import task_posts

SETTINGS = BoostedSettings(n_components=8)
TEXTS = task_posts("multiclass", 80)[0]
OTHERS = ["what a lovely day!", "", "ωψ", "an awful filler3"]


def test_counts_come_first_and_then_as_many_numbers_as_are_asked_for() -> None:
    found = TextNumbers.fit(SETTINGS, TEXTS, 3).of(OTHERS)
    assert found.shape == (4, len(NAMES) + 8)
    np.testing.assert_array_equal(found[:, : len(NAMES)], row_features(OTHERS))
    np.testing.assert_array_equal(found[1:3, len(NAMES) :], 0)  # no n-gram of theirs is known
    assert np.abs(found[0, len(NAMES) :] - found[3, len(NAMES) :]).max() > 0.1


def test_a_text_has_the_same_numbers_alone_as_among_others_and_after_reading_again(tmp_path: Path) -> None:
    numbers = TextNumbers.fit(SETTINGS, TEXTS, 3)
    numbers.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    together, again = numbers.of(OTHERS), TextNumbers.load(SETTINGS, tmp_path).of(OTHERS)
    assert together.tobytes() == again.tobytes()
    np.testing.assert_array_equal(together, np.concatenate([numbers.of([text]) for text in OTHERS]))


def test_the_vocabulary_is_that_of_the_training_texts() -> None:
    numbers = TextNumbers.fit(SETTINGS, TEXTS, 3)
    numbers.of(["zebra zebra", "zebra"])
    assert "lovely" in numbers.vectorisers[0].vocabulary_
    assert "zebra" not in numbers.vectorisers[0].vocabulary_


def test_without_ngrams_there_are_counts_alone() -> None:
    numbers = TextNumbers.fit(BoostedSettings(word_ngrams=(), char_ngrams=()), TEXTS, 3)
    np.testing.assert_array_equal(numbers.of(OTHERS), row_features(OTHERS))
