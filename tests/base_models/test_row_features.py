"""What is counted in a text."""

from __future__ import annotations

import numpy as np
import pytest

from compete.base_models.row_features import NAMES, row_features


def counted(text: str) -> dict[str, int]:
    return {name: round(float(np.expm1(value))) for name, value in zip(NAMES, row_features([text])[0], strict=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("two words", {"words": 2}),
        (
            "Why?! WHY NOT?",
            {"words": 3, "question marks": 2, "exclamation marks": 1, "capitals": 7, "shouted words": 2},
        ),
        ("well, well... (ok)", {"words": 3, "other punctuation": 6}),
        ("OK GO NOW", {"words": 3, "capitals": 7, "shouted words": 1}),
        ("soooo gooood", {"words": 2, "runs of a letter": 2}),
        ("#joy #trust2 #", {"words": 3, "hashtags": 2, "digits": 1}),
        ("@ann_b see https://x.y", {"words": 3, "mentions": 1, "links": 1, "other punctuation": 2}),
        ("😂😂 ❤️ ☀", {"words": 3, "emoji": 4}),
        ("Café ÀÉÎ", {"words": 2, "capitals": 1}),
    ],
)
def test_counts(text: str, expected: dict[str, int]) -> None:
    found = counted(text)
    assert found.pop("characters") == len(text)
    assert {name: count for name, count in found.items() if count} == expected


def test_a_row_per_text_and_a_column_per_name() -> None:
    found = row_features(["a", "b!", "a"])
    assert found.shape == (3, len(NAMES))
    assert found.dtype == np.float32
    assert found[0].tolist() == found[2].tolist() != found[1].tolist()
    assert found[1, NAMES.index("exclamation marks")] == pytest.approx(np.log(2))


def test_no_text_gives_no_row() -> None:
    assert row_features([]).shape == (0, len(NAMES))


def test_every_count_is_of_something_that_no_other_counts() -> None:
    """Two patterns that count the same would give trees one feature twice, and leave another out."""
    texts = ["a b c", "!!", "??", "...,", "aBcD", "ABC DEF", "a1b22", "#x", "@x", "http://x", "sooo", "\U0001f600 a"]
    columns = row_features(texts).T
    assert len({column.tobytes() for column in columns}) == len(NAMES)
    assert (columns > 0).any(axis=1).all()
