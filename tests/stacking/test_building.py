from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.data import Competition, load_competition
from compete.competition.declaration import MetricName
from compete.competition.metrics import METRICS
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import DeclarationError, StoreError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.honest_scores import Score
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.building import Built, Stacking, as_it_was_built, build, open_stacking, references
from compete.stacking.choosing import choose, remember_choice, remembered_choice
from compete.stacking.ensemble.cross_fitting import cross_fit
from compete.stacking.ensemble.decision_rules import Cut
from compete.stacking.ensemble.evaluation import Evaluation, PerLabel, evaluate
from compete.stacking.ensemble.label_rates import LabelRates
from compete.stacking.ensemble.meta_learners import Logistic
from compete.stacking.inventory import Inventory, present
from compete.stacking.members import Members, choose_members, read_members
from compete.stacking.scoring import repeated_plans, score_of
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe, load_with_parts
from support.lived_in import copied

pytestmark = pytest.mark.slow

BOTH = ["words", "words_smooth"]
SECOND_LEVEL = {"plain": 'method = "mean"', "top": 'method = "blend"\nstacks = ["plain", "logistic"]'}


def train_models(competition: Competition, names: Sequence[str] = (), folds: Sequence[int] = ()) -> None:
    train(find_work(competition, choose_recipes(competition, names), folds), InlineExecutor())


def write_recipe(competition: Competition, name: str, smoothing: float) -> None:
    recipe = f'family = "families.py:Words"\n[settings]\nsmoothing = {smoothing}\n'
    (competition.workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")


def write_stack_recipes(competition: Competition, recipes: Mapping[str, str]) -> None:
    for name, text in recipes.items():
        (competition.workspace.stack_recipes / f"{name}.toml").write_text(text + "\n", encoding="utf-8")


def write_stack_recipe(competition: Competition, text: str) -> None:
    write_stack_recipes(competition, {"logistic": text})


def opened(competition: Competition, names: Sequence[str] = ("logistic",), members: Sequence[str] = BOTH) -> Stacking:
    recipes = load_with_parts(competition.workspace, names)
    return open_stacking(with_plan(competition), recipes, members)


def build_stack(competition: Competition, name: str = "logistic", members: Sequence[str] = BOTH) -> Built:
    """Builds a stack; where it is one of stacks, these first."""
    stacking = opened(competition, [name], members)
    return [build(stacking, part) for part in stacking.bench.recipes][-1]


def check(competition: Competition, name: str = "logistic") -> Score:
    return present(Inventory(with_plan(competition)).stack(name)).score


@pytest.fixture
def trained(trained_once: Workspace, tmp_path: Path) -> Competition:
    return load_competition(copied(trained_once, tmp_path))


@pytest.fixture
def planned(trained: Competition) -> Planned:
    return with_plan(trained)


def test_all_trained_models_are_members(trained: Competition, planned: Planned) -> None:
    assert choose_members(Inventory(planned)) == Members(BOTH, {})


def test_models_that_are_not_there_yet_are_left_out_with_a_reason(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "absent", 2.0)
    write_recipe(trained, "partial", 3.0)
    train_models(trained, ["partial"], folds=[1])
    assert choose_members(Inventory(planned)) == Members(
        BOTH, {"absent": "not trained yet", "partial": "1 of 3 folds trained"}
    )


def test_a_model_outside_all_is_not_missed_but_stacked_once_it_is_trained(
    trained: Competition, planned: Planned
) -> None:
    write_recipe(trained, "wish", 2.0)
    recipe = trained.workspace.recipes / "wish.toml"
    recipe.write_text("outside_all = true\n" + recipe.read_text(encoding="utf-8"), encoding="utf-8")
    assert choose_members(Inventory(planned)) == Members(BOTH, {})
    with pytest.raises(StoreError, match="wish: not trained yet"):
        choose_members(Inventory(planned), [*BOTH, "wish"])
    train_models(trained, ["wish"], folds=[1])
    assert choose_members(Inventory(planned)).left_out == {"wish": "1 of 3 folds trained"}
    train_models(trained, ["wish"])
    assert choose_members(Inventory(planned)) == Members(["wish", *BOTH], {})


def test_a_model_that_is_asked_for_by_name_must_be_whole(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "absent", 2.0)
    with pytest.raises(StoreError, match=r"absent: not trained yet; `compete train-base absent`"):
        choose_members(Inventory(planned), [*BOTH, "absent"])
    assert choose_members(Inventory(planned), BOTH) == Members(BOTH, {})


def test_a_stale_model_is_refused_with_its_reason(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "third", 2.0)
    train_models(trained, ["third"])
    write_recipe(trained, "words", 9.0)
    with pytest.raises(StoreError) as caught:
        choose_members(Inventory(planned))
    assert "words: settings.smoothing: 1.0 -> 9.0" in str(caught.value)
    assert str(caught.value).endswith("--without words")
    members = choose_members(Inventory(planned), without=["words"])
    assert members == Members(["third", "words_smooth"], {"words": "left out as asked"})


def test_a_damaged_model_is_refused_even_if_only_a_byte_is_gone(trained: Competition, planned: Planned) -> None:
    path = trained.workspace.base_model("words").oof
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"words/oof\.parquet is not the file that compete wrote"):
        choose_members(Inventory(planned))


