"""Names that are typed, stand in files, or are those of files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from support.hostile import (
    DECLARATION,
    ESCAPE,
    MANIFEST,
    NAMES,
    STACK,
    STACK_MANIFEST,
    Arrange,
    Case,
    cases,
    edits,
    ledger,
    link,
    quote,
    record,
    writes,
)

pytestmark = pytest.mark.slow

TAKE_A_NAME = {
    "stack": ("stack", "NAME"),
    "stack without": ("stack", "--without", "NAME"),
    "stack allow": ("stack", "--allow", "NAME"),
    "train-base": ("train-base", "NAME", "--workers", "0"),
    "import": ("import", "NAME", "--oof", "oof/words/oof.parquet", "--test", "oof/words/test.parquet"),
    "submit": ("submit", "NAME"),
    "predict": ("predict", "test.csv", "NAME"),
    "plan": ("plan", "NAME"),
    "rehearse": ("rehearse", "NAME", "--workers", "0"),
    "rehearse stack": ("rehearse", "--stack", "NAME", "--workers", "0"),
    "jobs export": ("jobs", "export", "out", "NAME"),
}


MET_BY_ALL = ("a way out", "an absolute path", "the folder above", "an escape sequence")
MEET_ALL = ("stack", "train-base", "jobs export")


def typed() -> Iterator[Case]:
    # A name is looked at by the same lines whichever command it is given to: every command meets some of them, and some
    # commands meet all.
    for (what, name), (title, words) in product(NAMES.items(), TAKE_A_NAME.items()):
        if what not in MET_BY_ALL and title not in MEET_ALL:
            continue
        yield Case(f"{title}: {what}", tuple(name if word == "NAME" else word for word in words), ("error: ",))
    yield Case("import: the folder of the stacks", ("import", "stacks", *TAKE_A_NAME["import"][2:]), ("not 'stacks'",))


def stacks(text: str) -> Arrange:
    return writes(STACK, text)


def names_in_files() -> Iterator[Case]:
    for what, name in NAMES.items():
        quoted = json.dumps(name)
        yield Case(
            f"models of a stack: {what}",
            ("stack",),
            ("base model",),
            stacks(f'method = "mean"\nmodels = ["words", {quoted}]'),
        )
        yield Case(
            f"stacks of a stack: {what}",
            ("stack",),
            ("cannot be a stack's name",),
            stacks(f'method = "mean"\nstacks = ["other", {quoted}]'),
        )
        yield Case(
            f"models of --all: {what}",
            ("train-base", "--all"),
            ("error: ",),
            edits(DECLARATION, "[folds]", f"[training]\nmodels = [{quoted}]\n[folds]"),
        )
        yield Case(
            f"choice.json: {what}",
            ("submit", "--again"),
            (),
            writes("oof/stacks/choice.json", json.dumps({"stack": name})),
            0,
        )
        yield Case(
            f"members in a manifest: {what}",
            ("submit", "logistic"),
            ("is damaged",),
            record(STACK_MANIFEST, models=["words", name]),
        )
        yield Case(
            f"files in a manifest: {what}",
            ("stack",),
            (),
            record(MANIFEST, files={"oof.parquet": "0", "test.parquet": "0", name: "0"}),
        )
    for what in ("a way out", "an absolute path", "a folder", "an escape sequence", "a way out of another system"):
        changed = ledger(f"UPDATE submissions SET file = {quote(NAMES[what])}")
        yield Case(
            f"file in the ledger: {what}",
            ("scores", "--private"),
            ("cannot be the name of a file in submissions/",),
            changed,
        )
        lost = ledger(
            f"UPDATE submissions SET file = {quote(NAMES[what])}",
            "INSERT INTO outcomes (number, recorded, status) SELECT number, created, 'lost' FROM submissions",
        )
        yield Case(f"file of a lost submission: {what}", ("submit", "words"), ("cannot be the name of a file",), lost)


def stray_files() -> Iterator[Case]:
    for what, name in {
        "blanks": "my mean",
        "an escape sequence": f"m{ESCAPE.replace('/', '')}",
        "a formula": "=cmd",
    }.items():
        yield Case(
            f"recipe file with {what}",
            ("status",),
            ("cannot be a model's name",),
            writes(f"base_models/{name}.toml", 'family = "linear"'),
        )
        yield Case(
            f"stack file with {what}",
            ("stack",),
            ("cannot be a stack's name",),
            writes(f"stacking/{name}.toml", 'method = "mean"'),
        )
        yield Case(
            f"folder in oof with {what}",
            ("status",),
            ("cannot be a model's",),
            writes(f"oof/{name}/oof.parquet", "x"),
            0,
        )
    yield Case("an editor's file in stacking", ("stack",), (), link("stacking/.#mean.toml", "nobody@nowhere"), 0)


@cases(typed, names_in_files, stray_files, least=130)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
