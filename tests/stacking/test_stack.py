from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.errors import StoreError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.train import choose_recipes, current_plan, plan_work, shape_of, train
from compete.stacking.evaluation import cross_fit, evaluate, evaluate_stack
from compete.stacking.meta_learners import Logistic
from compete.stacking.recipes import load_stack_recipe
from compete.stacking.scores import Score
from compete.stacking.stack import (
    Members,
    Stack,
    build_stack,
    check_stack_fresh,
    choose_members,
    read_members,
    stack_folder,
)

BOTH = ["words", "words_smooth"]


def train_models(competition: Competition, names: Sequence[str] = (), folds: Sequence[int] = ()) -> None:
    train(plan_work(competition, choose_recipes(competition, names), folds), InlineExecutor())


def write_recipe(competition: Competition, name: str, smoothing: float) -> None:
    recipe = f'family = "families.py:Words"\n[settings]\nsmoothing = {smoothing}\n'
    (competition.workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")


def write_stack_recipe(competition: Competition, text: str) -> None:
    (competition.workspace.stack_recipes / "logistic.toml").write_text(text, encoding="utf-8")


def build(competition: Competition, members: Sequence[str] = BOTH, name: str = "logistic") -> Stack:
    recipe = load_stack_recipe(competition.workspace, name)
    return build_stack(competition, current_plan(competition), recipe, members)


def check(competition: Competition) -> Score:
    recipe = load_stack_recipe(competition.workspace, "logistic")
    return check_stack_fresh(competition, current_plan(competition), recipe)[1]


@pytest.fixture
def trained(competition: Competition) -> Competition:
    train_models(competition)
    return competition


@pytest.fixture
def plan(competition: Competition) -> FoldPlan:
    return current_plan(competition)


def test_all_trained_models_are_members(trained: Competition, plan: FoldPlan) -> None:
    assert choose_members(trained, plan) == Members(BOTH, {})


def test_models_that_are_not_there_yet_are_left_out_with_a_reason(trained: Competition, plan: FoldPlan) -> None:
    write_recipe(trained, "absent", 2.0)
    write_recipe(trained, "partial", 3.0)
    train_models(trained, ["partial"], folds=[1])
    assert choose_members(trained, plan) == Members(
        BOTH, {"absent": "not trained yet", "partial": "1 of 3 folds trained"}
    )


def test_a_model_outside_all_is_not_missed_but_stacked_once_it_is_trained(trained: Competition, plan: FoldPlan) -> None:
    write_recipe(trained, "wish", 2.0)
    recipe = trained.workspace.recipes / "wish.toml"
    recipe.write_text("outside_all = true\n" + recipe.read_text(encoding="utf-8"), encoding="utf-8")
    assert choose_members(trained, plan) == Members(BOTH, {})
    with pytest.raises(StoreError, match="wish: not trained yet"):
        choose_members(trained, plan, [*BOTH, "wish"])
    train_models(trained, ["wish"], folds=[1])
    assert choose_members(trained, plan).left_out == {"wish": "1 of 3 folds trained"}
    train_models(trained, ["wish"])
    assert choose_members(trained, plan) == Members(["wish", *BOTH], {})


def test_a_model_that_is_asked_for_by_name_must_be_whole(trained: Competition, plan: FoldPlan) -> None:
    write_recipe(trained, "absent", 2.0)
    with pytest.raises(StoreError, match=r"absent: not trained yet; `compete train-base absent`"):
        choose_members(trained, plan, [*BOTH, "absent"])
    assert choose_members(trained, plan, BOTH) == Members(BOTH, {})


def test_a_stale_model_is_refused_with_its_reason(trained: Competition, plan: FoldPlan) -> None:
    write_recipe(trained, "third", 2.0)
    train_models(trained, ["third"])
    write_recipe(trained, "words", 9.0)
    with pytest.raises(StoreError) as caught:
        choose_members(trained, plan)
    assert "words: settings.smoothing: 1.0 -> 9.0" in str(caught.value)
    assert str(caught.value).endswith("--without words")
    members = choose_members(trained, plan, without=["words"])
    assert members == Members(["third", "words_smooth"], {"words": "left out as asked"})


def test_a_damaged_model_is_refused_even_if_only_a_byte_is_gone(trained: Competition, plan: FoldPlan) -> None:
    path = trained.workspace.oof / "words" / store.OOF
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"words/oof\.parquet is not the file that compete wrote"):
        choose_members(trained, plan)


@pytest.mark.parametrize("asked", [{"named": ["wrods", "words_smooth"]}, {"without": ["wrods"]}])
def test_an_unknown_model_gets_the_nearest_name(
    trained: Competition, plan: FoldPlan, asked: dict[str, list[str]]
) -> None:
    with pytest.raises(UserError, match=r"no base model 'wrods'; did you mean 'words'\?"):
        choose_members(trained, plan, **asked)