@pytest.mark.parametrize(("named", "without"), [(["wrods", "words_smooth"], []), ([], ["wrods"])])
def test_an_unknown_model_gets_the_nearest_name(
    trained: Competition, planned: Planned, named: list[str], without: list[str]
) -> None:
    with pytest.raises(UserError, match=r"no base model 'wrods'; did you mean 'words'\?"):
        choose_members(Inventory(planned), named, without)


def test_one_model_is_no_stack(trained: Competition, planned: Planned) -> None:
    with pytest.raises(UserError, match="needs at least two base models, and there is one") as caught:
        choose_members(Inventory(planned), without=["words_smooth"])
    assert "compete submit words" in str(caught.value)


def test_no_model_is_no_stack(competition: Competition) -> None:
    with pytest.raises(UserError, match="there is none") as caught:
        choose_members(Inventory(with_plan(competition)))
    assert "words_smooth: not trained yet" in str(caught.value)


def test_members_are_read_in_the_order_they_are_named(trained: Competition) -> None:
    oof, test = read_members(trained, ["words_smooth", "words"])
    assert oof.shape == (2, 240, 3)
    assert test.shape == (2, 90, 3)
    alone = store.read_model(trained.workspace.base_model("words"), trained.shape)
    assert np.array_equal(oof[1], alone.oof) and np.array_equal(test[1], alone.test)
    assert not np.array_equal(oof[0], oof[1])


def test_all_that_is_trained_can_be_asked_for_beside_a_name(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "absent", 2.0)
    assert choose_members(Inventory(planned), ["words"], everything=True) == Members(
        BOTH, {"absent": "not trained yet"}
    )
    with pytest.raises(StoreError, match="absent: not trained yet"):
        choose_members(Inventory(planned), ["absent"], everything=True)
    with pytest.raises(UserError, match=r"there is one \(words:"):
        choose_members(Inventory(planned), ["words"], everything=False)


def test_what_is_stored_is_what_was_scored(trained: Competition, planned: Planned) -> None:
    write_stack_recipe(trained, 'method = "logistic"\nC = 0.3')
    built = build_stack(trained)
    labels, learner = trained.train_labels, Logistic(0.3)
    oof, test = read_members(trained, BOTH)
    fits = [cross_fit([learner], oof, labels, folds) for folds in repeated_plans(planned)]
    on_all = learner.fit(oof, labels)
    stored = store.read_model(trained.workspace.stack("logistic"), trained.shape)
    assert np.array_equal(stored.oof, fits[0].outer)
    assert np.array_equal(stored.test, on_all.predict_proba(test).astype(np.float32))
    again = score_of(evaluate(trained.metric, labels, fits, on_all.predict_proba(oof)), trained.labels)
    assert check(trained) == built.score == again


