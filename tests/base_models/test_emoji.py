"""Emoji in words: names, runs, skin tones and joiners, and everything else left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compete.base_models.emoji import EMOJI, emoji_named


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("so 😂", "so face with tears of joy"),
        ("😂😂😂 no", "face with tears of joy no"),
        ("😂😭", "face with tears of joy loudly crying face"),
        ("I ❤️ it", "I heavy black heart it"),
        ("👍🏽", "thumbs up sign"),
        ("👩‍👧", "woman girl"),
        ("ok☹", "ok white frowning face"),
        ("😍", "smiling face with heart shaped eyes"),
        ("", ""),
        ("a well-known #tag, “quoted” … © 3:) é", "a well-known #tag, “quoted” … © 3:) é"),
    ],
)
def test_emoji_are_named(text: str, words: str) -> None:
    assert " ".join(emoji_named(text).split()) == words


def test_a_symbol_without_a_name_stays() -> None:
    unnamed = "\U0001f0ff"  # never assigned
    assert emoji_named(f"a {unnamed}").split() == ["a", unnamed]


@given(st.text())
def test_what_is_no_emoji_is_untouched(text: str) -> None:
    named = emoji_named(text)
    assert EMOJI.split(text)[0] in named
    assert named == text or EMOJI.search(text)
