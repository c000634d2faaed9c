from __future__ import annotations

import pytest

from compete.competition.data import Competition
from compete.errors import DeclarationError
from compete.stacking.stack_recipes import load_with_parts
from support.stacks import SECOND_LEVEL, write_stack_recipes


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