def test_an_honest_score_is_the_mean_of_its_repeats_and_lies_in_its_interval(trained: Competition) -> None:
    score = build_stack(trained).score
    assert len(set(score.repeats)) == 3
    assert score.honest == pytest.approx(np.mean(score.repeats))
    assert score.low < score.honest < score.high < score.naive + 0.1


@pytest.mark.parametrize(("penalties", "taken"), [([0.3, 1e-6], 0), ([1e-6, 0.3], 1)])
def test_of_several_penalties_the_better_is_taken(trained: Competition, penalties: list[float], taken: int) -> None:
    write_stack_recipe(trained, f'method = "logistic"\nC = {penalties}')
    build_stack(trained)
    folder = trained.workspace.stack("logistic")
    assert store.read_record(folder)["state"] == {"candidate": taken}
    oof, test = read_members(trained, BOTH)
    expected = Logistic(0.3).fit(oof, trained.train_labels).predict_proba(test)
    assert store.read_model(folder, trained.shape).test == pytest.approx(expected, abs=1e-6)


def test_the_weights_of_a_blend_are_written_down_under_the_models_names(trained: Competition) -> None:
    write_stack_recipes(trained, {"mix": 'method = "blend"'})
    build_stack(trained, "mix")
    folder = trained.workspace.stack("mix")
    weights = store.read_record(folder)["state"]["weights"]
    assert list(weights) == BOTH
    by_label = np.array(list(weights.values()))
    assert by_label.sum(axis=0) == pytest.approx(np.ones(3))
    _, test = read_members(trained, BOTH)
    blended = np.einsum("mrl,ml->rl", test, by_label)
    assert store.read_model(folder, trained.shape).test == pytest.approx(blended, abs=1e-6)


def test_every_stack_is_compared_with_the_mean_and_a_greedy_blend(trained: Competition) -> None:
    write_stack_recipes(trained, {"plain": 'method = "mean"'})
    stacking = opened(trained, ["plain"])
    built = build(stacking, "plain")
    compared = references(stacking, besides=[])
    assert list(compared) == ["mean", "blend"]
    assert built.score == compared["mean"]
    assert list(references(stacking, besides=["mean"])) == ["blend"]
    stored = store.read_model(trained.workspace.stack("plain"), trained.shape)
    assert stored.test == pytest.approx(read_members(trained, BOTH)[1].mean(axis=0), abs=1e-6)


def same(one: Built, other: Built) -> bool:
    alike = (one.members, one.score, one.where_worth) == (other.members, other.score, other.where_worth)
    return alike and np.array_equal(one.draws, other.draws) and one.rates.record() == other.rates.record()


def test_what_has_not_changed_is_as_it_was_built(trained: Competition) -> None:
    write_stack_recipes(trained, SECOND_LEVEL)
    built = {name: build_stack(trained, name) for name in ("logistic", "plain", "top")}
    stacking = opened(trained, ["logistic", "plain", "top"])
    for name, first in built.items():
        again = as_it_was_built(stacking, name)
        assert again is not None and same(first, again)
    assert not stacking.bench._fitted and not stacking.bench._cross_fits  # nothing was fitted for that


def test_a_stack_that_was_stored_before_draws_were_kept_is_built_anew(trained: Competition) -> None:
    build_stack(trained)
    folder = trained.workspace.stack("logistic")
    record = store.read_record(folder)
    store.write_record(folder.record, {key: record[key] for key in record.keys() - {"draws", "sha256"}})
    assert check(trained).honest > 0  # it holds all the same
    assert as_it_was_built(opened(trained), "logistic") is None


