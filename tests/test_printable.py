from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compete.printable import json_printable, listed, on_one_line, printable, shown

ACTING = "\x00\x07\x08\x1b\x7f\x9b\u061c\u200e\u2028\u2029\u202e\u2066\ud800\uffff"


@pytest.mark.parametrize("letter", ACTING)
def test_what_acts_is_written_out(letter: str) -> None:
    assert printable(f"a{letter}b") == f"a{letter.encode('unicode_escape').decode()}b"


def test_what_is_seen_stays() -> None:
    text = "tab\tand\nline, é, 信頼, 👩🏽‍🚀, שלום, ±, \u00a0"
    assert printable(text) == text
    assert on_one_line("a\nb\tc") == "a\\nb\\tc"


@given(st.text())
def test_it_is_done_once_and_a_document_says_the_same(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    document = json.dumps({text: [text]}, ensure_ascii=False)
    assert json.loads(json_printable(document)) == {text: [text]}
    assert printable(json_printable(document)) == json_printable(document)


def test_what_is_long_is_cut() -> None:
    assert len(shown("x" * 10_000)) < 100
    assert shown("a'b\x1b") == '"a\'b\\\\x1b"'[:1] + "a'b\\x1b" + '"'
    assert listed(map(str, range(25))).endswith("19 and 5 more")
