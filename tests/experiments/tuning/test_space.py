"""What may be searched: read from [tune], or the family's default; refused by name where it cannot be."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compete.base_models.recipes import Recipe, load_recipe, recipe_names
from compete.competition.declaration import Size
from compete.competition.starter import starter_folder
from compete.competition.task import TaskName
from compete.competition.workspace import Workspace
from compete.errors import DeclarationError, UserError
from compete.experiments.tuning import space as space_module
from compete.experiments.tuning.default_spaces import default_space
from compete.experiments.tuning.space import Choices, Numbers, Space, nested, read_space

HEADS = ("svm", "knn", "lightgbm")
CONDITIONS = [
    *(("multilabel", size) for size in get_args(Size)),
    *((task, "miniature") for task in get_args(TaskName) if task != "multilabel"),
]


def declare(root: Path, task: TaskName = "multilabel") -> None:
    grades = "grades = [0, 1, 2]\n" if task == "ordinal" else ""
    text = f'name = "t"\ntask = "{task}"\n[data]\ntrain = "a"\ntest = "b"\nid = "i"\ntext = "x"\n{grades}'
    (root / "competition.toml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every recipe that comes with compete, and one of every head that reads frozen features."""
    root = tmp_path_factory.mktemp("shipped")
    shutil.copytree(starter_folder() / "base_models", root / "base_models")
    for head in HEADS:
        recipe = f'family = "embeddings"\n[settings]\ncheckpoint = "miniature:bert"\nhead = "{head}"\n'
        (root / "base_models" / f"head_{head}.toml").write_text(recipe, encoding="utf-8")
    return root


@pytest.fixture
def linear(tmp_path: Path) -> Recipe:
    declare(tmp_path)
    (tmp_path / "base_models").mkdir()
    (tmp_path / "base_models" / "linear.toml").write_text('family = "linear"\n', encoding="utf-8")
    return load_recipe(Workspace(tmp_path), "linear")


def with_lora(tmp_path: Path) -> Recipe:
    declare(tmp_path)
    (tmp_path / "base_models").mkdir()
    recipe = 'family = "sequence_classifier"\n[settings]\ncheckpoint = "miniature:bert"\nadaptation = "lora"\n'
    (tmp_path / "base_models" / "bert.toml").write_text(recipe, encoding="utf-8")
    return load_recipe(Workspace(tmp_path), "bert")


def drawn(data: st.DataObject, space: Space) -> dict[str, Any]:
    """A point of the space, as Optuna could suggest it."""
    found: dict[str, Any] = {}
    for name, dimension in space.dimensions.items():
        if isinstance(dimension, Choices):
            suggested: Any = json.dumps(data.draw(st.sampled_from(dimension.values)))
        elif dimension.whole:
            suggested = data.draw(st.integers(int(dimension.low), int(dimension.high)))
        else:
            suggested = data.draw(st.floats(dimension.low, dimension.high))
        found[name] = suggested
    return space.settled(found)