def test_what_has_changed_or_is_asked_of_other_models_is_built_anew(trained: Competition) -> None:
    assert as_it_was_built(opened(trained), "logistic") is None
    build_stack(trained)
    assert as_it_was_built(opened(trained), "logistic") is not None
    write_recipe(trained, "third", 20.0)
    train_models(trained, ["third"])
    assert as_it_was_built(opened(trained, members=["third", *BOTH]), "logistic") is None
    write_stack_recipe(trained, 'method = "logistic"\nC = 0.7')
    assert as_it_was_built(opened(trained), "logistic") is None
    build_stack(trained)
    write_recipe(trained, "words", 9.0)
    train_models(trained, ["words"])
    assert as_it_was_built(opened(trained), "logistic") is None


def test_a_recipe_stacks_the_models_it_names(trained: Competition) -> None:
    write_recipe(trained, "third", 20.0)
    train_models(trained, ["third"])
    write_stack_recipes(trained, {"two": 'method = "mean"\nmodels = ["words_smooth", "third"]'})
    built = build_stack(trained, "two", ["third", *BOTH])
    assert built.members == ["third", "words_smooth"]
    stored = store.read_model(trained.workspace.stack("two"), trained.shape)
    assert stored.test == pytest.approx(read_members(trained, built.members)[1].mean(axis=0), abs=1e-6)


def test_a_recipe_of_which_one_model_is_left_is_refused(trained: Competition) -> None:
    write_stack_recipe(trained, 'method = "mean"\nmodels = ["words"]')
    with pytest.raises(UserError, match=r"stacking/logistic\.toml: of its base models only words is left"):
        opened(trained)


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


def test_a_stack_of_stacks_is_a_blend_of_what_its_parts_predict(trained: Competition) -> None:
    write_stack_recipes(trained, SECOND_LEVEL)
    built = build_stack(trained, "top")
    assert built.members == BOTH
    folders = [trained.workspace.stack(name) for name in ("plain", "logistic", "top")]
    plain, logistic, top = (store.read_model(folder, trained.shape) for folder in folders)
    weights = store.read_record(folders[-1])["state"]["weights"]
    assert list(weights) == ["plain", "logistic"]
    blended = weights["plain"] * plain.test + weights["logistic"] * logistic.test
    assert top.test == pytest.approx(blended, abs=1e-6)
    assert check(trained, "top") == built.score


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


@pytest.mark.parametrize(
    ("parts", "circle"),
    [
        ({"a": '"a", "logistic"'}, "a -> a"),
        ({"a": '"b", "logistic"', "b": '"logistic", "a"'}, "a -> b -> a"),
        ({"a": '"logistic", "b"', "b": '"c", "logistic"', "c": '"logistic", "b"'}, "a -> b -> c -> b"),
    ],
)
def test_a_stack_of_itself_is_refused(competition: Competition, parts: dict[str, str], circle: str) -> None:
    write_stack_recipes(competition, {name: f'method = "mean"\nstacks = [{of}]' for name, of in parts.items()})
    with pytest.raises(DeclarationError, match=rf"a stack of itself \({circle}\)"):
        load_with_parts(competition.workspace, ["a"])


def test_a_part_that_two_stacks_share_is_loaded_once_and_first(competition: Competition) -> None:
    write_stack_recipes(competition, {**SECOND_LEVEL, "other": 'method = "mean"\nstacks = ["logistic", "top"]'})
    recipes = load_with_parts(competition.workspace, ["other", "plain"])
    assert [recipe.name for recipe in recipes] == ["logistic", "plain", "top", "other"]


