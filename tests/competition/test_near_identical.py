from __future__ import annotations

import pytest

from compete.competition.near_identical import large_groups, near_identical_groups, near_identical_key


@pytest.mark.parametrize(
    "variant",
    [
        "so happy today",
        "SO Happy ToDay",
        " so\thappy \n today ",
        "@anna so happy today",
        "so happy @bob_2 today @carol",
        "so happy today https://t.co/x?y=1",
        "so happy today WWW.example.org/a",
        "@anna so happy today HTTP://a.b",
    ],
)
def test_texts_that_differ_in_nothing_but_form_are_near_identical(variant: str) -> None:
    assert near_identical_key(variant) == near_identical_key("So happy today")


@pytest.mark.parametrize(
    "other", ["so happy", "so happy today!", "not so happy today", "so hap py today", "#so happy today"]
)
def test_texts_that_say_something_else_are_not(other: str) -> None:
    assert near_identical_key(other) != near_identical_key("so happy today")


def test_texts_of_links_or_mentions_alone_are_told_by_them() -> None:
    texts = [f"https://t.co/{number}" for number in range(60)] + ["@ann", "@bob", "@ann @bob", " @ANN  "]
    assert len(set(near_identical_groups(texts).tolist())) == 63  # "@ann" is there twice
    assert len({near_identical_key(text) for text in ("", " ", "\n")}) == 1


def test_what_follows_a_link_without_a_blank_is_text() -> None:
    first, second = "https://t.co/a1今日はいい天気", "https://t.co/b2とても悲しい"
    assert near_identical_key(first) == "今日はいい天気"
    assert near_identical_key(first) != near_identical_key(second)
    assert near_identical_key("so www.example.org/x?y=1#z sad") == "so sad"


def test_large_groups_are_told_with_an_example_the_largest_first() -> None:
    texts = (
        [f"post {number}" for number in range(300)] + ["Thanks @a"] * 12 + ["same https://t.co/1"] * 20 + ["few"] * 9
    )
    assert large_groups(texts, near_identical_groups(texts)) == [(20, "same https://t.co/1"), (12, "Thanks @a")]
    assert large_groups(texts, near_identical_groups(texts), share=0.05) == [(20, "same https://t.co/1")]
    assert large_groups(["a"] * 5, near_identical_groups(["a"] * 5)) == []
