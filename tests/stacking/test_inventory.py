from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence

import pytest

from compete.competition.data import Competition, load_competition
from compete.errors import StoreError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.choosing import remember_choice
from support.stacks import (
    SECOND_LEVEL,
    build_stack,
    built_beside,
    check,
    chosen,
    train_models,
    write_recipe,
    write_stack_recipe,
    write_stack_recipes,
)

pytestmark = pytest.mark.slow


def test_a_stack_that_was_not_built_is_missing(trained: Competition) -> None:
    with pytest.raises(StoreError, match=r"'logistic' was not built yet: `compete stack logistic`"):
        check(trained)


def test_a_stack_is_stale_once_a_member_is_trained_anew_and_fresh_after_a_rebuild(trained: Competition) -> None:
    first = build_stack(trained).score
    assert check(trained) == first
    write_recipe(trained, "words", 9.0)
    train_models(trained, ["words"])
    with pytest.raises(StoreError, match="'logistic' is stale: base model words changed") as caught:
        check(trained)
    assert "words_smooth" not in str(caught.value)
    rebuilt = build_stack(trained).score
    assert check(trained) == rebuilt
    assert rebuilt != first


def test_a_stack_is_stale_once_the_recipe_of_a_member_is_edited(trained: Competition) -> None:
    build_stack(trained)
    recipe = trained.workspace.recipes / "words.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("1.0", "9.0"), encoding="utf-8")
    with pytest.raises(StoreError, match=r"base model words is stale \(settings\.smoothing: 1\.0 -> 9\.0\)"):
        check(trained)


def test_training_a_member_again_with_the_same_result_leaves_the_stack_fresh(trained: Competition) -> None:
    first = build_stack(trained).score
    train(find_work(trained, choose_recipes(trained, ["words"]), force=True), InlineExecutor())
    assert check(trained) == first


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('method = "logistic"\nC = 1.0', r"recipe\.C: \[0\.005, 0\.05, 0\.5\] -> \[1\.0\]"),
        ('method = "mean"', r"recipe\.method: logistic -> mean"),
        ('method = "logistic"\nthresholds = "half"', r"recipe\.thresholds: None -> half"),
        ('method = "logistic"\nlabel_shift = true', r"recipe\.label_shift: False -> True"),
    ],
)
def test_a_stack_is_stale_once_its_recipe_is_edited(trained: Competition, text: str, reason: str) -> None:
    build_stack(trained)
    write_stack_recipe(trained, text)
    with pytest.raises(StoreError, match=f"'logistic' is stale: {reason}. Build it again"):
        check(trained)


def test_another_description_leaves_a_stack_fresh(trained: Competition) -> None:
    first = build_stack(trained).score
    write_stack_recipe(trained, 'method = "logistic"\ndescription = "the usual"')
    assert check(trained) == first


def test_a_model_that_was_never_a_member_does_not_matter(trained: Competition) -> None:
    first = build_stack(trained).score
    write_recipe(trained, "third", 2.0)
    train_models(trained, ["third"])
    assert check(trained) == first


def test_a_stack_is_stale_under_another_metric(trained: Competition) -> None:
    build_stack(trained)
    micro = trained.declaration.model_copy(update={"metric": "f1_micro"})
    changed = dataclasses.replace(trained, declaration=micro)
    with pytest.raises(StoreError, match="metric: f1_macro -> f1_micro"):
        check(changed)


@pytest.mark.parametrize("part", ["plain", "logistic"])
def test_a_stack_of_stacks_is_stale_once_a_part_is_edited(trained: Competition, part: str) -> None:
    write_stack_recipes(trained, SECOND_LEVEL)
    build_stack(trained, "top")
    write_stack_recipes(trained, {part: 'method = "mean"\ncalibration = "platt"'})
    with pytest.raises(StoreError, match=f"'top' is stale: .*stack {part}: recipe.calibration: none -> platt"):
        check(trained, "top")


def test_a_stack_of_stacks_of_stacks_is_stale_once_the_lowest_is_edited(trained: Competition) -> None:
    write_stack_recipes(trained, {**SECOND_LEVEL, "summit": 'method = "mean"\nstacks = ["top", "plain"]'})
    build_stack(trained, "summit")
    write_stack_recipe(trained, 'method = "logistic"\nC = 1.0')
    with pytest.raises(StoreError, match="'summit' is stale"):
        check(trained, "summit")


def test_a_stack_of_stacks_is_stale_once_a_base_model_is_trained_anew(trained: Competition) -> None:
    write_stack_recipes(trained, SECOND_LEVEL)
    build_stack(trained, "top")
    write_recipe(trained, "words", 9.0)
    train_models(trained, ["words"])
    with pytest.raises(StoreError, match=r"'top' is stale: base model words changed\. "):
        check(trained, "top")


def test_a_damaged_stack_names_its_own_remedy(stacked: Competition) -> None:
    (stacked.workspace.oof / "stacks" / "logistic" / "test.parquet").write_bytes(b"torn")
    with pytest.raises(StoreError, match="`compete stack logistic` builds the stack again"):
        chosen(stacked, "logistic")


def test_an_unknown_name_gets_the_nearest(stacked: Competition) -> None:
    with pytest.raises(UserError, match=r"called 'logistics'; did you mean 'logistic'\? .*words, words_smooth"):
        chosen(stacked, "logistics")


def test_without_a_stack_base_models_are_named(trained: Competition) -> None:
    with pytest.raises(UserError, match=r"no stack was built yet: .* or name a base model: words, words_smooth"):
        chosen(trained)


@pytest.mark.parametrize(("names", "why"), [([], "missing: not trained yet"), (["words"], "stale: settings")])
def test_a_base_model_that_is_not_fresh_is_refused(competition: Competition, names: Sequence[str], why: str) -> None:
    if names:
        train(find_work(competition, choose_recipes(competition, names)), InlineExecutor())
        recipe = competition.workspace.recipes / "words.toml"
        recipe.write_text(recipe.read_text().replace("smoothing = 1.0", "smoothing = 9.0"), encoding="utf-8")
    with pytest.raises(StoreError, match=f"'words' is {why}.*`compete train-base words`"):
        chosen(competition, "words")


def test_the_chosen_stack_is_sent_by_default_and_not_the_best(stacked: Competition) -> None:
    built = built_beside(stacked)
    for name in built:
        remember_choice(stacked.workspace, name)
        assert chosen(stacked).name == name


def test_without_a_choice_the_best_stack_is_sent(stacked: Competition) -> None:
    built_beside(stacked)
    assert chosen(stacked).name == "logistic"
    stacked.workspace.chosen_stack.write_text("{}", encoding="utf-8")
    assert chosen(stacked).name == "logistic"


def test_where_a_lower_score_is_better_the_lowest_is_sent(trained: Competition) -> None:
    toml = trained.workspace.declaration
    toml.write_text('metric = "log_loss"\n' + toml.read_text(), encoding="utf-8")
    competition = load_competition(trained.workspace)
    (trained.workspace.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    logistic, plain = build_stack(competition), build_stack(competition, "plain")
    assert logistic.score.honest < plain.score.honest
    assert chosen(competition).name == "logistic"


@pytest.mark.parametrize("gone", ["stacking/plain.toml", "oof/stacks/plain"])
def test_a_choice_that_is_gone_is_forgotten(stacked: Competition, gone: str) -> None:
    built_beside(stacked)
    remember_choice(stacked.workspace, "plain")
    path = stacked.workspace.root / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert chosen(stacked).name == "logistic"