def a_stack(
    name: str, honest: float, draws: NDArray[np.float64], metric: MetricName = "f1_macro", *, of_stacks: bool = False
) -> Built:
    """A built stack of the method that its name begins with, with nothing in it but a score and its draws."""
    empty = np.zeros(0)
    parts = ["a", "b"] if of_stacks else None
    declared = StackDeclaration.model_validate({"method": name.split("_")[0], "stacks": parts})
    recipe = StackRecipe(name, declared)
    evaluation = Evaluation(METRICS[metric], honest, honest, (honest,), draws, [], PerLabel(*[empty] * 8), Cut(empty))
    return Built(recipe, [], score_of(evaluation, []), draws, LabelRates(empty, empty, empty))


# Resampled rows are easy or hard for every stack alike; what one is better by varies far less.
ROWS = np.random.default_rng(0).normal(scale=0.1, size=1000)
DIFFERENCE = np.random.default_rng(1).normal(scale=0.01, size=1000)


@pytest.mark.parametrize(("behind", "chosen"), [(0.005, "mean"), (0.02, "lightgbm")])
@pytest.mark.parametrize("metric", ["f1_macro", "log_loss"])
def test_the_simpler_stack_is_chosen_within_a_standard_error_of_the_difference(
    metric: MetricName, behind: float, chosen: str
) -> None:
    worse = -behind if METRICS[metric].greater_is_better else behind
    best = a_stack("lightgbm", 0.5, 0.5 + ROWS, metric)
    simple = a_stack("mean", 0.5 + worse, 0.5 + worse + ROWS + DIFFERENCE, metric)
    for order in permutations([best, simple]):
        assert choose(METRICS[metric], order).recipe.name == chosen


@pytest.mark.parametrize(("metric", "chosen"), [("f1_macro", "mean"), ("log_loss", "blend")])
def test_where_a_lower_score_is_better_the_lowest_is_chosen(metric: MetricName, chosen: str) -> None:
    stacks = [a_stack("mean", 0.4, 0.4 + ROWS, metric), a_stack("blend", 0.3, 0.3 + ROWS, metric)]
    assert choose(METRICS[metric], stacks).recipe.name == chosen


def test_the_simplest_that_is_near_the_best_is_chosen_and_not_the_simplest_of_all() -> None:
    best = a_stack("lightgbm", 0.5, 0.5 + ROWS)
    near = a_stack("logistic", 0.495, 0.495 + ROWS + DIFFERENCE)
    far = a_stack("mean", 0.4, 0.4 + ROWS + DIFFERENCE)
    for order in permutations([best, near, far]):
        assert choose(METRICS["f1_macro"], order).recipe.name == "logistic"


def test_of_two_equally_simple_stacks_the_better_is_chosen() -> None:
    best = a_stack("lightgbm", 0.5, 0.5 + ROWS)
    second, third = (a_stack(f"blend_{n}", n, n + ROWS + DIFFERENCE) for n in (0.499, 0.498))
    for order in permutations([best, second, third]):
        assert choose(METRICS["f1_macro"], order) is second


def test_any_stack_is_simpler_than_a_stack_of_stacks() -> None:
    best = a_stack("mean_of_stacks", 0.5, 0.5 + ROWS, of_stacks=True)
    near = a_stack("lightgbm", 0.495, 0.495 + ROWS + DIFFERENCE)
    assert choose(METRICS["f1_macro"], [best, near]) is near


def test_a_lone_stack_is_chosen() -> None:
    stack = a_stack("lightgbm", 0.5, 0.5 + ROWS)
    assert choose(METRICS["f1_macro"], [stack]) is stack


def test_a_choice_is_remembered_until_the_next(competition: Competition) -> None:
    workspace = competition.workspace
    assert remembered_choice(workspace) is None
    for name in ("mean", "blend"):
        remember_choice(workspace, name)
        assert remembered_choice(workspace) == name


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '"mean"', "[1]"])
def test_a_broken_choice_is_none(competition: Competition, content: str) -> None:
    path = competition.workspace.chosen_stack
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    assert remembered_choice(competition.workspace) is None
    path.write_text(json.dumps({"stack": "mean"}), encoding="utf-8")
    assert remembered_choice(competition.workspace) == "mean"
