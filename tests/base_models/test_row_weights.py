"""Rows that are likely mislabelled: which are found, by whom, and what it changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.families import FitContext
from compete.base_models.ffnn.family import FeedForward
from compete.base_models.ffnn.settings import FeedForwardSettings
from compete.base_models.linear.family import Linear
from compete.base_models.linear.settings import LinearSettings
from compete.base_models.row_weights import row_weights
from compete.competition import folds
from support.small_classifier import settings
from support.task_posts import task_context, task_posts

CONTEXT = FitContext(labels=("joy", "anger"), seed=3)
SMALL: dict[str, Any] = {"embedding_size": 8, "hidden": (16,), "batch_size": 16, "dropout": 0.1, "epochs": 8}


def turned(count: int = 300) -> tuple[list[str], NDArray[np.int8], NDArray[np.bool_]]:
    """Posts that tell "joy" and "anger" by a word, their labels with one in ten of "joy" turned around, and where."""
    random = np.random.default_rng(5)
    labels = (random.random((count, 2)) < (0.5, 0.3)).astype(np.int8)
    words = [[cue for cue, on in zip(("sunny", "rotten"), row, strict=True) if on] for row in labels]
    texts = [" ".join([*cues, "day", *(f"filler{n}" for n in random.integers(30, size=3))]) for cues in words]
    wrong = np.zeros(labels.shape, dtype=bool)
    wrong[np.random.default_rng(4).permutation(count)[: count // 10], 0] = True
    return texts, np.where(wrong, 1 - labels, labels).astype(np.int8), wrong


def test_what_was_turned_around_counts_less_and_for_that_label_alone() -> None:
    texts, labels, wrong = turned()
    weights = row_weights(texts, labels, 0.25, CONTEXT)
    assert weights is not None and weights.dtype == np.float32
    assert set(np.unique(weights).tolist()) == {0.25, 1.0}
    marked = weights < 1
    # Those of which the model is surer than it commonly is: about half.
    assert marked[wrong].mean() > 0.4
    assert marked[~wrong].mean() < 0.01


def test_of_classes_a_row_counts_less_as_a_whole() -> None:
    texts, classes = task_posts("multiclass", 200)
    wrong = np.random.default_rng(4).permutation(200)[:16]
    classes[wrong] = np.roll(classes[wrong], 1, axis=1)
    weights = row_weights(texts, classes.astype(np.int8), 0.0, task_context("multiclass"))
    assert weights is not None and weights.shape == classes.shape
    marked = (weights == 0).all(axis=1)
    assert np.array_equal(marked, (weights == 0).any(axis=1))
    assert marked[wrong].mean() > 0.8 and np.delete(marked, wrong).mean() < 0.03


def test_nobody_is_asked_who_saw_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is there twice, with a word of its own and a wrong label, would be excused by its copy."""
    texts, labels, _ = turned(100)
    seen: list[NDArray[np.int16]] = []
    real = folds.assign_folds

    def looking(*inputs: Any) -> NDArray[np.int16]:
        seen.append(real(*inputs))
        return seen[-1]

    monkeypatch.setattr("compete.base_models.row_weights.assign_folds", looking)
    row_weights([*texts, *(text.upper() for text in texts)], np.vstack([labels, labels]), 0.5, CONTEXT)
    np.testing.assert_array_equal(seen[0][:100], seen[0][100:])


def test_nothing_is_looked_for_by_default_and_where_there_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels, _ = turned(60)
    assert row_weights(texts[:8], labels[:8], 0.5, CONTEXT) is None
    assert row_weights(["a", "b"] * 30, labels, 0.5, CONTEXT) is None
    monkeypatch.setattr("compete.base_models.row_weights.assign_folds", lambda *_: pytest.fail("looked for"))
    assert row_weights(texts, labels, 1.0, CONTEXT) is None


def test_a_label_that_is_the_same_everywhere_is_right_everywhere() -> None:
    texts, labels, _ = turned(100)
    labels[:, 1] = 0
    weights = row_weights(texts, labels, 0.5, CONTEXT)
    assert weights is not None and weights[:, 1].min() == 1


@pytest.mark.parametrize(
    "family",
    [
        lambda weight: Linear(LinearSettings(noisy_rows=weight)),
        lambda weight: Linear(LinearSettings(noisy_rows=weight, weighting="nbsvm")),
        lambda weight: FeedForward(FeedForwardSettings(**SMALL, noisy_rows=weight)),
    ],
    ids=["linear", "nbsvm", "ffnn"],
)
def test_a_model_is_surer_where_wrong_rows_count_nothing(family: Any) -> None:
    texts, labels, _ = turned()
    sunny = np.array(["sunny" in text for text in texts])

    def told_apart(weight: float) -> float:
        p = family(weight).fit(texts, labels, CONTEXT).predict_proba(texts)[:, 0]
        return float(p[sunny].mean() - p[~sunny].mean())

    assert told_apart(0.0) > told_apart(1.0) + 0.02


@pytest.mark.slow
def test_a_fine_tuned_model_weighs_the_rows_it_fits_and_not_those_that_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels, _ = turned(96)
    asked: list[int] = []

    def all_of(some: list[str], targets: NDArray[np.int8], weight: float, _: FitContext) -> NDArray[np.float32]:
        asked.append(len(some))
        return np.full(targets.shape, weight, dtype=np.float32)

    def fit(**more: Any) -> FitContext:
        context = FitContext(labels=("joy", "anger"), seed=3)
        chosen = settings("miniature:distilbert", batch_size=86, weight_decay=0.0, **more)
        SequenceClassifier(chosen).fit(texts, labels, context)
        return context

    plain = fit()
    monkeypatch.setattr("compete.base_models.classifier.training.row_weights", all_of)
    half = fit(noisy_rows=0.5)
    assert asked and asked[0] < 90  # the rest chooses the epoch
    assert half.curves[0]["train_loss"] == pytest.approx(plain.curves[0]["train_loss"] / 2, rel=1e-3)
    assert half.curves[0]["validation_loss"] == pytest.approx(plain.curves[0]["validation_loss"], rel=0.1)
