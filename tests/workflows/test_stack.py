"""Which recipes `compete stack` takes where none is named."""

from __future__ import annotations

import pytest

from compete.competition.task import Kind
from compete.errors import UserError
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe
from compete.workflows.stack import suitable

MEAN = StackRecipe("mean", StackDeclaration(method="mean"))
RIDGE = StackRecipe("ridge", StackDeclaration(method="ridge"))
LOGISTIC = StackRecipe("logistic", StackDeclaration(method="logistic"))
TOP = StackRecipe("top", StackDeclaration(method="blend", stacks=["mean", "logistic"]))


@pytest.mark.parametrize(
    ("kind", "kept", "said"),
    [
        ("labels", ["mean", "logistic", "top"], ['stack ridge is left out: method = "ridge" is not for labels']),
        (
            "grades",
            ["mean", "ridge"],
            [
                'stack logistic is left out: method = "logistic" is not for grades',
                'stack top is left out: made of logistic, whose method = "logistic" is not for grades',
            ],
        ),
    ],
)
def test_what_does_not_suit_is_left_out_with_a_sentence(kind: Kind, kept: list[str], said: list[str]) -> None:
    heard: list[str] = []
    found = suitable([MEAN, RIDGE, LOGISTIC, TOP], kind, heard.append)
    assert [recipe.name for recipe in found] == kept
    assert heard == said


def test_where_none_suits_the_methods_that_do_are_named() -> None:
    with pytest.raises(UserError, match=r"no recipe in stacking/ is for numbers; .* mean, blend, nnls, ridge"):
        suitable([LOGISTIC], "numbers", lambda sentence: None)
