from __future__ import annotations

import pytest

from compete.competition.row_ids import number_their_rows, what_happened_to

AS_TEXT = 'dtype={"key": str}'


@pytest.mark.parametrize(
    ("ids", "are"),
    [
        (["0", "1", "2"], True),
        (["3", "1", "2"], True),
        (["0", "2", "5"], True),  # rows were dropped
        (["0", "1", "7"], False),
        (["a1", "a2"], False),
        (["1.0", "2.0"], False),
        (["-1", "0"], False),
        (["\u0661", "\u0662"], False),
    ],
)
def test_numbers_of_rows_are_whole_and_dense(ids: list[str], are: bool) -> None:
    assert number_their_rows(ids) == are


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        (["1.0", "2.0"], ["1", "2"], "were read as floats ('1.0' for '1')"),
        (["1e3", "2e3"], ["1000", "2000"], "were read as floats ('1e3' for '1000')"),
        (["1.234e+18"], ["1234000000000000001"], "lost digits ('1.234e+18')"),
        (["7", "8"], ["007", "008"], "lost their leading zeros ('7' for '007')"),
        (["A1 ", "a2"], ["a1", "a2"], "blanks around them or are in another case ('A1 ' for 'a1')"),
        (["0", "1", "2"], ["x", "y", "z"], "are row numbers: save the column 'key'"),
    ],
)
def test_what_a_tool_did_to_ids_is_recognised(found: list[str], expected: list[str], said: str) -> None:
    sentence = what_happened_to(found, expected, "key")
    assert said in sentence
    assert (AS_TEXT in sentence) == ("floats" in said or "zeros" in said or "digits" in said)


@pytest.mark.parametrize(
    ("found", "expected"), [(["a", "b"], ["a", "b"]), (["a", "b"], ["c", "d"]), (["a"], ["a", "b"]), ([], ["a"])]
)
def test_nothing_is_said_where_nobody_can_tell(found: list[str], expected: list[str]) -> None:
    assert what_happened_to(found, expected, "key") == ""
