"""Telling a text that is quoted from a quote that stands by itself, before it swallows rows without a word.

A CSV writer begins a quoted field right behind a separator, ends it right before the next, and doubles every quote
within. A file whose quotes are plain characters breaks that rule, but a parser reads it all the same: from the first
quote at the start of a text to the next one, over however many rows. So every quoted field of several lines is
looked at twice, as a quoted reading sees it and as a reading without quotes would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from compete.competition.data_files import open_text
from compete.errors import DataError

QUOTE = '"'
# From so many values on it is known which characters a column has, and an id that it has is that of another row.
_SETTLED = 20
_LONG = 6  # characters of an id that is known by its length, like a hash
_SHOWN = 3


@dataclass(frozen=True)
class Quoted:
    """A quoted field that a CSV writer would not have written so, or that goes over several lines."""

    first: int
    """Number of its first line in the file, from 1."""
    column: int
    """Number of its column, from 0."""
    lines: tuple[str, ...]
    """All lines that it is on, whole and as written."""
    bare: bool
    """Its closing quote stands inside the field, as in `"c" she said`."""
    open: bool = False
    """It has no closing quote."""

    @property
    def where(self) -> str:
        last = self.first + len(self.lines) - 1
        return f"line {self.first}" if last == self.first else f"lines {self.first} to {last}"


@dataclass(frozen=True)
class Row:
    """A row as a quoted reading sees it."""

    fields: int
    """How many fields it has."""
    quoted: tuple[Quoted, ...] = ()
    """Those of its quoted fields that need a look."""


def rows_of(lines: Iterable[str], separator: str, quotes: bool = True) -> Iterator[Row]:
    """The rows of a text, header and all, without the blank lines, as pandas and the csv module count them."""
    numbered = ((number, line.rstrip("\r\n")) for number, line in enumerate(lines, start=1))
    for number, line in numbered:
        if QUOTE in line and quotes:
            yield _row(number, line, numbered, separator)
        elif not _blank(line, separator):
            yield Row(line.count(separator) + 1)


def refuse_stray_quotes(path: Path, table: pd.DataFrame, separator: str, encoding: str, rows: Iterable[Row]) -> None:
    """Raise DataError naming the lines if quotes swallowed rows, or most likely did.

    `table` is what was read with quotes, `rows` the same file's rows. Three things are refused: a quoted field of
    several lines that is closed in its middle; a line break in a quoted field with the end of a row before it and
    the start of one behind it; and a quote closed in a field's middle where the file reads whole without quotes.
    """
    neighbours = Neighbours(table, separator)
    stray, bare = [], []
    for row in rows:
        for quoted in row.quoted:
            if len(quoted.lines) == 1:
                bare.append(quoted)
            elif quoted.bare or neighbours.swallowed(quoted):
                stray.append(quoted)
    if not stray and not bare:
        return
    whole = _whole_without_quotes(path, separator, encoding, table.shape[1])
    if not stray and not whole:
        return  # a quoted file with a quote that was not doubled: no row is lost, and no setting reads it better
    found = stray or bare
    column = str(table.columns[min(found[0].column, table.shape[1] - 1)])
    more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
    what = _swallowed(table.shape[0], found) if stray else "a quote is closed in the middle of the text"
    raise DataError(
        f"{path} {', '.join(quoted.where for quoted in found[:_SHOWN])}{more}, column {column!r}: {what}. "
        + _advice(whole, found)
    )


def _swallowed(rows: int, found: Sequence[Quoted]) -> str:
    lost = sum(len(quoted.lines) - 1 for quoted in found)
    return f"one quoted field contains what look like whole rows ({rows} rows are read, {rows + lost} without quotes)"


def _advice(whole: bool, found: Sequence[Quoted]) -> str:
    none = 'set quoting = "none" in [data]'
    if whole:
        first = f"Every line is a whole row if quotes are plain characters: {none}."
    else:
        first = f"Close the quote there, or write it twice; if quotes in this file are plain characters, {none}."
    if any(quoted.bare and len(quoted.lines) > 1 for quoted in found):
        return first  # no reading of these lines is right
    return f'{first} If the file is meant as it is, quoting = "minimal" says so.'


def unclosed(rows: Iterable[Row]) -> int | None:
    """Number of the line with a quote that is open until the end of the file; None if there is none."""
    return next((quoted.first for row in rows for quoted in row.quoted if quoted.open), None)


def _row(number: int, line: str, following: Iterator[tuple[int, str]], separator: str) -> Row:
    """The row that begins on this line, which has a quote in it; further lines are taken where a quote is open."""
    found, column, at = [], 0, 0
    while True:
        if line.startswith(QUOTE, at):
            first, lines, at = number, [line], at + 1
            while (close := _closing(line, at)) < 0:
                number, line = next(following, (number, None))  # type: ignore[assignment]
                if line is None:
                    return Row(column + 1, (*found, Quoted(first, column, tuple(lines), bare=False, open=True)))
                lines.append(line)
                at = 0
            at = close + 1
            end = line.find(separator, at)
            bare = bool(line[at : end if end >= 0 else None].strip(" "))
            if bare or len(lines) > 1:
                found.append(Quoted(first, column, tuple(lines), bare))
        end = line.find(separator, at)
        if end < 0:
            return Row(column + 1, tuple(found))
        column, at = column + 1, end + 1


def _closing(line: str, at: int) -> int:
    """Where the quote stands that closes the field, two quotes being one that does not; -1 if not on this line."""
    while (at := line.find(QUOTE, at)) >= 0 and line.startswith(QUOTE, at + 1):
        at += 2
    return at


def _blank(line: str, separator: str) -> bool:
    return not line or (line.isspace() and not line.strip(" \t") and separator not in line)


def _whole_without_quotes(path: Path, separator: str, encoding: str, fields: int) -> bool:
    """Whether every line has as many fields as the header when quotes are characters; a quoted header says no."""
    with open_text(path, encoding) as file:
        lines = (line for line in file if not _blank(line.rstrip("\r\n"), separator))
        if next(lines, QUOTE).startswith(QUOTE):
            return False
        return all(row.fields == fields for row in rows_of(lines, separator, quotes=False))


class Neighbours:
    """What stands around the texts: the columns of ids, labels and other short values, as the rows show them."""

    def __init__(self, table: pd.DataFrame, separator: str) -> None:
        self._table = table
        self._separator = separator

    @cached_property
    def _columns(self) -> list[Values | None]:
        """A column's values where they have no blanks in them; None for texts, which nothing can be told from."""
        found = [Values.of(self._table.iloc[:, number]) for number in range(self._table.shape[1])]
        return [values if values.narrow else None for values in found]

    def swallowed(self, quoted: Quoted) -> bool:
        """Whether a line break in the field stands where a row ends and another begins.

        With ids and labels around the text one such break is enough. With ids alone every break has to be one, and
        every line has to have as many fields as the table: a sentence may begin with a word and a comma.
        """
        known = sum(values is not None for number, values in enumerate(self._columns) if number != quoted.column)
        if not known:
            return False
        breaks = list(zip(quoted.lines, quoted.lines[1:], strict=False))
        if known > 1:
            return any(self._ends_a_row(quoted.column, before, after) for before, after in breaks)
        if any(line.count(self._separator) != len(self._columns) - 1 for line in quoted.lines):
            return False
        # Three breaks that agree say enough: ids behind them need not look like the others, only be hardly longer.
        loosely = len(breaks) > 2
        return all(self._ends_a_row(quoted.column, before, after, loosely) for before, after in breaks)

    def _ends_a_row(self, column: int, before: str, after: str, loosely: bool = False) -> bool:
        """Whether the columns behind the text stand before the break, and those before the text behind it."""
        behind = len(self._columns) - 1 - column
        end, start = before.rsplit(self._separator, behind), after.split(self._separator, column)
        if len(end) <= behind or len(start) <= column:
            return False
        fields = [*zip(self._columns[:column], start, strict=False)]
        fields += zip(self._columns[column + 1 :], end[1:], strict=True)
        return all(values is None or values.fits(field.strip(QUOTE), loosely) for values, field in fields)


