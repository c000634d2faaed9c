"""Columns beside the text: what is a number, what a category, and what of them a model learns."""

from __future__ import annotations

import numpy as np
import pytest

from compete.competition.feature_columns import (
    FeatureColumns,
    empty_columns,
    holds_numbers,
    number_in,
    words_among_numbers,
)


@pytest.mark.parametrize(
    ("cell", "number"),
    [("3", 3.0), (" -1.5e3 ", -1500.0), ("0", 0.0), ("1_000", None), ("inf", None), ("", None), ("1,5", None)],
)
def test_a_cell_holds_a_finite_number_or_none(cell: str, number: float | None) -> None:
    assert number_in(cell) == number


def test_a_column_of_numbers_may_have_empty_cells_and_no_word() -> None:
    assert holds_numbers(["1", "", "NaN", "2.5"])
    assert not holds_numbers(["1", "", "two"])


def test_numbers_stay_numbers_and_categories_are_coded_by_the_rows_of_the_fit() -> None:
    columns = FeatureColumns.fit([["3", "", "12"], ["b", "a ", ""]])
    assert columns.categories == (None, ("", "a", "b"))
    assert columns.of_categories == [1]
    found = columns.encode([["7", "word", "", "1e2"], ["a", "b", "never", ""]], 4)
    np.testing.assert_array_equal(found, [[7, 1], [np.nan, 2], [np.nan, -1], [100, 0]])


def test_without_columns_there_are_no_numbers() -> None:
    assert FeatureColumns.fit([]).encode([], 3).shape == (3, 0)


def test_an_empty_column_is_named() -> None:
    assert empty_columns({"a": ["", " "], "b": ["", "0"], "c": ["nan", ""]}) == ["a", "c"]


def test_a_word_among_numbers_is_named_with_its_row_and_in_a_column_of_categories_is_none() -> None:
    train = {"n": ["1", "2"], "c": ["x", "1"]}
    [said] = words_among_numbers(train, {"n": ["3", "many", "", "few"], "c": ["y", "2", "z", ""]}, "test.csv")
    assert said.startswith("test.csv row 2: 'many' in the column 'n'")
    assert said.endswith("counts as missing, as do 1 cells more")
    assert words_among_numbers(train, {"n": ["3", ""], "c": ["y", "z"]}, "test.csv") == []
