"""Strings that act on whoever shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from support.hostile import (
    DECLARATION,
    ESCAPE,
    Arrange,
    Case,
    all_of,
    cases,
    edits,
    writes,
)

pytestmark = pytest.mark.slow

STRINGS = {
    "escape sequences": f"a{ESCAPE}b",
    "markup of the terminal": "[/red][link=x]",
    "markup of a page": "</script><img src=x onerror=alert(1)>",
    "a line separator": "a\u2028b\u2029c",
    "a line turned round": "a\u202eb\u2066c",
    "C1 controls": "a\x9b2Jb\x85c",
    "quotes": "\"'`",
    "a formula": "=cmd|'/C calc'!A0",
    "an emoji of several": "👩🏽‍🚀",
}


def strings() -> Iterator[Case]:
    for what, text in STRINGS.items():
        named = edits(DECLARATION, 'name = "tiny"', f"name = {json.dumps(text, ensure_ascii=False)}")
        yield Case(f"competition called {what}", ("status", "--json"), (), named, 0)
        yield Case(f"label called {what}", ("folds",), ("is no longer",), label_called(text))
        yield Case(f"texts of {what}", ("predict", "new.csv", "words"), ("kept",), new_text(text, "1"))
        yield Case(f"id of {what}", ("submit", "mine.csv"), ("mine.csv",), new_text("x", text, "mine.csv"))
        yield Case(
            f"message of {what}", ("train-base", "words", "--force", "--workers", "0"), ("error: ",), raising(text), 1
        )


def label_called(text: str) -> Arrange:
    cell = '"' + text.replace('"', '""') + '"'
    return all_of(*(edits(f"{name}.csv", ",joy,", f",{cell},") for name in ("train", "sample", "solution")))


def new_text(text: str, name: str, file: str = "new.csv") -> Arrange:
    cells = ['"' + cell.replace('"', '""') + '"' for cell in (name, text)]
    return writes(file, f"id,text\n{cells[0]},{cells[1]}\n".encode())


def raising(text: str) -> Arrange:
    return edits(
        "families.py", "        time.sleep(self.settings.seconds)\n", f"        raise RuntimeError({text!r})\n"
    )


@cases(strings, least=45)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
