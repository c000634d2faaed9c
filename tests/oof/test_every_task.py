"""Base models of every task through the store: folds, kept models, and recipes that the task has no use for."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.task import TaskName
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.kept import load_kept
from compete.oof.work import choose_recipes, find_work, train
from support.task_posts import TASKS, assert_better_than_a_constant, assert_in_form, task_context, task_posts

DECLARATION = """\
name = "tiny"
task = "{task}"

[data]
train = "train.csv"
test = "test.csv"
id = "id"
text = "text"
labels = {labels}

[folds]
k = 2
"""
RECIPES = {
    "words": 'family = "linear"\n[settings]\nC = 10.0\nchar_ngrams = []\n',
    "answers": 'family = "label_generator"\n[settings]\ncheckpoint = "miniature:qwen2"\n',
}


def workspace_of(root: Path, task: TaskName) -> Workspace:
    """Eighty posts of the task, the first twelve of which are the test set too, under other ids."""
    texts, targets = task_posts(task, 80)
    names = list(task_context(task).labels)
    with (root / "train.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [[f"a{n}", text, *row] for n, (text, row) in enumerate(zip(texts, targets.tolist(), strict=True))]
        csv.writer(file).writerows([["id", "text", *names], *rows])
    with (root / "test.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *[[f"b{n}", text] for n, text in enumerate(texts[:12])]])
    (root / "competition.toml").write_text(DECLARATION.format(task=task, labels=names), encoding="utf-8")
    (root / "base_models").mkdir()
    for name, recipe in RECIPES.items():
        (root / "base_models" / f"{name}.toml").write_text(recipe, encoding="utf-8")
    return Workspace(root)


@pytest.mark.parametrize("task", TASKS)
def test_out_of_fold_predictions_have_the_form_of_the_task_and_are_given_again(tmp_path: Path, task: TaskName) -> None:
    workspace = workspace_of(tmp_path, task)
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, ["words"]), parity=False), InlineExecutor())
    found = store.read_model(workspace.base_model("words"), competition.shape)
    assert_in_form(task, found.oof, 80)
    assert_in_form(task, found.test, 12)
    assert_better_than_a_constant(found.oof, competition.train_targets)
    planned, recipe = with_plan(competition), load_recipe(workspace, "words")
    model = load_kept(workspace, recipe, 1, competition.task, 1, {**planned.identity, **recipe.identity()})
    rows = planned.plan.rows(1)
    again = model.predict_proba([competition.train_texts[row] for row in rows])
    np.testing.assert_allclose(again, found.oof[rows], rtol=1e-6)


def test_all_passes_over_a_recipe_that_is_not_for_the_task_and_named_it_is_refused(tmp_path: Path) -> None:
    competition = load_competition(workspace_of(tmp_path, "regression"))
    assert [recipe.name for recipe in choose_recipes(competition, [])] == ["words"]
    with pytest.raises(UserError, match=r"base_models/answers\.toml: label_generator answers yes or no"):
        find_work(competition, choose_recipes(competition, ["answers"]))
