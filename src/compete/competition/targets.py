"""What is true of every row, read from the label columns of a table: 0 and 1, classes, numbers or grades.

How the columns are to be read is learnt once, from the training rows (`learn_task`): which classes there are, which
labels stand in cells, which grades. Every other table is read by that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.declaration import CompetitionDeclaration, Data
from compete.competition.label_cells import held, zeros_and_ones
from compete.competition.shape import Targets
from compete.competition.task import Task
from compete.errors import DataError

JSON = "json"
_SHOWN, _OF_A_COLUMN = 10, 3


def learn_task(declared: CompetitionDeclaration, cells: pd.DataFrame, source: str) -> Task:
    """The task with its outputs, from the label columns of the training rows.

    cells: these columns alone, indexed by the rows' ids. Raises DataError where the task cannot be read from them.
    """
    task, data, columns = declared.task, declared.data, [str(name) for name in cells.columns]
    if task == "multiclass" and len(columns) == 1:
        return Task(task, _classes(cells[columns[0]], columns[0], source))
    if data.label_separator is not None:
        return Task(task, _labels_in(cells[columns[0]], data.label_separator, columns[0], source))
    if task in ("multilabel", "binary", "multiclass"):
        if task == "binary" and len(columns) > 1:
            raise DataError(f"{source}: binary has one label, and these columns are left: {', '.join(columns)}")
        return Task(task, tuple(columns))
    numbers = _numbers(cells, source)
    constant = [name for name, column in zip(columns, numbers.T, strict=True) if column.min() == column.max()]
    if constant:
        value = numbers[0, columns.index(constant[0])]
        raise DataError(
            f"{source}: {constant[0]} is {value:g} in every row: there is nothing to predict. Leave it out of "
            "data.labels."
        )
    return Task(task, tuple(columns), _grades(numbers, data, source) if task == "ordinal" else ())


def target_matrix(cells: pd.DataFrame, task: Task, separator: str | None, source: str) -> Targets:
    """What is true, (n_rows, n_outputs), as the task's table in `task` says; anything else is named by row and column.

    cells: the label columns alone, indexed by the rows' ids; separator: of several labels in a cell.
    """
    if not task.gives_probabilities:
        numbers = _numbers(cells, source)
        if task.kind == "grades":
            _refuse(~np.isin(numbers, task.grades), cells, f"grades are {_listed(task.grades)}", source)
        return numbers.astype(np.float32)
    if task.kind == "classes" and cells.shape[1] == 1:
        return _one_hot(cells.iloc[:, 0], task, source)
    if separator is not None:
        return _of_several(cells.iloc[:, 0], task, separator, source)
    matrix = _zeros_and_ones(cells, source)
    if task.kind == "classes":
        odd = np.flatnonzero(matrix.sum(axis=1) != 1)
        if len(odd):
            raise DataError(
                f"{source} row {odd[0] + 1}: {matrix[odd[0]].sum()} classes are 1, expected one; where a row may have "
                'several or none, the task is "multilabel"'
            )
    return matrix


def strata(task: Task, targets: Targets, bins: int = 10) -> NDArray[np.int8]:
    """What folds are stratified by, 0/1 (n_rows, n_strata): labels and classes themselves, every grade of every target,
    and numbers by their tenths (fewer where many rows have the same number).
    """
    if task.gives_probabilities:
        return targets.astype(np.int8, copy=False)
    found = []
    for column in targets.T:
        edges = task.grades[1:] if task.grades else np.unique(np.quantile(column, np.arange(1, bins) / bins))
        number = np.searchsorted(np.asarray(edges, dtype=np.float32), column, side="right")
        found.append(number[:, None] == np.unique(number))
    return np.hstack(found).astype(np.int8)


def class_order(name: str) -> tuple[int, float, str]:
    """Sorts classes: numbers by their value, then words."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _classes(cells: pd.Series, column: str, source: str) -> tuple[str, ...]:
    names = cells.str.strip()
    _refuse_empty(names, column, source)
    classes = tuple(sorted(names.unique(), key=class_order))
    alike = _one_value(classes)
    if alike:
        raise DataError(
            f"{source}: {column} has the classes {' and '.join(map(repr, alike))}, which are one number written in two "
            "ways: write it in one"
        )
    if len(classes) == 1:
        raise DataError(f"{source}: {column} is {classes[0]!r} in every row: there is nothing to predict")
    if len(classes) > max(2, len(names) // 2):
        raise DataError(
            f"{source}: {column} has {len(classes)} classes in {len(names)} rows. Is it no class, but a number "
            '(task = "regression") or several labels (data.label_separator)?'
        )
    return classes


def _one_value(classes: Sequence[str]) -> list[str]:
    """Names of one number, where there are several."""
    by_value: dict[float, list[str]] = {}
    for name in classes:
        rank, value, _ = class_order(name)
        if rank == 0:
            by_value.setdefault(value, []).append(name)
    return next((names for names in by_value.values() if len(names) > 1), [])


def _one_hot(cells: pd.Series, task: Task, source: str) -> NDArray[np.int8]:
    names = cells.str.strip()
    codes = pd.Index(task.outputs).get_indexer(pd.Index(names))
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        found = names.iloc[int(unknown[0])]
        raise DataError(
            f"{source} row {unknown[0] + 1}: the class {found!r} is in no training row; there are "
            f"{_listed(task.outputs)}"
        )
    one_hot: NDArray[np.int8] = np.eye(len(task.outputs), dtype=np.int8)[codes]
    return one_hot


def _labels_in(cells: pd.Series, separator: str, column: str, source: str) -> tuple[str, ...]:
    lists = _each_list(cells, separator, source)
    names = {name for each in lists for name in each}
    if not names:
        raise DataError(f"{source}: no cell of {column} holds a label")
    if separator != JSON and all(len(each) < 2 for each in lists):
        thing = held(cells, column)
        seems = f" {column} seems to hold {thing.what}; {thing.advice}." if thing is not None else ""
        raise DataError(f"{source}: label_separator = {separator!r} parts no cell of {column}.{seems}")
    if "" in names:
        raise DataError(f"{source}: {column} has a label without a name; is {separator!r} what parts the labels?")
    return tuple(sorted(names, key=class_order))


def _of_several(cells: pd.Series, task: Task, separator: str, source: str) -> NDArray[np.int8]:
    place = {name: number for number, name in enumerate(task.outputs)}
    matrix = np.zeros((len(cells), len(place)), dtype=np.int8)
    for row, names in enumerate(_each_list(cells, separator, source)):
        for name in names:
            if name not in place:
                raise DataError(f"{source} row {row + 1}: the label {name!r} is in no training row")
            matrix[row, place[name]] = 1
    return matrix


def _each_list(cells: pd.Series, separator: str, source: str) -> list[list[str]]:
    if separator != JSON:
        return [[part.strip() for part in cell.split(separator)] if cell.strip() else [] for cell in cells]
    found = []
    for row, cell in enumerate(cells):
        try:
            names = json.loads(cell) if cell.strip() else []
        except (ValueError, RecursionError):
            names = None
        if not isinstance(names, list) or any(isinstance(name, (list, dict)) or name is None for name in names):
            raise DataError(f"{source} row {row + 1}: {cell[:60]!r} is no JSON list of labels")
        found.append([str(name).strip() for name in names])
    return found


def _numbers(cells: pd.DataFrame, source: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = cells.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    odd = ~np.isfinite(values)
    # A few odd cells are to be mended; of a column of words another task is meant.
    words = [str(name) for name, column in zip(cells.columns, odd.T, strict=True) if column.mean() > 0.5]
    things = [
        f"{name!r} seems to hold {thing.what}; {thing.advice}" for name in words if (thing := held(cells[name], name))
    ]
    _refuse(odd, cells, "a number is expected", source, "\n".join(things[:1]))
    return values


def _grades(numbers: NDArray[np.float64], data: Data, source: str) -> tuple[float, ...]:
    """The declared scale, or the grades that are there if none is missing between them."""
    if data.grades is not None:
        return tuple(data.grades)
    there = np.unique(numbers)
    if len(there) > 100:
        raise DataError(
            f'{source}: {len(there)} different grades, which is no scale; is the task "regression"? A long scale is '
            "listed in data.grades"
        )
    step = float(np.diff(there).min())
    scale = there[0] + step * np.arange(round((there[-1] - there[0]) / step) + 1)
    missing = [grade for grade in scale if np.abs(there - grade).min() > step / 100]
    if missing:
        raise DataError(
            f"{source}: the grades are {_listed(there)}: no row has {_listed(missing)}. If that is the scale all the "
            f"same, list it: data.grades = [{', '.join(f'{g:g}' for g in there)}]"
        )
    return tuple(there.tolist())


def _zeros_and_ones(cells: pd.DataFrame, source: str) -> NDArray[np.int8]:
    """The label columns as 0/1; true and false, yes and no are read too. Where a column holds something else from which
    labels can be read, the message says what, and how."""
    values = cells.apply(zeros_and_ones)
    bad: NDArray[np.bool_] = values.isna().to_numpy()
    if bad.any():
        odd = [str(name) for name, column in zip(cells.columns, bad.T, strict=True) if column.any()]
        _refuse(bad, cells, "labels must be 0 or 1", source, _way_on(cells, odd))
    matrix: NDArray[np.int8] = values.to_numpy(dtype=np.int8)
    return matrix


def _way_on(cells: pd.DataFrame, odd: Sequence[str]) -> str:
    """What to do about label columns that hold something else."""
    listing = "Is a column among them no label? List the label columns in competition.toml, data.labels."
    things = {label: held(cells[label], label) for label in odd}
    advice = [f"{label!r} seems to hold {thing.what}; {thing.advice}" for label, thing in things.items() if thing]
    return "\n".join([*([] if advice and cells.shape[1] == 1 else [listing]), *advice[:1]])


def _refuse(bad: NDArray[np.bool_], cells: pd.DataFrame, what: str, source: str, way_on: str = "") -> None:
    """Raise DataError with rows, ids and columns where `bad`, of the shape of `cells`, is true; three of a column."""
    if not bad.any():
        return
    lines = []
    for column, name in enumerate(cells.columns):
        for row in np.flatnonzero(bad[:, column])[:_OF_A_COLUMN]:
            found = str(cells.iloc[row, column])
            shown = f"is {found!r}" if found.strip() else "is empty"
            lines.append(f"  row {row + 1} ({cells.index[row]}): {name} {shown}")
    more = [f"  and more, {len(lines)} seen"] if len(lines) > _SHOWN else []
    raise DataError("\n".join([f"{source}: {what}", *lines[:_SHOWN], *more, *([way_on] if way_on else [])]))


def _refuse_empty(cells: pd.Series, column: str, source: str) -> None:
    empty = np.flatnonzero((cells == "").to_numpy())
    if len(empty):
        raise DataError(f"{source} row {empty[0] + 1}: {column} is empty; {len(empty)} rows have no class")


def _listed(values: Sequence[float] | Sequence[str] | NDArray[np.float64], most: int = 12) -> str:
    shown = [value if isinstance(value, str) else f"{value:g}" for value in list(values)[:most]]
    return ", ".join(shown) + (f" and {len(values) - most} more" if len(values) > most else "")
