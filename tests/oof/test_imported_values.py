"""More of it in test_foreign, by whole files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compete.errors import DataError
from compete.oof.imported_values import ROUNDING, numbers, refuse_what_is_no_probability

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
