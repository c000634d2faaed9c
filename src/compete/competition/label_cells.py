"""What the cells of a label column say: 0 and 1 in the ways that people write them, and what else they may hold."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from compete.competition.layouts import JSON, parted
from compete.competition.task import TaskName

LABEL_VALUES = {
    **{"0": 0, "0.": 0, "0.0": 0, "false": 0, "no": 0},
    **{"1": 1, "1.": 1, "1.0": 1, "true": 1, "yes": 1},
}
WHOLE = "whole numbers"
_LOOKED_AT = 1000  # distinct cells: enough to tell what a column holds
_SEPARATORS = {"|": "a bar", ";": "a semicolon", ",": "a comma"}
_LONGEST_NAME = 4  # words; what has more is a sentence, not a label


@dataclass(frozen=True)
class Held:
    """What a column that is no 0/1 label seems to hold, and the line of pandas that makes 0/1 columns of it."""

    what: str
    line: str
    several: bool = False
    """Cells hold several labels, which hardly anything but labels does."""
    task: TaskName | None = None
    """What reads the column as it is; None where nothing does."""
    separator: str | None = None
    """Of several labels in a cell."""

    @property
    def advice(self) -> str:
        """What to do to have the column read."""
        if self.separator is not None:
            parts = json.dumps(self.separator, ensure_ascii=False)
            return (
                f'task = "{self.task}" reads it as it is, with that column alone in data.labels and label_separator = '
                f"{parts} under [data]"
            )
        if self.task is not None:
            grades = ', or "ordinal" where they are grades' if self.what.startswith(WHOLE) else ""
            return f'task = "{self.task}"{grades} reads it as it is, with that column in data.labels'
        return (
            "compete reads a column of 0 and 1 for every label. pandas makes them, and to_csv(..., index=False) "
            f"writes them:\n  {self.line}"
        )


def zeros_and_ones(cells: pd.Series) -> pd.Series:
    """The cells as 0 and 1, and NaN where they are neither; upper and lower case and outer blanks do not matter."""
    return cells.str.strip().str.casefold().map(LABEL_VALUES)


def holds_labels(cells: pd.Series) -> bool:
    """Whether every cell is 0 or 1; a column without rows holds nothing."""
    values = set(cells)
    return bool(values) and {value.strip().casefold() for value in values} <= LABEL_VALUES.keys()


def held(cells: pd.Series, name: str) -> Held | None:
    """What else than 0 and 1 most cells hold, if that is something from which labels can be made."""
    if len(cells) and zeros_and_ones(cells).notna().mean() > 0.5:
        return None  # a label with a few odd cells
    distinct = [cell for cell in dict.fromkeys(cells.str.strip()) if cell][:_LOOKED_AT]
    if not distinct:
        return None
    for look in (_lists, _separated, _numbers, _classes):
        found = look(distinct, repr(name), len(cells))
        if found:
            return found
    return None


def _lists(cells: Sequence[str], name: str, rows: int) -> Held | None:
    if not all(cell[0] in "[(" and cell[-1] in "])" for cell in cells):
        return None
    column = f"train[{name}].astype(str)"
    items = [re.findall(r"\w+", cell) for cell in cells]
    if {item for cell in items for item in cell} <= {"0", "1"} and len({len(cell) for cell in items}) == 1:
        what = f"a list of {len(items[0])} zeros and ones ({cells[0]})"
        return Held(what, _joined(name, f'{column}.str.findall("[01]").apply(pd.Series).astype(int)', "label_"), True)
    what = f"a list of labels ({cells[0]})"
    read: tuple[TaskName | None, str | None] = (None, None)
    if all(parted(cell, JSON) is not None for cell in cells):
        read = "multilabel", JSON
    parsed = [_literal(cell) for cell in cells]
    if any(re.search(r"\W", str(item)) for cell in parsed for item in cell):
        names = "lambda cell: '|'.join(map(str, ast.literal_eval(cell)))"
        return Held(what, _joined(name, f"{column}.map({names}).str.get_dummies('|')"), True, *read)
    numbers = all(item.isdigit() for cell in items for item in cell)
    names = f"""{column}.str.findall(r"\\w+").str.join("|").str.get_dummies("|")"""
    return Held(what, _joined(name, names, "label_" if numbers else ""), True, *read)


def _literal(cell: str) -> Sequence[object]:
    """The items of a list that Python can read; none of an array as numpy prints it."""
    try:
        items = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        return ()
    return items if isinstance(items, (list, tuple)) else ()


def _separated(cells: Sequence[str], name: str, rows: int) -> Held | None:
    for separator, shown in _SEPARATORS.items():
        items = [item.strip() for cell in cells for item in cell.split(separator)]
        if len(items) == len(cells) or any(len(item.split()) > _LONGEST_NAME for item in items):
            continue
        if separator != "|" and len(set(items)) > max(2, 0.8 * len(items)):
            continue  # hardly one comes twice: prose, or places and dates
        example = next(cell for cell in cells if separator in cell)
        what = f"several labels in one cell, parted by {shown} ({example})"
        blanks = f'.str.replace(r"\\s*{re.escape(separator)}\\s*", "|", regex=True)'
        prefix = "label_" if all(item.isdigit() for item in items) else ""
        column = f'train[{name}].astype(str){"" if separator == "|" else blanks}.str.get_dummies("|")'
        return Held(what, _joined(name, column, prefix), True, "multilabel", separator)
    return None


def _numbers(cells: Sequence[str], name: str, rows: int) -> Held | None:
    numbers = pd.to_numeric(pd.Series(cells), errors="coerce")
    if numbers.isna().any():
        return None
    if numbers.between(0, 1).all():
        return Held(
            f"fractions from 0 to 1 ({cells[0]})",
            f"train[{name}] = (train[{name}].astype(float) >= 0.5).astype(int)",
            task="regression",
        )
    whole = (numbers % 1 == 0).all() and len(cells) <= max(2, rows // 2)
    return _class_per_row(cells, name, WHOLE) if whole else None


def _classes(cells: Sequence[str], name: str, rows: int) -> Held | None:
    few = len(cells) <= max(2, rows // 2) and all(len(cell.split()) <= _LONGEST_NAME for cell in cells)
    return _class_per_row(cells, name, "one class per row") if few else None


def _class_per_row(cells: Sequence[str], name: str, what: str) -> Held:
    shown = ", ".join(cells[:3]) + (", ..." if len(cells) > 3 else "")
    prefix = "label_" if what == WHOLE else ""
    line = _joined(name, f"pd.get_dummies(train[{name}], dtype=int)", prefix)
    return Held(f"{what} ({shown})", line, task="multiclass")


def _joined(name: str, columns: str, prefix: str = "") -> str:
    """The line that puts the new columns in the place of the old."""
    named = f'{columns}.add_prefix("{prefix}")' if prefix else columns
    return f"train = train.drop(columns={name}).join({named})"
