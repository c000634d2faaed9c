"""Values as the cells of a submission, and cells read back as values: in every form, and each the other's opposite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.layouts import joined, parted
from compete.competition.task import are_probabilities
from compete.errors import SubmissionError
from compete.submissions.form import Form

_WORDS = {"true": "1", "false": "0"}


def to_cells(form: Form, values: NDArray[np.generic]) -> list[list[str]]:
    """The cells besides the keys, a list per row of the file.

    values: (n_ids, n_outputs) in the order of the form's ids and labels: decisions, probabilities or numbers.
    """
    layout = form.layout
    if layout.name == "class":
        return [[form.labels[place]] for place in values.argmax(axis=1)]
    if layout.name == "list":
        return [[joined(names, layout.separator)] for names in _named(form, values)]
    texts: list[list[str]] = _texts(form, values).tolist()
    if layout.name == "columns":
        return texts
    row, column = _places(form.ids), _places(form.labels)
    return [[texts[row[name]][column[output]]] for name, output in layout.rows]


def from_cells(form: Form, table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The values, a row per id in the order of the table and a column per output.

    table: strings, with the form's columns, rows in any order. A list of the most probable outputs gives 1 for the
    first, less for the next, and 0 for those that are not in it. Raises SubmissionError for a cell that cannot be, by
    row and column.
    """
    if form.layout.name == "class":
        values = _of_classes(form, table, source)
    elif form.layout.name == "list":
        values = _of_lists(form, table, source)
    else:
        return _one_class(form, unchecked_values(form, table, source, check=True), source)
    return pd.DataFrame(values, index=table[form.id_column].tolist(), columns=form.labels)


def unchecked_values(form: Form, table: pd.DataFrame, source: str, check: bool = False) -> pd.DataFrame:
    """The same where every value has a cell of its own, and NaN for what is no number."""
    cells = table[form.value_columns]
    numbers: NDArray[np.float64] = cells.apply(_column_of_numbers, form=form).astype(np.float64).to_numpy()
    if check:
        _refuse(form, table, ~_possible(form, numbers), source)
    if form.layout.name == "columns":
        return pd.DataFrame(numbers, index=table[form.id_column].tolist(), columns=form.value_columns)
    rows = dict(zip(form.keys, form.layout.rows, strict=True))
    pairs = [rows.get(key) for key in form.keys_of(table)]
    if None in pairs:
        raise SubmissionError(
            f"{source} row {pairs.index(None) + 1}: {_shown(form, table, pairs.index(None))} is no key"
        )
    ids = list(dict.fromkeys(pair[0] for pair in pairs if pair))
    row, column = _places(ids), _places(form.labels)
    values = np.full((len(ids), len(column)), np.nan)
    for pair, number in zip(pairs, numbers[:, 0], strict=True):
        assert pair is not None
        values[row[pair[0]], column[pair[1]]] = number
    return pd.DataFrame(values, index=ids, columns=form.labels)


def plain_number(value: float) -> str:
    """3 for 3.0, else as many digits as tell a number apart."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _named(form: Form, values: NDArray[np.generic]) -> list[list[str]]:
    """The labels of every row: those that are decided, or the most probable, ties by their order."""
    if form.layout.most is None:
        return [[form.labels[place] for place in np.flatnonzero(row)] for row in values.astype(np.float64) >= 0.5]
    order = np.argsort(-values.astype(np.float64), axis=1, kind="stable")[:, : form.layout.most]
    return [[form.labels[place] for place in row] for row in order]


def _texts(form: Form, values: NDArray[np.generic]) -> NDArray[np.str_]:
    """Each value as a cell, of the shape of `values`."""
    if are_probabilities(form.kind):
        return np.array(form.manner.off_on)[values.astype(np.intp)] if form.decisions else values.astype(np.str_)
    if form.kind == "grades" and form.decisions:
        assert form.task is not None
        grades = np.asarray(form.task.grades)
        nearest = np.abs(values.astype(np.float64)[:, :, None] - grades).argmin(axis=2)
        texts: NDArray[np.str_] = np.array([_with_digits(form, grade) for grade in form.task.grades])[nearest]
        return texts
    if form.layout.digits is None:
        return values.astype(np.str_)
    return np.array([f"{value:.{form.layout.digits}f}" for value in values.ravel()]).reshape(values.shape)


def _with_digits(form: Form, grade: float) -> str:
    """A grade with the sample's digits, unless that makes another grade of it."""
    text = f"{grade:.{form.layout.digits or 0}f}"
    return text if float(text) == grade else plain_number(grade)


