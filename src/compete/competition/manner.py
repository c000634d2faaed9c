"""How a CSV is written, apart from what it says: learnt from the sample submission, so that ours is written alike."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compete.spreadsheets import no_formula

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_OFF_ON = tuple(
    (write(off), write(on))
    for off, on in (("false", "true"), ("no", "yes"))
    for write in (str.capitalize, str.lower, str.upper)
)


@dataclass(frozen=True)
class Manner:
    """How a CSV is written."""

    separator: str = ","
    line_end: str = "\n"
    encoding: str = "utf-8"
    header: str | None = None
    """The first line as it stands there, a byte order mark included; None for the columns' names as they are."""
    around: tuple[tuple[str, str], ...] = ()
    """What stands before and after every cell of a column, blanks and quotes; empty for nothing."""
    off_on: tuple[str, str] = ("0", "1")
    """How a label's decision is written."""
    ends: bool = True
    """Whether the last line ends."""
    formulas: bool = True
    """Whether a cell that a spreadsheet would run stays as it is, as competitions want it."""

    def header_of(self, columns: Sequence[str]) -> str:
        """The first line, without its end."""
        if self.header is not None:
            return self.header
        return self.separator.join(self._cell(name, ("", "")) for name in columns)

    def names(self, columns: Sequence[str]) -> list[str]:
        """The columns' names as the header gives them, blanks around them left out."""
        text = self.header_of(columns).removeprefix("\ufeff")
        row, _ = _first_row(io.StringIO(text, newline=""), self.separator)
        return [name.strip() for name in row]

    def text(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        """The whole file; rows: its cells, as many as there are columns."""
        around = self.around or (("", ""),) * len(columns)
        lines = [self.header_of(columns)]
        lines += [
            self.separator.join(self._cell(cell, each) for cell, each in zip(row, around, strict=True)) for row in rows
        ]
        return self.line_end.join(lines) + (self.line_end if self.ends else "")

    def _cell(self, value: str, around: tuple[str, str]) -> str:
        before, after = around
        value = value if self.formulas else no_formula(value)
        if '"' not in before and any(sign in value for sign in (self.separator, '"', "\r", "\n")):
            before, after = f'{before}"', f'"{after}'
        doubled = value.replace('"', '""') if '"' in before else value
        return f"{before}{doubled}{after}"


PLAIN = Manner()


def manner_of(content: bytes, separator: str, encoding: str, id_at: int, values: Iterable[str]) -> Manner:
    """The manner of a CSV that can be read. id_at: place of its id column; values: the cells of its labels."""
    text, encoding = _text(content, encoding)
    lines = list(io.StringIO(text, newline=""))
    names, header_lines = _first_row(lines, separator)
    header = "".join(lines[:header_lines])
    line_end = header[len(header.rstrip("\r\n")) :] or "\n"
    first_row = next((line for line in lines[header_lines:] if line.strip()), "").rstrip("\r\n")
    around = [_around(cell, at == id_at) for at, cell in enumerate(_raw_cells(first_row, separator))]
    return Manner(
        separator=separator,
        line_end=line_end,
        encoding=encoding,
        header=header.removesuffix(line_end),
        around=tuple(around) if len(around) == len(names) else (),
        off_on=_off_on(values),
        ends=text.endswith(("\r", "\n")),
    )


def encoding_of(path: Path, declared: str) -> str:
    """What a CSV has to be read in: what its byte order mark says, else what is declared."""
    with path.open("rb") as file:
        mark = file.read(2)
    return "utf-16" if mark in _UTF_16 else _usual(declared)


def _text(content: bytes, encoding: str) -> tuple[str, str]:
    """A file's text, a byte order mark left where it is, and what it is encoded in."""
    found = _UTF_16.get(content[:2]) or _usual(encoding)
    return content.decode(found), found


def _usual(encoding: str) -> str:
    """utf-8 under whatever name, without the mark that Python would write or take away."""
    return "utf-8" if encoding.lower().replace("_", "-").startswith(("utf-8", "utf8")) else encoding


def _first_row(lines: Iterable[str], separator: str) -> tuple[list[str], int]:
    """The cells of the first row that is not empty, and the line it ends in: a quoted name may hold line ends."""
    reader = csv.reader(lines, delimiter=separator)
    row = next((row for row in reader if row), [])
    return row, reader.line_num


def _raw_cells(line: str, separator: str) -> list[str]:
    """The cells of a line as they stand there, quotes and blanks included."""
    between = re.escape(separator)
    found: list[str] = re.findall(rf'(?:^|{between})("(?:[^"]|"")*"(?={between}|$)|[^{between}]*)', line)
    return found


def _around(cell: str, is_id: bool) -> tuple[str, str]:
    """What stands before and after a cell's value; blanks around an id are part of it."""
    if len(cell) > 1 and cell.startswith('"') and cell.endswith('"'):
        return '"', '"'
    value = cell.strip(" ")
    if is_id or not value:
        return "", ""
    before, _, after = cell.partition(value)
    return before, after


def _off_on(values: Iterable[str]) -> tuple[str, str]:
    """0 and 1, unless every label of the file is written in another way that says the same."""
    found = {value.strip() for value in values}
    for words in _OFF_ON:
        if found and found <= set(words):
            return words
    if found and all(re.fullmatch(r"[01]\.0*", value) for value in found):
        point = min(found)[1:]
        return f"0{point}", f"1{point}"
    return "0", "1"
