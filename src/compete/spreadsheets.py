"""Cells that a spreadsheet would run: one that begins with =, +, -, @, a tab or a carriage return is a formula there.

A CSV that compete writes for people has an apostrophe before such a cell, which spreadsheets show as text. A submission
has it as it is, since the competition compares ids letter by letter; `submit` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# What is a number and nothing else is none: -1 and +4.5e-3 may stand as they are.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would compute the cell, or call what it names."""
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None


def no_formula(cell: str) -> str:
    """The cell as a spreadsheet shows it."""
    return f"'{cell}" if is_formula(cell.lstrip("'")) else cell


def as_it_was(cell: str) -> str:
    """The inverse of `no_formula`."""
    return cell[1:] if cell.startswith("'") and no_formula(cell[1:]) == cell else cell


def first_formula(cells: Iterable[str]) -> tuple[int, str] | None:
    """Which of the cells is the first formula, counted from 1, and what it says; None if none is."""
    return next(((row, cell) for row, cell in enumerate(cells, start=1) if is_formula(cell)), None)
