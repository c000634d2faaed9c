"""Links."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.hostile import (
    Case,
    cases,
    link,
)

pytestmark = pytest.mark.slow

OUT = {
    "oof": ("oof", "../elsewhere"),
    "a model": ("oof/words", "../../elsewhere"),
    "a fold": ("oof/words/fold_0", "../../../elsewhere"),
    "a log": ("oof/words/logs/fold_0.log", "../../../../elsewhere/secret.txt"),
    "the workspace's lock": ("oof/.lock", "../../elsewhere/secret.txt"),
    "submissions": ("submissions", "../elsewhere"),
    "the ledger": ("submissions/ledger.sqlite", "../../elsewhere/secret.txt"),
    "the report": ("report", "../elsewhere"),
    "rehearsals": ("rehearsals", "../elsewhere"),
    "one rehearsal": ("rehearsals/0", "../../elsewhere"),
    "data": ("data", "../elsewhere"),
}


def links() -> Iterator[Case]:
    for what, (name, target) in OUT.items():
        yield Case(f"a link in place of {what}", ("status",), ("leads out of the workspace",), link(name, target))
    yield Case("a link to data elsewhere is read", ("folds",), (), link("train.csv", "../elsewhere/train.csv"), 0)
    yield Case("a link inside is followed", ("status",), (), link("oof/again", "words"), 0)


@cases(links, least=12)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
