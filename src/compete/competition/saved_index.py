"""The index of a DataFrame, saved as a column by `to_csv` without `index=False`."""

from __future__ import annotations

import re
from collections.abc import Collection

import pandas as pd

HOW_TO_SAVE = "table.to_csv(..., index=False)"


def saved_index(table: pd.DataFrame, known: Collection[str]) -> str | None:
    """The column that is a saved index, by its name; None where there is none, or where that is somebody's name."""
    first = str(table.columns[0])
    is_index = re.fullmatch(r"|index|level_0|Unnamed: ?0(_level_0)?|__index_level_0__", first) is not None
    return first if is_index and first not in known else None


def without_saved_index(table: pd.DataFrame, known: Collection[str]) -> tuple[pd.DataFrame, str | None]:
    """The table without it, and its name, where all other columns are `known`; else the table as it is."""
    name = saved_index(table, known)
    if name is None or set(table.columns) - {name} != set(known):
        return table, None
    return table.drop(columns=name), name
