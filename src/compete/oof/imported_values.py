"""What stands in a file of probabilities that are none, and what its maker may have meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.errors import DataError

# float32 keeps seven digits: sums and softmaxes end that much above 1.
ROUNDING = 1e-6
# Probabilities of many classes, written with two or three digits, sum to that much more or less than 1.
_ROUNDED_SUM = 0.02
_EMPTY = {"", "nan", "na", "n/a", "none", "null", "<na>"}
_SHOWN = 5


def numbers(path: Path, ids: Sequence[str], cells: pd.DataFrame) -> NDArray[np.float64]:
    """Cells as numbers, NaN where they are empty; raises DataError, with row and column, for words."""
    found = cells.apply(pd.to_numeric, errors="coerce")
    unread = found.isna() & ~cells.apply(lambda column: column.str.strip().str.lower().isin(_EMPTY))
    if unread.to_numpy().any():
        row, column = map(int, np.argwhere(unread.to_numpy())[0])
        cell = str(cells.iloc[row, column])
        hint = ". Decimal commas? Save with points: to_csv(..., decimal='.')" if "," in cell else ""
        raise DataError(
            f"{path}: {_count(unread.to_numpy())} what is no number, first row {row + 1} ({ids[row]}): "
            f"{cells.columns[column]} is {cell!r}{hint}"
        )
    return np.asarray(found, dtype=np.float64)


def refuse_what_is_no_probability(
    path: Path, ids: Sequence[str], labels: Sequence[str], matrix: NDArray[np.float64]
) -> None:
    """Raise DataError, with rows and labels, for empty cells and for values outside of 0 to 1."""
    _refuse_empty(path, ids, labels, matrix)
    outside = ~((matrix >= -ROUNDING) & (matrix <= 1 + ROUNDING))
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        raise DataError(
            f"{path}: {_count(outside)} values that are no probabilities, first row {row + 1} "
            f"({ids[row]}): {matrix[row].tolist()}. {_meaning(matrix)}"
        )


def refuse_what_is_no_number(
    path: Path, ids: Sequence[str], targets: Sequence[str], matrix: NDArray[np.float64]
) -> None:
    """Raise DataError, with rows and targets, for empty cells and infinite values."""
    _refuse_empty(path, ids, targets, matrix)
    infinite = np.isinf(matrix)
    if infinite.any():
        row = int(np.flatnonzero(infinite.any(axis=1))[0])
        raise DataError(f"{path}: {_count(infinite)} infinite values, first row {row + 1} ({ids[row]})")


def of_sum_one(path: Path, ids: Sequence[str], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of classes (n_rows, n_classes) whose rows sum to one; what rounding took or gave is shared out.

    Raises DataError where it is more than rounding.
    """
    sums = matrix.sum(axis=1, keepdims=True)
    off = np.abs(sums - 1) > _ROUNDED_SUM
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise DataError(
            f"{path}: {_count(off)} probabilities of classes that do not sum to 1, first row {row + 1} ({ids[row]}): "
            f"{float(sums[row, 0]):g}. A row is of one class: divide by the row's sum, or apply a softmax to logits"
        )
    return np.asarray(matrix / sums)


def _meaning(matrix: NDArray[np.float64]) -> str:
    """What values outside of 0 to 1 may be."""
    low, high = float(matrix.min()), float(matrix.max())
    if not np.isfinite(matrix).all():
        return "Infinite values are no probabilities: what divided by 0?"
    if high <= 0:
        return "Logarithms of probabilities, or logits? Apply an exponential, or a sigmoid, first."
    if low < 0:
        return "Logits? Apply a sigmoid first."
    if 2 <= high <= 100:
        return "These look like percents: divide by 100."
    return f"A probability lies between 0 and 1; the highest value is {high:g}."


def _refuse_empty(path: Path, ids: Sequence[str], outputs: Sequence[str], matrix: NDArray[np.float64]) -> None:
    empty = np.isnan(matrix)
    if empty.any():
        raise DataError(f"{path}: {_count(empty)} empty cells: {_empty_rows(ids, outputs, empty)}")


def _empty_rows(ids: Sequence[str], labels: Sequence[str], empty: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(empty.any(axis=1))
    shown = []
    for row in rows[:_SHOWN].tolist():
        of_row = [label for label, there in zip(labels, empty[row], strict=True) if there]
        what = "all labels" if len(of_row) == len(labels) > 1 else ", ".join(of_row)
        shown.append(f"row {row + 1} ({ids[row]}): {what}")
    return "; ".join(shown) + (f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")


def _count(cells: NDArray[np.bool_]) -> str:
    rows = int(cells.any(axis=1).sum())
    return f"{rows} row{'s hold' if rows != 1 else ' holds'}"
