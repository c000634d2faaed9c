"""competition.toml and recipes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from support.hostile import (
    DECLARATION,
    ESCAPE,
    RECIPE,
    STACK,
    Arrange,
    Case,
    cases,
    edits,
    pipe,
    writes,
)

pytestmark = pytest.mark.slow

TRAIN = ("train-base", "words", "--workers", "0")


def declarations() -> Iterator[Case]:
    nested = "x = " + "[" * 5000
    for file, command in ((DECLARATION, ("status",)), (RECIPE, ("status",)), (STACK, ("stack",))):
        yield Case(f"{file}: nested deeply", command, ("nested too deeply",), writes(file, nested))
        yield Case(
            f"{file}: a number of 10,000 digits", command, ("is not valid TOML",), writes(file, "k = " + "9" * 10_000)
        )
        yield Case(f"{file}: megabytes", command, ("bytes, at most",), writes(file, b"#" * (5 * 2**20)))
        yield Case(f"{file}: not UTF-8", command, ("is not valid TOML",), writes(file, b"\xff\xfe"))
        yield Case(
            f"{file}: an escape sequence", command, ("\\x1b",), writes(file, f"{json.dumps('key' + ESCAPE)} = 1")
        )
    yield Case("recipe: a pipe is none", TRAIN, ("no recipe",), pipe(RECIPE))
    yield Case(
        "a family outside", TRAIN, ("lies outside the workspace",), edits(RECIPE, "families.py:", "../families.py:")
    )
    yield Case(
        "a family at an absolute path",
        TRAIN,
        ("lies outside the workspace",),
        edits(RECIPE, "families.py:", "/tmp/x.py:"),
    )
    yield Case("a family with NUL", TRAIN, ("families",), edits(RECIPE, "families.py:", "families\\u0000.py:"))
    yield Case(
        "a family outside, rehearsed",
        ("rehearse", "--workers", "0"),
        ("lies outside",),
        edits(RECIPE, "families.py:", "../../../x.py:"),
    )
    yield Case("a metric outside", ("status",), ("lies outside the workspace",), own_metric("../mine.py:score"))
    yield Case("a metric that is no name", ("status",), ("metric",), own_metric("mine.py:[/red]"))
    yield Case(
        "a solution that is a device",
        ("submit", "words"),
        ("is no file",),
        edits(DECLARATION, '"solution.csv"', '"/dev/zero"'),
    )
    yield Case("train that is a device", ("folds",), ("is no file",), edits(DECLARATION, '"train.csv"', '"/dev/zero"'))
    yield Case("train that is a folder", ("folds",), ("is no file",), edits(DECLARATION, '"train.csv"', '"oof"'))
    yield Case(
        "train with NUL in its name", ("folds",), ("does not exist",), edits(DECLARATION, '"train.csv"', '"a\\u0000b"')
    )
    yield Case(
        "an encoding with NUL",
        ("folds",),
        ("data.encoding",),
        edits(DECLARATION, "[folds]", 'encoding = "a\\u0000b"\n[folds]'),
    )
    yield Case(
        "an encoding that is none of text",
        ("folds",),
        ("data.encoding",),
        edits(DECLARATION, "[folds]", 'encoding = "zlib_codec"\n[folds]'),
    )


def own_metric(name: str) -> Arrange:
    keys = f'metric = "{name}"\nmetric_wants = "probabilities"\nmetric_greater_is_better = true\n'
    return edits(DECLARATION, 'name = "tiny"\n', f'name = "tiny"\n{keys}')


@cases(declarations, least=25)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