def _of_classes(form: Form, table: pd.DataFrame, source: str) -> NDArray[np.float64]:
    cells = table[form.layout.column].str.strip()
    places = pd.Index(form.labels).get_indexer(pd.Index(cells))
    unknown = np.flatnonzero(places < 0)
    if len(unknown):
        raise _wrong(form, table, int(unknown[0]), form.layout.column, f"one of {_some(form.labels)}", source)
    one_hot: NDArray[np.float64] = np.eye(len(form.labels))[places]
    return one_hot


def _of_lists(form: Form, table: pd.DataFrame, source: str) -> NDArray[np.float64]:
    layout, place = form.layout, _places(form.labels)
    values = np.zeros((len(table), len(place)))
    for row, cell in enumerate(table[layout.column]):
        names = parted(cell, layout.separator)
        if names is None or not set(names) <= place.keys():
            wanted = f"some of {_some(form.labels)}, joined as in {joined(form.labels[:2], layout.separator)!r}"
            raise _wrong(form, table, row, layout.column, wanted, source)
        if len(set(names)) < len(names):
            raise _wrong(form, table, row, layout.column, "every label once", source)
        if layout.most is not None and not 0 < len(names) <= layout.most:
            raise _wrong(form, table, row, layout.column, f"1 to {layout.most} of them", source)
        for rank, name in enumerate(names):
            values[row, place[name]] = 1.0 if layout.most is None else 1 - rank / layout.most
    return values


def _possible(form: Form, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which numbers may be; NaN may not."""
    if are_probabilities(form.kind):
        return np.isin(numbers, (0, 1)) if form.decisions else (numbers >= 0) & (numbers <= 1)
    if form.kind == "grades" and form.decisions:
        assert form.task is not None
        return np.isin(numbers, form.task.grades)
    return np.isfinite(numbers)


def _allowed(form: Form) -> str:
    if are_probabilities(form.kind):
        return "0 or 1" if form.decisions else "a number from 0 to 1"
    if form.kind == "grades" and form.decisions:
        assert form.task is not None
        return f"a grade: {_some([plain_number(grade) for grade in form.task.grades], 12)}"
    return "a number"


def _refuse(form: Form, table: pd.DataFrame, bad: NDArray[np.bool_], source: str) -> None:
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise _wrong(form, table, int(row), form.value_columns[column], _allowed(form), source)


def _one_class(form: Form, values: pd.DataFrame, source: str) -> pd.DataFrame:
    """Decisions between classes name one in every row."""
    if form.kind == "classes" and form.decisions:
        several = np.flatnonzero(values.to_numpy().sum(axis=1) != 1)
        if len(several):
            row = int(several[0])
            count = int(values.iloc[row].sum())
            raise SubmissionError(f"{source}: {values.index[row]} has {count} classes that are 1, expected one")
    return values


def _wrong(form: Form, table: pd.DataFrame, row: int, column: str, allowed: str, source: str) -> SubmissionError:
    found = table[column].iloc[row]
    return SubmissionError(
        f"{source} row {row + 1} ({_shown(form, table, row)}): {column} is {found!r}, expected {allowed}"
    )


def _shown(form: Form, table: pd.DataFrame, row: int) -> str:
    return ", ".join(table[name].iloc[row] for name in form.key_columns)


def _column_of_numbers(cells: pd.Series[str], form: Form) -> pd.Series[float]:
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.isna().any():
        # True and False are read everywhere, no and yes where the sample has them.
        words = {**_WORDS, **{word.lower(): str(value) for value, word in enumerate(form.manner.off_on)}}
        numbers = pd.to_numeric(cells.str.strip().str.lower().replace(words), errors="coerce")
    return numbers


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
