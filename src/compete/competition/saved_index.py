"""The index of a DataFrame, saved as a column by `to_csv` without `index=False`."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

HOW_TO_SAVE = "table.to_csv(..., index=False)"
UNNAMED_INDEX = "__index_level_0__"  # in parquet


def saved_index(table: pd.DataFrame, known: Collection[str]) -> str | None:
    """The column that is a saved index, by its name; None where there is none, or where that is somebody's name."""
    first = str(table.columns[0])
    return first if first in ("", "Unnamed: 0", "index", UNNAMED_INDEX) and first not in known else None


def counts_rows(column: pd.Series[str]) -> bool:
    """Whether a column says nothing but the place of its row."""
    return column.tolist() == [str(row) for row in range(len(column))]


def without_saved_index(table: pd.DataFrame, known: Collection[str]) -> tuple[pd.DataFrame, str | None]:
    """The table without it, and its name, where all other columns are `known`; else the table as it is."""
    name = saved_index(table, known)
    if name is None or set(table.columns) - {name} != set(known):
        return table, None
    return table.drop(columns=name), name