def test_one_model_is_no_stack(trained: Competition, plan: FoldPlan) -> None:
    with pytest.raises(UserError, match="needs at least two base models, and there is one") as caught:
        choose_members(trained, plan, without=["words_smooth"])
    assert "compete submit words" in str(caught.value)


def test_no_model_is_no_stack(competition: Competition, plan: FoldPlan) -> None:
    with pytest.raises(UserError, match="there is none") as caught:
        choose_members(competition, plan)
    assert "words_smooth: not trained yet" in str(caught.value)


def test_members_are_read_in_the_order_they_are_named(trained: Competition) -> None:
    oof, test = read_members(trained, ["words_smooth", "words"])
    assert oof.shape == (2, 240, 3)
    assert test.shape == (2, 90, 3)
    alone = store.read_model(trained.workspace.oof / "words", shape_of(trained))
    assert np.array_equal(oof[1], alone.oof) and np.array_equal(test[1], alone.test)
    assert not np.array_equal(oof[0], oof[1])


def test_what_is_stored_is_what_was_scored(trained: Competition, plan: FoldPlan) -> None:
    stack = build(trained)
    oof, test = read_members(trained, BOTH)
    fit = cross_fit(Logistic(), oof, trained.train_labels, plan.folds)
    stored = store.read_model(stack_folder(trained.workspace, "logistic"), shape_of(trained))
    assert np.array_equal(stored.oof, fit.outer.astype(np.float32))
    assert np.array_equal(stored.test, fit.on_all.predict_proba(test).astype(np.float32))
    again = evaluate_stack(trained.metric, trained.train_labels, plan.folds, oof, fit)
    kept = check(trained)
    assert kept == stack.score
    assert (kept.honest, kept.naive) == (again.honest, again.naive)
    assert [label.threshold for label in kept.labels.values()] == again.thresholds.tolist()


def test_the_stack_is_compared_with_its_members_and_their_mean(trained: Competition, plan: FoldPlan) -> None:
    stack = build(trained)
    oof, _ = read_members(trained, BOTH)
    for name, member in zip(BOTH, oof, strict=True):
        alone = evaluate(trained.metric, trained.train_labels, plan.folds, member)
        assert stack.base_models[name].honest == alone.honest
    mean = evaluate(trained.metric, trained.train_labels, plan.folds, oof.mean(axis=0, dtype=np.float64))
    assert stack.mean.honest == mean.honest


def test_the_recipe_decides_how_models_are_combined(trained: Competition) -> None:
    (trained.workspace.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    stack = build(trained, name="plain")
    assert stack.score == stack.mean
    stored = store.read_model(stack_folder(trained.workspace, "plain"), shape_of(trained))
    assert stored.test == pytest.approx(read_members(trained, BOTH)[1].mean(axis=0), abs=1e-6)


def test_a_stack_that_was_not_built_is_missing(trained: Competition) -> None:
    with pytest.raises(StoreError, match=r"'logistic' was not built yet: `compete stack logistic`"):
        check(trained)


def test_a_stack_is_stale_once_a_member_is_trained_anew_and_fresh_after_a_rebuild(trained: Competition) -> None:
    first = build(trained).score
    assert check(trained) == first
    write_recipe(trained, "words", 9.0)
    train_models(trained, ["words"])
    with pytest.raises(StoreError, match="'logistic' is stale: base model words changed") as caught:
        check(trained)
    assert "words_smooth" not in str(caught.value)
    rebuilt = build(trained).score
    assert check(trained) == rebuilt
    assert rebuilt != first


def test_training_a_member_again_with_the_same_result_leaves_the_stack_fresh(trained: Competition) -> None:
    first = build(trained).score
    train(plan_work(trained, choose_recipes(trained, ["words"]), force=True), InlineExecutor())
    assert check(trained) == first


@pytest.mark.parametrize(
    ("text", "reason"),
    [('method = "logistic"\nC = 1.0\n', "recipe.C: 0.05 -> 1.0"), ('method = "mean"\n', "logistic -> mean")],
)
def test_a_stack_is_stale_once_its_recipe_is_edited(trained: Competition, text: str, reason: str) -> None:
    build(trained)
    write_stack_recipe(trained, text)
    with pytest.raises(StoreError, match=reason):
        check(trained)


def test_a_model_that_was_never_a_member_does_not_matter(trained: Competition) -> None:
    first = build(trained).score
    write_recipe(trained, "third", 2.0)
    train_models(trained, ["third"])
    assert check(trained) == first


def test_a_stack_is_stale_under_another_metric(trained: Competition) -> None:
    build(trained)
    micro = trained.declaration.model_copy(update={"metric": "f1_micro"})
    changed = dataclasses.replace(trained, declaration=micro)
    with pytest.raises(StoreError, match="metric: f1_macro -> f1_micro"):
        check(changed)
