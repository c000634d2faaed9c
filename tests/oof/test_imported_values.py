"""More of it in test_foreign, by whole files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compete.errors import DataError
from compete.oof.imported_values import (
    ROUNDING,
    numbers,
    of_sum_one,
    refuse_what_is_no_number,
    refuse_what_is_no_probability,
)

PATH, IDS, LABELS = Path("x.csv"), ["a", "b"], ["joy", "anger"]


def test_cells_become_numbers_and_empty_ones_nan() -> None:
    cells = pd.DataFrame({"joy": ["0.5", "1e-3"], "anger": [" ", "NaN"]})
    assert np.array_equal(numbers(PATH, IDS, cells), [[0.5, np.nan], [0.001, np.nan]], equal_nan=True)


def test_a_word_is_named_by_row_and_column() -> None:
    with pytest.raises(DataError, match=r"^x\.csv: 1 row holds what is no number, first row 2 \(b\): anger is 'no'$"):
        numbers(PATH, IDS, pd.DataFrame({"joy": ["0.5", "1"], "anger": ["0", "no"]}))


@pytest.mark.parametrize(
    ("value", "fine"), [(1 + ROUNDING / 2, True), (-ROUNDING / 2, True), (1 + 2 * ROUNDING, False)]
)
def test_a_little_more_than_float32_rounds_is_refused(value: float, fine: bool) -> None:
    matrix = np.array([[0.5, 0.5], [value, 0.5]])
    if fine:
        refuse_what_is_no_probability(PATH, IDS, LABELS, matrix)
        return
    with pytest.raises(DataError, match=r"first row 2 \(b\).* between 0 and 1"):
        refuse_what_is_no_probability(PATH, IDS, LABELS, matrix)


def test_numbers_may_be_of_any_size_but_there_and_finite() -> None:
    refuse_what_is_no_number(PATH, IDS, LABELS, np.array([[-3.0, 1e6], [0.0, 2.0]]))
    with pytest.raises(DataError, match=r"^x\.csv: 1 row holds empty cells: row 2 \(b\): anger$"):
        refuse_what_is_no_number(PATH, IDS, LABELS, np.array([[0.0, 1.0], [2.0, np.nan]]))
    with pytest.raises(DataError, match=r"^x\.csv: 1 row holds infinite values, first row 1 \(a\)$"):
        refuse_what_is_no_number(PATH, IDS, LABELS, np.array([[np.inf, 1.0], [2.0, 3.0]]))


def test_probabilities_of_classes_sum_to_one_but_for_rounding() -> None:
    found = of_sum_one(PATH, IDS, np.array([[0.33, 0.66], [0.5, 0.5]]))
    assert np.allclose(found.sum(axis=1), 1) and found[0, 0] == pytest.approx(1 / 3)
    with pytest.raises(DataError, match=r"^x\.csv: 1 row holds probabilities of classes .*row 2 \(b\): 0\.7\. "):
        of_sum_one(PATH, IDS, np.array([[0.5, 0.5], [0.5, 0.2]]))
