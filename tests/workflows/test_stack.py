"""Which recipes `compete stack` takes where none is named."""

from __future__ import annotations

import pytest

from compete.competition.task import Kind
from compete.errors import UserError
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe
from compete.workflows.stack import suitable

MEAN = StackRecipe("mean", StackDeclaration(method="mean"))
NNLS = StackRecipe("nnls", StackDeclaration(method="nnls"))
LOGISTIC = StackRecipe("logistic", StackDeclaration(method="logistic"))
TOP = StackRecipe("top", StackDeclaration(method="blend", stacks=["mean", "logistic"]))


@pytest.mark.parametrize(
    ("kind", "kept", "said"),
    [
        ("labels", ["mean", "logistic", "top"], ['stack nnls is left out: method = "nnls" is not for labels']),
        (
            "grades",
            ["mean", "nnls"],
            [
                'stack logistic is left out: method = "logistic" is not for grades',
                'stack top is left out: made of logistic, whose method = "logistic" is not for grades',
            ],
        ),
    ],
)
def test_what_does_not_suit_is_left_out_with_a_sentence(kind: Kind, kept: list[str], said: list[str]) -> None:
    heard: list[str] = []
    found = suitable([MEAN, NNLS, LOGISTIC, TOP], kind, heard.append)
    assert [recipe.name for recipe in found] == kept
    assert heard == said


def test_where_none_suits_the_methods_that_do_are_named() -> None:
    with pytest.raises(UserError, match=r"no recipe in stacking/ is for numbers; .* blend, nelder_mead, nnls, ridge"):
        suitable([LOGISTIC], "numbers", lambda sentence: None)
