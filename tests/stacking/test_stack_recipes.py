from __future__ import annotations

from typing import Any

import pytest

from compete.competition.data import Competition
from compete.competition.metrics import METRICS, Metric
from compete.competition.task import Task
from compete.errors import DeclarationError, UserError
from compete.stacking.ensemble.blend import Blend
from compete.stacking.ensemble.meta_learners import MetaLearner
from compete.stacking.ensemble.nelder_mead import NelderMead
from compete.stacking.ensemble.rank_means import RankedProbabilities, RankMean
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe, load_with_parts
from support.stacks import SECOND_LEVEL, write_stack_recipes

LABELS = Task("multilabel", ("a", "b", "c"))
CLASSES = Task("multiclass", ("a", "b", "c"))
NUMBERS = Task("regression", ("x",))
GRADES = Task("ordinal", ("x",), grades=(0.0, 1.0, 2.0))


def candidates(declared: dict[str, Any], metric: Metric) -> list[MetaLearner]:
    return StackRecipe("new", StackDeclaration.model_validate(declared)).candidates(metric)


@pytest.mark.parametrize(
    ("declared", "metric", "task", "said"),
    [
        ({"method": "mean", "ranks": True}, "log_loss", LABELS, "order of rows alone and for decisions of labels"),
        ({"method": "mean", "ranks": True}, "rmse", NUMBERS, "order of rows alone and for decisions of labels"),
        ({"method": "mean", "ranks": True}, "quadratic_weighted_kappa", GRADES, "order of rows alone"),
        ({"method": "mean", "ranks": True}, "f1_macro", CLASSES, "sums other than 1"),
        ({"method": "mean", "ranks": True}, "roc_auc_macro", CLASSES, "sums other than 1"),
        ({"method": "nelder_mead", "select_by": "f1"}, "rmse", NUMBERS, 'select_by = "f1" has no meaning here'),
        ({"method": "nelder_mead", "per": "label"}, "f1_macro", CLASSES, "sums other than 1"),
        ({"method": "ridge", "calibration": "platt"}, "f1_macro", CLASSES, 'calibration = "platt" has no meaning'),
        ({"method": "nnls"}, "f1_macro", LABELS, 'method = "nnls" is for numbers and grades'),
    ],
)
def test_what_means_nothing_for_what_is_predicted_is_refused_by_name(
    declared: dict[str, Any], metric: str, task: Task, said: str
) -> None:
    with pytest.raises(UserError, match=rf"^stacking/new.toml: .*{said}.*; what is predicted are "):
        candidates(declared, METRICS[metric].of(task))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('method = "nelder_mead"\nC = 1.0', 'C: has no meaning for method = "nelder_mead"'),
        ('method = "nelder_mead"\nstacks = ["a", "b"]', "stacks: are combined by method"),
        ('method = "blend"\nranks = true', 'ranks: has no meaning for method = "blend"'),
        ('method = "ridge"\nnegative = true', 'negative: has no meaning for method = "ridge"'),
    ],
)
def test_keys_of_other_methods_are_refused(competition: Competition, text: str, said: str) -> None:
    write_stack_recipes(competition, {"new": text})
    with pytest.raises(DeclarationError, match=said):
        load_with_parts(competition.workspace, ["new"])


@pytest.mark.parametrize(
    ("metric", "task", "of_blend", "of_simplex"),
    [
        ("f1_macro", LABELS, "f1", "f1"),
        ("f1_micro", LABELS, "log_loss", "log_loss"),
        ("roc_auc_macro", LABELS, "log_loss", "metric"),
        ("f1_macro", CLASSES, "log_loss", "log_loss"),
        ("multiclass_log_loss", CLASSES, "log_loss", "metric"),
        ("rmse", NUMBERS, "metric", "metric"),
        ("quadratic_weighted_kappa", GRADES, "metric", "metric"),
    ],
)
def test_what_weights_must_raise_is_told_by_the_metric(metric: str, task: Task, of_blend: str, of_simplex: str) -> None:
    (blend,) = candidates({"method": "blend"}, METRICS[metric].of(task))
    (simplex,) = candidates({"method": "nelder_mead", "negative": True}, METRICS[metric].of(task))
    assert isinstance(blend, Blend) and blend.select_by == of_blend
    assert isinstance(simplex, NelderMead) and simplex.greedy.select_by == of_simplex and simplex.greedy.negative


def test_ranks_stay_ranks_for_scores_of_order_and_become_probabilities_for_decisions() -> None:
    by_order, decided = (
        candidates({"method": "mean", "ranks": True}, METRICS[name].of(LABELS))
        for name in ("roc_auc_macro", "f1_micro")
    )
    assert by_order == [RankMean()]
    assert decided == [RankedProbabilities()]


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
