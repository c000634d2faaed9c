from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.metrics import METRICS
from compete.stacking.building import Built
from compete.stacking.choosing import choose, remember_choice, remembered_choice
from compete.stacking.ensemble.decision_rules import Cut
from compete.stacking.ensemble.evaluation import Evaluation, PerLabel
from compete.stacking.ensemble.label_rates import LabelRates
from compete.stacking.scoring import score_of
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe


def a_stack(
    name: str, honest: float, draws: NDArray[np.float64], metric: str = "f1_macro", *, of_stacks: bool = False
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
    metric: str, behind: float, chosen: str
) -> None:
    worse = -behind if METRICS[metric].greater_is_better else behind
    best = a_stack("lightgbm", 0.5, 0.5 + ROWS, metric)
    simple = a_stack("mean", 0.5 + worse, 0.5 + worse + ROWS + DIFFERENCE, metric)
    for order in permutations([best, simple]):
        assert choose(METRICS[metric], order).recipe.name == chosen


@pytest.mark.parametrize(("metric", "chosen"), [("f1_macro", "mean"), ("log_loss", "blend")])
def test_where_a_lower_score_is_better_the_lowest_is_chosen(metric: str, chosen: str) -> None:
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
