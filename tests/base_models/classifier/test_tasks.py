"""A head in every task: it learns by every loss, gives predictions of the task's form, and the same when read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.task_losses import LOSSES
from compete.competition.task import KINDS, TaskName
from support.small_classifier import settings
from support.task_posts import TASKS, assert_better_than_a_constant, assert_in_form, task_context, task_posts

pytestmark = pytest.mark.slow

CASES = [(task, loss) for task in TASKS for loss in LOSSES[KINDS[task]] if KINDS[task] != "labels"]
LEARNING: dict[str, Any] = {"epochs": 8, "learning_rate": 3e-3, "scheduler": "constant", "pooling": "mean"}


def fit(task: TaskName, targets: NDArray[np.number] | None = None, **more: Any) -> Any:
    texts, told = task_posts(task, 96)
    chosen = settings("miniature:distilbert", **{**LEARNING, **more})
    return SequenceClassifier(chosen).fit(texts, told if targets is None else targets, task_context(task))


@pytest.mark.parametrize(("task", "loss"), [*CASES, ("binary", None), ("multilabel", None)])
def test_it_learns_in_every_task_by_every_loss(task: TaskName, loss: str | None) -> None:
    texts, targets = task_posts(task, 96)
    found = fit(task, loss=loss).predict_proba(texts)
    assert_in_form(task, found, len(texts))
    assert_better_than_a_constant(found, targets)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_what_is_read_again_predicts_the_same(tmp_path: Path, task: TaskName, adaptation: str) -> None:
    model = fit(task, epochs=1, adaptation=adaptation, loss="mse" if task in ("regression", "ordinal") else None)
    texts = ["what a lovely day", "awful", ""]
    expected = model.predict_proba(texts)
    assert model.predict_proba([]).shape == (0, expected.shape[1])
    assert model.save(tmp_path, whole=True)
    again = SequenceClassifier(model.settings).load(tmp_path, task_context(task)).predict_proba(texts)
    np.testing.assert_allclose(again, expected, rtol=1e-5)


def test_heavier_class_weights_raise_a_rare_class() -> None:
    _, targets = task_posts("multiclass", 96)
    rare = np.flatnonzero(targets[:, 3])[3:]
    targets[rare] = [0, 0, 1, 0]  # three rows of "best" are left
    texts, _ = task_posts("multiclass", 96)
    means = [
        fit("multiclass", targets, epochs=3, class_weights=weights).predict_proba(texts)[:, 3].mean()
        for weights in ("none", "sqrt", "balanced")
    ]
    assert means[0] < means[1] < means[2]


def test_label_smoothing_keeps_a_class_from_being_certain() -> None:
    texts, _ = task_posts("multiclass", 96)
    plain, smooth = (fit("multiclass", label_smoothing=share).predict_proba(texts).max() for share in (0.0, 0.3))
    assert smooth < plain
