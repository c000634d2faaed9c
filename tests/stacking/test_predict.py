"""Probabilities of new texts are made as those of the test set were: the same texts give the same numbers."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.folds import FoldPlan
from compete.competition.workspace import Workspace
from compete.errors import StoreError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.state import competition_rows
from compete.oof.train import choose_recipes, current_plan, plan_work, shape_of, train
from compete.stacking.predict import predict_base_model, predict_stack
from compete.stacking.recipes import load_stack_recipe
from compete.stacking.stack import build_stack, stack_folder

RECIPES = {
    "of_words": 'family = "linear"\n[settings]\nword_ngrams = [1, 1]\nchar_ngrams = []\n',
    "of_letters": 'family = "linear"\n[settings]\nword_ngrams = []\nchar_ngrams = [2, 3]\nweighting = "nbsvm"\n',
}


@pytest.fixture
def trained(workspace: Workspace) -> Competition:
    """Two models that were kept, trained beside the tiny workspace's own, which cannot be."""
    for name, text in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    competition = load_competition(workspace)
    recipes = choose_recipes(competition, [*RECIPES, "words"])
    train(plan_work(competition, recipes, parity=False), InlineExecutor())
    return competition


@pytest.fixture
def plan(trained: Competition) -> FoldPlan:
    return current_plan(trained)


def stored(competition: Competition, name: str) -> np.ndarray:
    return store.read_model(competition.workspace.oof / name, shape_of(competition)).test


@pytest.mark.parametrize("name", RECIPES)
def test_a_base_model_gives_the_test_sets_probabilities_again(trained: Competition, plan: FoldPlan, name: str) -> None:
    doing: list[str] = []
    found = predict_base_model(trained, plan, name, trained.test_texts, 1, doing.append)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, stored(trained, name), atol=1e-6, rtol=0)
    assert doing == [f"{name} fold {fold}" for fold in range(3)]


def test_a_text_does_not_depend_on_its_company(trained: Competition, plan: FoldPlan) -> None:
    texts = [trained.test_texts[7], "", "never seen: 😀"]
    together = predict_base_model(trained, plan, "of_words", texts, 1)
    alone = np.concatenate([predict_base_model(trained, plan, "of_words", [text], 1) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)
    np.testing.assert_allclose(together[0], stored(trained, "of_words")[7], atol=1e-6, rtol=0)
    assert predict_base_model(trained, plan, "of_words", [], 1).shape == (0, 3)


@pytest.mark.parametrize("method", ["logistic", "mean"])
def test_a_stack_gives_the_test_sets_probabilities_again(trained: Competition, plan: FoldPlan, method: str) -> None:
    (trained.workspace.stack_recipes / "both.toml").write_text(f'method = "{method}"\n', encoding="utf-8")
    recipe = load_stack_recipe(trained.workspace, "both")
    build_stack(trained, plan, recipe, ["of_letters", "of_words"])
    found = predict_stack(trained, plan, recipe, trained.test_texts, 1)
    expected = store.read_model(stack_folder(trained.workspace, "both"), shape_of(trained)).test
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_a_stack_names_the_member_that_was_not_kept(trained: Competition, plan: FoldPlan) -> None:
    recipe = load_stack_recipe(trained.workspace, "logistic")
    with pytest.raises(StoreError, match="the stack 'logistic' was not built yet: `compete stack logistic`"):
        predict_stack(trained, plan, recipe, ["happy"], 1)
    build_stack(trained, plan, recipe, ["of_words", "words"])
    with pytest.raises(StoreError, match=r"oof/words/kept/fold_0 does not exist: fold 0 of words was not kept"):
        predict_stack(trained, plan, recipe, ["happy"], 1)


def test_a_stack_over_other_probabilities_than_there_are_is_refused(trained: Competition, plan: FoldPlan) -> None:
    recipe = load_stack_recipe(trained.workspace, "logistic")
    build_stack(trained, plan, recipe, ["of_letters", "of_words"])
    (trained.workspace.recipes / "of_words.toml").write_text(RECIPES["of_words"] + "C = 0.5\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"of_words is stale: settings\.C: 1\.0 -> 0\.5; `compete train-base of_words`"):
        predict_stack(trained, plan, recipe, ["happy"], 1)
    train(plan_work(trained, choose_recipes(trained, ["of_words"]), parity=False), InlineExecutor())
    with pytest.raises(StoreError, match=r"the stack 'logistic' is stale: base model of_words changed"):
        predict_stack(trained, plan, recipe, ["happy"], 1)


def test_a_fold_that_somebody_removed_is_named(trained: Competition, plan: FoldPlan) -> None:
    shutil.rmtree(trained.workspace.oof / "of_words" / "kept" / "fold_2")
    with pytest.raises(StoreError, match=r"fold 2 of of_words was not kept.*`compete train-base of_words --force`"):
        predict_base_model(trained, plan, "of_words", ["happy"], 1)


def test_an_imported_model_has_nothing_to_predict_with(trained: Competition, plan: FoldPlan) -> None:
    record = {"kind": "imported", "identity": competition_rows(trained, plan)}
    of_words = store.read_model(trained.workspace.oof / "of_words", shape_of(trained))
    store.write_model(trained.workspace.oof / "mate", of_words, shape_of(trained), record)
    with pytest.raises(StoreError, match="mate was imported: its probabilities are here, its models are not"):
        predict_base_model(trained, plan, "mate", ["happy"], 1)


def test_a_model_that_is_unknown_or_not_trained(trained: Competition, plan: FoldPlan) -> None:
    with pytest.raises(UserError, match=r"no recipe base_models/of_word\.toml; did you mean 'of_words'\?"):
        predict_base_model(trained, plan, "of_word", ["happy"], 1)
    with pytest.raises(StoreError, match="words_smooth is missing; `compete train-base words_smooth` trains it"):
        predict_base_model(trained, plan, "words_smooth", ["happy"], 1)
