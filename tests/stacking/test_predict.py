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
def prepared(workspace: Workspace) -> Competition:
    """The tiny workspace with two recipes more, whose models can be kept; its own cannot."""
    for name, text in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    return load_competition(workspace)


def train_models(competition: Competition, *names: str) -> FoldPlan:
    train(plan_work(competition, choose_recipes(competition, names), parity=False), InlineExecutor())
    return current_plan(competition)


def stored(competition: Competition, name: str) -> np.ndarray:
    return store.read_model(competition.workspace.oof / name, shape_of(competition)).test


@pytest.mark.parametrize("name", RECIPES)
def test_a_base_model_gives_the_test_sets_probabilities_again(prepared: Competition, name: str) -> None:
    plan = train_models(prepared, name)
    doing: list[str] = []
    found = predict_base_model(prepared, plan, name, prepared.test_texts, 1, doing.append)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, stored(prepared, name), atol=1e-6, rtol=0)
    assert doing == [f"{name} fold {fold}" for fold in range(3)]


def test_a_text_does_not_depend_on_its_company(prepared: Competition) -> None:
    plan = train_models(prepared, "of_words")
    texts = [prepared.test_texts[7], "", "never seen: 😀"]
    together = predict_base_model(prepared, plan, "of_words", texts, 1)
    alone = np.concatenate([predict_base_model(prepared, plan, "of_words", [text], 1) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)
    np.testing.assert_allclose(together[0], stored(prepared, "of_words")[7], atol=1e-6, rtol=0)
    assert predict_base_model(prepared, plan, "of_words", [], 1).shape == (0, 3)


@pytest.mark.parametrize("method", ["logistic", "mean"])
def test_a_stack_gives_the_test_sets_probabilities_again(prepared: Competition, method: str) -> None:
    plan = train_models(prepared, *RECIPES)
    (prepared.workspace.stack_recipes / "both.toml").write_text(f'method = "{method}"\n', encoding="utf-8")
    recipe = load_stack_recipe(prepared.workspace, "both")
    build_stack(prepared, plan, recipe, ["of_letters", "of_words"])
    found = predict_stack(prepared, plan, recipe, prepared.test_texts, 1)
    expected = store.read_model(stack_folder(prepared.workspace, "both"), shape_of(prepared)).test
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_a_stack_names_the_member_that_was_not_kept(prepared: Competition) -> None:
    plan = train_models(prepared, "of_words", "words")
    recipe = load_stack_recipe(prepared.workspace, "logistic")
    with pytest.raises(StoreError, match="the stack 'logistic' was not built yet: `compete stack logistic`"):
        predict_stack(prepared, plan, recipe, ["happy"], 1)
    build_stack(prepared, plan, recipe, ["of_words", "words"])
    with pytest.raises(StoreError, match=r"oof/words/kept/fold_0 does not exist: fold 0 of words was not kept"):
        predict_stack(prepared, plan, recipe, ["happy"], 1)


def test_a_stack_over_other_probabilities_than_there_are_is_refused(prepared: Competition) -> None:
    plan = train_models(prepared, *RECIPES)
    recipe = load_stack_recipe(prepared.workspace, "logistic")
    build_stack(prepared, plan, recipe, ["of_letters", "of_words"])
    (prepared.workspace.recipes / "of_words.toml").write_text(RECIPES["of_words"] + "C = 0.5\n", encoding="utf-8")
    with pytest.raises(
        StoreError, match=r"of_words is stale: settings\.C: 1\.0 -> 0\.5; `compete train-base of_words`"
    ):
        predict_stack(prepared, plan, recipe, ["happy"], 1)
    train_models(prepared, "of_words")
    with pytest.raises(StoreError, match=r"the stack 'logistic' is stale: base model of_words changed"):
        predict_stack(prepared, plan, recipe, ["happy"], 1)


def test_a_fold_that_somebody_removed_is_named(prepared: Competition) -> None:
    plan = train_models(prepared, "of_words")
    shutil.rmtree(prepared.workspace.oof / "of_words" / "kept" / "fold_2")
    with pytest.raises(StoreError, match=r"fold 2 of of_words was not kept.*`compete train-base of_words --force`"):
        predict_base_model(prepared, plan, "of_words", ["happy"], 1)


def test_an_imported_model_has_nothing_to_predict_with(prepared: Competition) -> None:
    plan = train_models(prepared, "of_words")
    record = {"kind": "imported", "identity": competition_rows(prepared, plan)}
    of_words = store.read_model(prepared.workspace.oof / "of_words", shape_of(prepared))
    store.write_model(prepared.workspace.oof / "mate", of_words, shape_of(prepared), record)
    with pytest.raises(StoreError, match="mate was imported: its probabilities are here, its models are not"):
        predict_base_model(prepared, plan, "mate", ["happy"], 1)


def test_a_model_that_is_unknown_or_not_trained(prepared: Competition) -> None:
    plan = train_models(prepared, "of_words")
    with pytest.raises(UserError, match=r"no recipe base_models/of_word\.toml; did you mean 'of_words'\?"):
        predict_base_model(prepared, plan, "of_word", ["happy"], 1)
    with pytest.raises(StoreError, match="words_smooth is missing; `compete train-base words_smooth` trains it"):
        predict_base_model(prepared, plan, "words_smooth", ["happy"], 1)
