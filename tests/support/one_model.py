"""A base model of the tiny workspace: trained, looked at, and made stale by an edit."""

from __future__ import annotations

from pathlib import Path

from compete.base_models.recipes import load_recipe
from compete.competition.data import Competition
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.state import ModelState, model_state
from compete.oof.work import choose_recipes, find_work, train


def train_words(competition: Competition, *folds: int) -> None:
    train(find_work(competition, choose_recipes(competition, ["words"]), folds), InlineExecutor())


def state_of(competition: Competition, name: str = "words", with_recipe: bool = True) -> ModelState:
    planned = with_plan(competition)
    recipe = load_recipe(competition.workspace, name) if with_recipe else None
    return model_state(competition.workspace, name, recipe, planned.identity, planned.plan.k)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def train_model(competition: Competition, name: str) -> store.Predictions:
    work = find_work(competition, choose_recipes(competition, [name]))
    train(work, InlineExecutor())
    return store.read_model(competition.workspace.base_model(name), competition.shape)
