from __future__ import annotations

import numpy as np
import pytest

from compete.competition.data import Competition
from compete.competition.planned import Planned
from compete.errors import UserError
from compete.oof import store
from compete.stacking.building import Built, as_it_was_built, build, references
from compete.stacking.ensemble.cross_fitting import cross_fit
from compete.stacking.ensemble.evaluation import evaluate
from compete.stacking.ensemble.meta_learners import Logistic
from compete.stacking.members import read_members
from compete.stacking.scoring import repeated_plans, score_of
from support.stacks import (
    BOTH,
    SECOND_LEVEL,
    build_stack,
    check,
    opened,
    train_models,
    write_recipe,
    write_stack_recipe,
    write_stack_recipes,
)

pytestmark = pytest.mark.slow


def test_what_is_stored_is_what_was_scored(trained: Competition, planned: Planned) -> None:
    write_stack_recipe(trained, 'method = "logistic"\nC = 0.3')
    built = build_stack(trained)
    labels, learner = trained.train_targets, Logistic(0.3)
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
    expected = Logistic(0.3).fit(oof, trained.train_targets).predict_proba(test)
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
