from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compete.spreadsheets import as_it_was, first_formula, is_formula, no_formula


@pytest.mark.parametrize("cell", ["=1+1", "=cmd|'/C calc'!A0", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "-", "-1-1"])
def test_a_formula_becomes_text(cell: str) -> None:
    assert is_formula(cell) and no_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "-1", "+4.5e-3", "-.5", "007", "'", "it's"])
def test_numbers_and_words_stay(cell: str) -> None:
    assert not is_formula(cell) and no_formula(cell) == cell


@given(st.text(alphabet="'=+-@1a\t"))
def test_it_can_be_undone(cell: str) -> None:
    assert as_it_was(no_formula(cell)) == cell
    assert not is_formula(no_formula(cell))


def test_the_first_is_named() -> None:
    assert first_formula(["a", "=b", "=c"]) == (2, "=b")
    assert first_formula(["a", "-1"]) is None
