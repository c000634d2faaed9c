"""Which task a competition has, told from what its label columns hold and from what the sample submission shows.

Rules of thumb, each with its reason. What they cannot tell is left open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from compete.competition.label_cells import held, holds_labels, zeros_and_ones
from compete.competition.layouts import parted
from compete.competition.task import TaskName

_MOST_GRADES = 11  # with more, whole numbers are counts or sums, and no scale that people grade by
_ODD = 0.02  # share of rows with another number than 0 and 1 from which these are no mistakes
_LOOKED_AT = 1000  # distinct cells that lists are told from


@dataclass(frozen=True)
class Guess:
    """The task, and the columns that it predicts."""

    task: TaskName
    columns: tuple[str, ...]
    why: str
    separator: str | None = None
    """Of several labels in a cell."""


def of_zeros_and_ones(train: pd.DataFrame | None, columns: Sequence[str]) -> Guess:
    """The task of columns that hold 0 and 1."""
    if len(columns) == 1:
        return Guess("binary", tuple(columns), "0 or 1 in one column")
    why = ""
    if train is not None and all(name in train.columns for name in columns) and len(train) > 1:
        sums = train[list(columns)].apply(zeros_and_ones).sum(axis=1)
        if (sums == 1).all():
            why = 'every row has exactly one of them, so task = "multiclass" would fit too'
    return Guess("multilabel", tuple(columns), why)


def of_sample(
    train: pd.DataFrame, candidates: Sequence[str], test: pd.DataFrame | None, named: Sequence[str]
) -> Guess | None:
    """What the columns hold that the sample names; or else the column whose classes or labels it names.

    candidates: columns of train that may be predicted; named: columns of the sample besides the id.
    """
    there = [name for name in named if name in candidates]
    if there:
        return of_columns(train, there) if len(there) == len(named) else None
    for name in candidates if len(named) > 1 else ():
        cells = train[name].str.strip()
        if set(cells) == set(named):
            return Guess("multiclass", (name,), f"the columns of the sample submission are the values of {name}")
        guess = of_columns(train, [name])
        if guess is not None and guess.separator and _labels_of(cells, guess.separator) == set(named):
            return guess
    return of_train(train, candidates, test)


def of_train(train: pd.DataFrame, candidates: Sequence[str], test: pd.DataFrame | None) -> Guess | None:
    """What the columns hold that test does not have: one with several labels in a cell, the only one, or numbers."""
    left = [name for name in candidates if test is None or name not in test.columns]
    guesses = {name: guess for name in left if (guess := of_columns(train, [name])) is not None}
    several = [guess for guess in guesses.values() if guess.separator is not None]
    if several:
        return several[0]
    if len(left) == 1:
        return guesses.get(left[0])
    classes = [guess for guess in guesses.values() if guess.task == "multiclass"]
    if len(classes) == len(guesses) == 1:
        return classes[0]
    # Without a test file nobody can tell what is predicted from what is known.
    return of_columns(train, left) if test is not None and left else None


def of_columns(train: pd.DataFrame, columns: Sequence[str]) -> Guess | None:
    """The task of columns that are predicted; None where none reads them."""
    cells = train[list(columns)].apply(lambda column: column.str.strip())
    if not len(cells):
        return None
    if all(holds_labels(cells[name]) for name in columns):
        return of_zeros_and_ones(train, columns)
    numbers = cells.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    if np.isfinite(numbers).all():
        return _of_numbers(numbers, cells, columns)
    return _of_words(cells.iloc[:, 0], columns[0]) if len(columns) == 1 else None


def _of_numbers(numbers: np.ndarray, cells: pd.DataFrame, columns: Sequence[str]) -> Guess | None:
    names, there = tuple(columns), np.unique(numbers)
    shown, rows = _listed(there), len(numbers)
    what = f"{'one column' if len(columns) == 1 else f'{len(columns)} columns'} of"
    if not np.isin(numbers, (0, 1)).all(axis=1).mean() <= 1 - _ODD:
        return None  # labels with a few odd cells
    if (there % 1 != 0).any():
        return Guess("regression", names, f"{what} numbers with fractions, {len(there)} different ones")
    if len(there) == 2 and len(columns) == 1:
        return Guess("multiclass", names, f"{what} two classes, {shown}")
    few = len(there) <= min(_MOST_GRADES, max(2, rows // 2))
    if few and len(there) > 2 and len(np.unique(np.diff(there))) == 1:
        other = '"regression"' if len(columns) > 1 else '"regression", or "multiclass" where they only name something'
        return Guess("ordinal", names, f"{what} few whole grades, {shown}; another reading is task = {other}")
    if few and len(columns) == 1 and len(there) > 2:
        return Guess("multiclass", names, f"{what} few whole numbers with gaps between them, {shown}")
    if len(there) > _MOST_GRADES:
        other = '; where they only name something, task = "multiclass"' if len(columns) == 1 else ""
        return Guess("regression", names, f"{what} whole numbers, {len(there)} different ones{other}")
    return None


def _of_words(cells: pd.Series, name: str) -> Guess | None:
    found = held(cells, name)
    if found is None or found.task is None:
        return None
    return Guess(found.task, (name,), found.what, found.separator)


def _labels_of(cells: pd.Series, separator: str) -> set[str]:
    return {label for cell in cells.unique()[:_LOOKED_AT] for label in parted(cell, separator) or []}


def _listed(values: np.ndarray) -> str:
    shown = [f"{value:g}" for value in values]
    return ", ".join(shown if len(shown) <= _MOST_GRADES else [*shown[:3], "...", shown[-1]])
