"""How predictions lie in a table of submission: which of the forms that competitions ask for a sample has.

| form | rows | beside the id |
|---|---|---|
| columns | a row of the test set | a column per output |
| class | a row of the test set | one column with the class's name |
| list | a row of the test set | one column with several labels |
| long | a row of the test set and an output | one column with the output's value |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

LayoutName = Literal["columns", "class", "list", "long"]
JSON = "json"


@dataclass(frozen=True)
class Layout:
    """How the values of a submission lie in its columns besides the id."""

    name: LayoutName = "columns"
    column: str = ""
    """class, list, long: the column with what is said."""
    separator: str = ""
    """list: what parts labels, or "json"."""
    most: int | None = None
    """list: how many outputs a cell holds, the most probable first; None for those that are decided."""
    digits: int | None = None
    """Of numbers, after the point; None for as many as tell them apart."""
    rows: Sequence[tuple[str, str]] = field(default=(), repr=False)
    """long: the id and the output of every row."""
    keys: Sequence[tuple[str, ...]] = field(default=(), repr=False)
    """long: what names every row, a cell of each key column."""
    key_columns: tuple[str, ...] = ()
    """long: the columns that name a row."""

    @property
    def ranked(self) -> bool:
        return self.most is not None


COLUMNS = Layout()


def parted(cell: str, separator: str) -> list[str] | None:
    """The labels of a cell; None for what is no such list."""
    cell = cell.strip()
    if not cell:
        return []
    if separator != JSON:
        return [part for each in cell.split(separator) if (part := each.strip())]
    try:
        names = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(names, list) or any(isinstance(name, (list, dict)) or name is None for name in names):
        return None
    return [str(name).strip() for name in names]


def joined(names: Sequence[str], separator: str) -> str:
    """The cell that `parted` reads these labels from."""
    return json.dumps(list(names), ensure_ascii=False) if separator == JSON else separator.join(names)


def separator_of(cells: Sequence[str], outputs: Sequence[str], usual: str | None) -> str | None:
    """What parts the labels in these cells; None if they are no lists of the outputs.

    Where no cell has two labels, `usual`, or the first sign that is in no label's name.
    """
    known, fits = set(outputs), False
    filled = [cell for cell in cells if cell.strip()]
    for separator in dict.fromkeys([usual or JSON, JSON, "|", ";", ", ", ",", "\t", " "]) if filled else ():
        lists = [parted(cell, separator) for cell in filled]
        if all(names is not None and set(names) <= known for names in lists):
            if separator == JSON or any(names and len(names) > 1 for names in lists):
                return separator
            fits = True
    if filled and not fits:
        return None
    return usual or free_separator(outputs)


def free_separator(outputs: Sequence[str]) -> str:
    """A separator that no name of an output has in it; a JSON list where all are taken."""
    return next((sign for sign in " ,|;" if not any(sign in name for name in outputs)), JSON)


def long_rows(
    cells: Mapping[str, Sequence[str]], ids: Sequence[str], outputs: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, str]]] | None:
    """The key columns of a table with a row per id and output, and the id and output of every row; None for another.

    cells: of all columns. The key is one column, as ID_output or output-ID, or two. What is no id or no output stays as
    it stands there, for the caller to refuse.
    """
    if len(outputs) < 2 or len(cells) not in (2, 3) or not len(next(iter(cells.values()))):
        return None
    if len(cells) == 2:
        for column, keys in cells.items():
            way = _way_of_a_key(keys[0], set(ids), outputs)
            if way is not None:
                meant = {way(name, output): (name, output) for name in ids for output in outputs}
                return (column,), [meant.get(key, (key, "")) for key in keys]
        return None
    for first in (name for name in cells if cells[name][0] in set(ids)):
        for second in (name for name in cells if name != first):
            if {cell.strip() for cell in cells[second]} == set(outputs):
                return (first, second), [(a, b.strip()) for a, b in zip(cells[first], cells[second], strict=True)]
    return None


def keys_alike(layout: Layout, ids: Sequence[str], outputs: Sequence[str]) -> Layout | None:
    """A layout of a row per id and output for other ids, its rows named and ordered alike; None if no way shows."""
    rows = list(layout.rows)
    if len(rows) < 2:
        return None
    by_id = rows[0][0] == rows[1][0]
    order = list(dict.fromkeys(output for _, output in rows))
    order += [output for output in outputs if output not in order]
    pairs = (
        [(name, output) for name in ids for output in order]
        if by_id
        else [(name, output) for output in order for name in ids]
    )
    if len(layout.key_columns) == 2:
        return replace(layout, rows=pairs, keys=pairs)
    way = _way_of_a_key(layout.keys[0][0], {rows[0][0]}, [rows[0][1]])
    return None if way is None else replace(layout, rows=pairs, keys=[(way(*pair),) for pair in pairs])


def _way_of_a_key(key: str, ids: Collection[str], outputs: Sequence[str]) -> Callable[[str, str], str] | None:
    """How a key is made of an id and an output."""
    for between in ("_", "-", " ", ":", "|", "/", "."):
        for output in outputs:
            if key.removesuffix(between + output) in ids and key.endswith(between + output):
                return partial(_id_first, between)
            if key.removeprefix(output + between) in ids and key.startswith(output + between):
                return partial(_output_first, between)
    return None


def _id_first(between: str, name: str, output: str) -> str:
    return f"{name}{between}{output}"


def _output_first(between: str, name: str, output: str) -> str:
    return f"{output}{between}{name}"