@pytest.mark.parametrize(("task", "size"), CONDITIONS)
def test_every_point_of_every_default_space_is_a_valid_recipe(
    shipped: Path, task: TaskName, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the recipe itself is one of them."""
    monkeypatch.setattr(space_module, "_COMBINATIONS", 5)  # they are drawn here
    declare(shipped, task)
    workspace = Workspace(shipped, size)
    recipes = [load_recipe(workspace, name) for name in recipe_names(workspace)]
    fit = [recipe for recipe in recipes if not recipe.unfit]
    spaces = {recipe.name: read_space(recipe, default_space(recipe)) for recipe in fit}
    assert {recipe.declaration.family for recipe in fit} >= {"linear", "lightgbm", "ffnn", "embeddings"}
    for recipe in fit:
        own = spaces[recipe.name].as_shipped(recipe)
        assert own is not None, recipe.name
        assert recipe.changed("tune", spaces[recipe.name].change(own)).settings == recipe.settings

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        recipe = data.draw(st.sampled_from(fit))
        params = drawn(data, spaces[recipe.name])
        space = spaces[recipe.name]
        changed = recipe.changed("tune", space.change(params))
        assert not changed.unfit
        for name, value in space.values(params).items():
            found: Any = changed.settings.model_dump(mode="json")
            for key in name.split("."):
                found = found[key]
            assert found == value
        assert all(space.dimensions[name].holds(value) for name, value in space.values(params).items())

    holds()


def test_settings_that_mean_nothing_in_the_task_are_not_searched(shipped: Path) -> None:
    declare(shipped, "regression")
    assert "class_weights" not in default_space(load_recipe(Workspace(shipped), "linear"))
    declare(shipped, "multilabel")
    assert "class_weights" in default_space(load_recipe(Workspace(shipped), "linear"))


REFUSED = [
    ({}, "tune: names no setting"),
    ({"D": {"low": 1, "high": 2}}, "tune.D: is no setting of the family; did you mean|tune.D: is no setting"),
    ({"min_dff": {"low": 1, "high": 2}}, "tune.min_dff: is no setting of the family; did you mean 'min_df'"),
    ({"C": {"low": 2.0, "high": 1.0}}, "tune.C: the range from 2.0 to 1.0 is empty"),
    ({"C": {"low": 1.0, "high": 1.0}}, "tune.C: the range from 1.0 to 1.0 is empty"),
    ({"C": {"low": 0, "high": 1.0, "log": True}}, "tune.C: low = 0 has no logarithm"),
    ({"C": {"low": float("nan"), "high": 1.0}}, "tune.C: low should be a number"),
    ({"C": {"low": "a", "high": 1.0}}, "tune.C: low should be a number"),
    ({"C": {"low": True, "high": 1.0}}, "tune.C: low should be a number"),
    ({"C": {"low": 1.0}}, "tune.C: should have both low and high"),
    ({"C": {"low": 0.1, "high": 1.0, "log": "yes"}}, "tune.C: log should be true or false"),
    ({"C": {"low": 0.1, "high": 1.0, "step": 0}}, "tune.C: step should be greater than 0"),
    ({"C": {"low": 0.1, "high": 1.0, "step": 0.1, "log": True}}, "tune.C: step should be"),
    ({"C": {"low": 0.1, "high": 1.0, "lag": 0.1}}, "tune.C: unknown key 'lag'; did you mean 'log'"),
    ({"C": {"choices": [1.0]}}, "tune.C: choices should be a list of two values"),
    ({"C": {"choices": [1.0, 1.0]}}, "tune.C: choices should be different values"),
    ({"C": {"choices": [1.0, 2.0], "low": 1}}, "tune.C: has choices and a range"),
    ({"C": [0.1, 1.0]}, "tune.C: should be a table with low and high"),
    ({"min_df": {"low": 1.5, "high": 3}}, "tune.min_df: low should be a whole number"),
    ({"weighting": {"low": 1, "high": 3}}, "tune.weighting: is no number"),
    ({"C": {"low": -1.0, "high": 1.0}}, "tune.C: found -1.0, should be greater than 0"),
    ({"weighting": {"choices": ["tfidf", "bm25"]}}, 'tune.weighting: found "bm25", allowed: tfidf, nbsvm'),
    ({"C": {"r": {"low": 1, "high": 2}}}, "tune.C.r: C is no table of settings"),
]


@pytest.mark.parametrize(("table", "message"), REFUSED)
def test_a_space_that_cannot_be_searched_is_refused_by_name(
    linear: Recipe, table: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match="|".join(map(re.escape, message.split("|")))):
        read_space(linear, table)


def test_all_problems_are_told_at_once(linear: Recipe) -> None:
    with pytest.raises(DeclarationError, match="2 problems"):
        read_space(linear, {"D": {"low": 1, "high": 2}, "C": {"low": 2, "high": 1}})


def test_choices_that_only_together_are_no_recipe_are_refused(linear: Recipe) -> None:
    empty = {"word_ngrams": {"choices": [[], [1, 1]]}, "char_ngrams": {"choices": [[], [2, 3]]}}
    with pytest.raises(DeclarationError, match="both empty"):
        read_space(linear, empty)


def test_what_is_tuned_cannot_be_searched(tmp_path: Path) -> None:
    recipe = with_lora(tmp_path)
    with pytest.raises(DeclarationError, match=r"tune\.checkpoint: is what is tuned"):
        read_space(recipe, {"checkpoint": {"choices": ["a", "b"]}})
    with pytest.raises(DeclarationError, match=r"tune\.lora: is a table: name its settings"):
        read_space(recipe, {"lora": {"choices": [{"r": 8}, {"r": 16}]}})


def test_settings_in_a_table_may_be_written_in_a_table_or_with_a_dot(tmp_path: Path) -> None:
    recipe = with_lora(tmp_path)
    inside = read_space(recipe, {"lora": {"r": {"choices": [8, 16]}}})
    dotted = read_space(recipe, {"lora.r": {"choices": [8, 16]}})
    assert inside == dotted
    changed = recipe.changed("tune", inside.change({"lora.r": "8"}))
    lora: Any = getattr(changed.settings, "lora")  # noqa: B009
    assert (lora.r, lora.alpha) == (8, 32)


def test_a_number_that_is_tried_can_be_written_with_four_digits() -> None:
    numbers = Numbers(1e-5, 0.123456, log=True)
    assert numbers.settled(0.000123456789) == 0.0001235
    assert numbers.settled(0.12345599) == 0.1235 or numbers.settled(0.12345599) == 0.123456
    assert numbers.low <= numbers.settled(0.123456) <= numbers.high
    assert Numbers(1, 9, whole=True).settled(7) == 7


def test_a_value_on_no_step_or_outside_lies_not_inside() -> None:
    assert Numbers(0.0, 1.0, step=0.25).holds(0.75)
    assert not Numbers(0.0, 1.0, step=0.25).holds(0.7)
    assert not Numbers(0.0, 1.0).holds(1.5)
    assert not Numbers(0.0, 1.0).holds(True)
    assert not Numbers(0.0, 1.0).holds(None)
    assert Choices(("3", 3)).holds("3")
    assert Choices(("3", 3)).encoded("3") != Choices(("3", 3)).encoded(3)


def test_the_recipes_own_settings_outside_of_the_space_are_no_trial(linear: Recipe) -> None:
    space = read_space(linear, {"C": {"low": 2.0, "high": 3.0}})
    assert space.as_shipped(linear) is None
    assert read_space(linear, {"C": {"low": 0.5, "high": 3.0}}).as_shipped(linear) == {"C": 1.0}


def test_a_family_without_a_default_has_to_be_told(workspace: Workspace) -> None:
    with pytest.raises(UserError, match=r"base_models/words\.toml: family families\.py:Words has no space"):
        default_space(load_recipe(workspace, "words").ready())


def test_dotted_names_are_tables() -> None:
    assert nested({"a": 1, "b.c": 2, "b.d.e": 3}) == {"a": 1, "b": {"c": 2, "d": {"e": 3}}}


def test_every_value_on_a_step_is_held_and_none_between() -> None:
    tenths = Numbers(0.0, 0.5, step=0.1)
    assert all(tenths.holds(value) for value in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5))
    assert not any(tenths.holds(value) for value in (0.05, 0.35, 0.30001))


def test_a_range_of_too_many_steps_is_refused(linear: Recipe) -> None:
    with pytest.raises(DeclarationError, match=r"tune\.C: step = 1e-30 makes more than 1,000,000 steps"):
        read_space(linear, {"C": {"low": 0.5, "high": 1e29, "step": 1e-30}})
