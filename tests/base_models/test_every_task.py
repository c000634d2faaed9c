"""Every family that starts from the texts alone, in every task: form, use, and the same after saving and loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.base_models.boosted.family import Boosted
from compete.base_models.boosted.settings import BoostedSettings
from compete.base_models.embeddings.family import Embeddings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.ffnn.family import FeedForward
from compete.base_models.ffnn.settings import FeedForwardSettings
from compete.base_models.linear.family import Linear
from compete.base_models.linear.settings import LinearSettings
from compete.competition.task import TaskName
from compete.competition.text_columns import PAIR
from support.task_posts import TASKS, assert_better_than_a_constant, assert_in_form, task_context, task_posts

SMALL: dict[str, Any] = {"embedding_size": 8, "hidden": (16,), "batch_size": 16, "dropout": 0.1, "epochs": 15}
FAMILIES: dict[str, Any] = {
    "linear": Linear(LinearSettings(C=10.0)),
    "nbsvm": Linear(LinearSettings(weighting="nbsvm")),
    "lightgbm": Boosted(BoostedSettings(n_components=16, min_data_in_leaf=5)),
    "embeddings": Embeddings(
        EmbeddingsSettings(
            checkpoint="miniature:gemma3_embedding", layers=(1, 2), C=(0.1, 1.0), precision="float32", max_length=32
        )
    ),
    "ffnn": FeedForward(FeedForwardSettings(**SMALL, members=2)),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", FAMILIES)
def test_predictions_have_the_form_of_the_task_and_follow_the_words(name: str, task: TaskName, tmp_path: Path) -> None:
    texts, targets = task_posts(task, 160)
    family = FAMILIES[name]
    model = family.fit(texts, targets, task_context(task))
    assert_in_form(task, model.predict_proba([]), 0)
    found = model.predict_proba([*texts, "", "ωψ"])
    assert_in_form(task, found, len(texts) + 2)
    assert_better_than_a_constant(found[: len(texts)], targets)
    assert model.save(tmp_path, whole=False)
    again = family.load(tmp_path, task_context(task)).predict_proba([*texts, "", "ωψ"])
    assert found.tobytes() == again.tobytes()


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "pearson"])
def test_a_net_fits_numbers_by_every_loss_and_gives_them_on_their_own_scale(loss: str) -> None:
    texts, targets = task_posts("regression", 160)
    settings = FeedForwardSettings(**SMALL, learning_rate=0.02, loss=loss)  # type: ignore[arg-type]
    found = FeedForward(settings).fit(texts, targets, task_context("regression")).predict_proba(texts)
    assert_better_than_a_constant(found, targets)


@pytest.mark.parametrize("loss", ["cumulative", "mse"])
def test_a_net_fits_grades_as_steps_or_as_numbers(loss: str) -> None:
    texts, targets = task_posts("ordinal", 160)
    settings = FeedForwardSettings(**SMALL, loss=loss)  # type: ignore[arg-type]
    found = FeedForward(settings).fit(texts, targets, task_context("ordinal")).predict_proba(texts)
    assert_in_form("ordinal", found, len(texts))
    assert_better_than_a_constant(found, targets)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_segments_of_a_pair_are_read_as_one_text(name: str) -> None:
    texts, targets = task_posts("multiclass", 160)
    model = FAMILIES[name].fit(texts, targets, task_context("multiclass"))
    pair, one = model.predict_proba([f"what a{PAIR}lovely day", "what a\nlovely day"])
    np.testing.assert_array_equal(pair, one)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_class_without_rows_and_a_constant_target_are_no_obstacle(name: str, task: TaskName) -> None:
    texts, targets = task_posts(task, 80)
    if task == "multiclass":  # as in a fold that has no row of it
        targets[targets[:, 3] == 1] = [1, 0, 0, 0]
    else:
        targets[:, 1] = 7
    found = FAMILIES[name].fit(texts, targets, task_context(task)).predict_proba(texts)
    assert_in_form(task, found, len(texts))
    if task == "multiclass":
        assert found[:, 3].max() < 0.25
    else:
        assert np.abs(found[:, 1] - 7).max() < 1
