"""The recipes of a new workspace: what the task would refuse is not among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.starter import starter_folder
from compete.competition.starter_recipes import starter_recipes
from compete.competition.task import KINDS, TaskName
from compete.competition.workspace import Workspace
from compete.stacking.stack_recipes import load_with_parts, stack_names
from support.every_task import task_workspace


def started(root: Path, task: TaskName) -> Workspace:
    """A workspace of the task with the recipes it starts with, and no others."""
    workspace = task_workspace(root, task)
    for folder in (workspace.recipes, workspace.stack_recipes):
        for file in folder.glob("*.toml"):
            file.unlink()
    for name, content in starter_recipes(starter_folder(), task).items():
        (root / name).write_bytes(content)
    return workspace


@pytest.mark.parametrize("task", KINDS)
def test_every_recipe_is_taken_by_the_task(task: TaskName, tmp_path: Path) -> None:
    workspace = started(tmp_path, task)
    metric = load_competition(workspace).metric
    names = [path.stem for path in workspace.recipes.glob("*.toml")]
    for name in names:
        assert load_recipe(workspace, name).task == task
    recipes = load_with_parts(workspace, stack_names(workspace))
    assert len(recipes) == 5
    for recipe in recipes:
        assert recipe.suits(metric.kind)
        if not recipe.declaration.stacks:
            assert recipe.candidates(metric)
    assert ("ridge" in stack_names(workspace)) is (task in ("regression", "ordinal"))
    generators = [name for name in names if load_recipe(workspace, name).declaration.family == "label_generator"]
    assert bool(generators) is (task != "regression")


def test_labels_and_classes_start_with_the_shipped_files_themselves() -> None:
    shipped = {
        f"{folder}/{file.name}": file.read_bytes()
        for folder in ("base_models", "stacking")
        for file in (starter_folder() / folder).glob("*.toml")
    }
    assert starter_recipes(starter_folder(), "multilabel") == shipped == starter_recipes(starter_folder(), "multiclass")
