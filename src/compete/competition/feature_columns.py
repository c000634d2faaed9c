"""Columns of numbers or categories beside the text ([data] features), as numbers that trees can be grown on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNSEEN = -1  # the code of a category that the rows of the fit do not have


@dataclass(frozen=True)
class FeatureColumns:
    """How the cells of every column become numbers, learnt from the rows that a model is fitted on."""

    categories: tuple[tuple[str, ...] | None, ...]
    """Of every column its values, in the order of their codes; None for a column of numbers."""

    @classmethod
    def fit(cls, columns: Sequence[Sequence[str]]) -> FeatureColumns:
        """columns: the cells of each. A column is one of numbers if every cell is a number or empty."""
        return cls(tuple(None if holds_numbers(cells) else _values(cells) for cells in columns))

    def encode(self, columns: Sequence[Sequence[str]], n_rows: int) -> NDArray[np.float64]:
        """(n_rows, n_columns): numbers, NaN for a cell without one; codes of categories, -1 for one never seen."""
        encoded = [_encoded(cells, known) for cells, known in zip(columns, self.categories, strict=True)]
        return np.stack(encoded, axis=1) if encoded else np.zeros((n_rows, 0))

    @property
    def of_categories(self) -> list[int]:
        """Places of the columns that hold categories."""
        return [place for place, known in enumerate(self.categories) if known is not None]


def holds_numbers(cells: Sequence[str]) -> bool:
    """Whether every cell is a number or empty."""
    return all(is_empty(cell) or number_in(cell) is not None for cell in cells)


def is_empty(cell: str) -> bool:
    """Whether a cell says nothing: NaN is what other tools write for that."""
    return cell.strip().lower() in ("", "nan")


def number_in(cell: str) -> float | None:
    """The finite number that a cell holds; None for a word."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in cell else None


def empty_columns(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of the columns without a cell that says something."""
    return [name for name, cells in columns.items() if all(map(is_empty, cells))]


def words_among_numbers(
    train: Mapping[str, Sequence[str]], others: Mapping[str, Sequence[str]], files: str
) -> list[str]:
    """A sentence for every column that holds numbers in train, and something else in rows of the other files."""
    found = []
    for name, cells in train.items():
        words = [row for row, c in enumerate(others[name]) if not is_empty(c) and number_in(c) is None]
        if words and holds_numbers(cells):
            more = f", as do {len(words) - 1} cells more" if len(words) > 1 else ""
            found.append(
                f"{files} row {words[0] + 1}: {others[name][words[0]]!r} in the column {name!r}, which holds numbers "
                f"in train; it counts as missing{more}"
            )
    return found


def _values(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({cell.strip() for cell in cells}))


def _encoded(cells: Sequence[str], known: tuple[str, ...] | None) -> NDArray[np.float64]:
    if known is None:
        numbers = [number_in(cell) for cell in cells]
        return np.array([math.nan if number is None else number for number in numbers], dtype=np.float64)
    codes = {value: float(code) for code, value in enumerate(known)}
    return np.array([codes.get(cell.strip(), UNSEEN) for cell in cells], dtype=np.float64)