@dataclass(frozen=True)
class Values:
    """What the values of a column look like."""

    distinct: frozenset[str]
    shapes: frozenset[str]
    """Letters as a, digits as 9, runs of them as one; empty where the kinds of characters tell enough."""
    kinds: frozenset[str]
    """Of the values' characters."""
    always: frozenset[str]
    """Those of the kinds that are in every value."""
    shortest: int
    longest: int
    rows: int
    """How many values there are, equal ones counted."""

    @classmethod
    def of(cls, column: pd.Series) -> Values:
        distinct = frozenset(column)
        lengths = [len(value) for value in distinct] or [0]
        return cls(
            distinct,
            frozenset(map(_shape, distinct)) if len(distinct) < _SETTLED else frozenset(),
            _kinds("".join(set().union(*distinct))),
            frozenset.intersection(*map(_kinds, distinct)) if distinct else frozenset(),
            min(lengths),
            max(lengths),
            len(column),
        )

    @property
    def narrow(self) -> bool:
        return self.longest > 0 and "blank" not in self.kinds

    def fits(self, value: str, loosely: bool) -> bool:
        """Whether the value could stand in the column, in a row that was not read; an id stands there only once."""
        kinds = _kinds(value)
        # A character more or less is borne, here and below: where r9 was read, r10 may have been swallowed.
        if "blank" in kinds or len(value) > self.longest + 1 or (not value and self.shortest):
            return False
        if loosely or len(value) < self.shortest - 1:
            return loosely
        if value in self.distinct:
            return self.rows < _SETTLED or len(self.distinct) < self.rows
        alike = self.always <= kinds <= self.kinds
        if len(self.distinct) < _SETTLED:
            return _shape(value) in self.shapes or (alike and self.shortest == self.longest == len(value) >= _LONG)
        return alike


def _shape(value: str) -> str:
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", value))


def _kinds(value: str) -> frozenset[str]:
    return frozenset(map(_kind, value))


def _kind(character: str) -> str:
    if character.isspace():
        return "blank"
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "upper" if character.isupper() else "lower"
    return character
