"""The text of a row, made of one column or of several.

A pair, which encoders read as two segments, is one string with a separator that no file may hold: so texts stay strings
everywhere, in files, fingerprints and models that know nothing of pairs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The "unit separator" of ASCII, which is what it is here; in texts that are read it becomes a blank.
PAIR = "\x1f"
# The "record separator": stands before every cell that follows a text, for models that want cells.
_CELL = "\x1e"
_COLUMN = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class TextColumns:
    """Which columns make the text, and how."""

    names: tuple[str, ...]
    """Columns in the order they are read in, each once."""
    template: str | None = None
    """With {column} for what a column holds; None for one column as it is, or for a pair."""

    @classmethod
    def of(cls, declared: str | Sequence[str]) -> TextColumns:
        """What [data] text says: a column, a template of columns, or two columns."""
        if not isinstance(declared, str):
            return cls(tuple(declared))
        names = tuple(dict.fromkeys(_COLUMN.findall(declared)))
        return cls(names, declared) if names else cls((declared,))

    @property
    def is_pair(self) -> bool:
        return self.template is None and len(self.names) == 2

    def texts(self, columns: Mapping[str, Sequence[str]]) -> list[str]:
        """The text of every row, from its cells by column; a missing value is an empty cell."""
        cells = {name: [_without_separator(cell) for cell in columns[name]] for name in self.names}
        if self.template is None:
            return [PAIR.join(row) for row in zip(*cells.values(), strict=True)]
        template = self.template
        rows = (dict(zip(self.names, row, strict=True)) for row in zip(*cells.values(), strict=True))
        # Not str.format: a column may be called 0, or hold a dot.
        return [_COLUMN.sub(lambda found, row=row: row[found[1]], template) for row in rows]  # type: ignore[misc]


def _without_separator(cell: str) -> str:
    return cell.replace(PAIR, " ") if PAIR in cell else cell


def segments(text: str) -> tuple[str, ...]:
    """The two texts of a pair, or the one text."""
    return tuple(text.split(PAIR))


def as_one(text: str) -> str:
    """A pair as one text, for what reads no pairs: a line each."""
    return text.replace(PAIR, "\n")


def with_features(texts: Sequence[str], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Every text with its row's cells behind it, in the order of the columns' names; `split_features` undoes it.

    Only models that want columns are handed such texts. A separator that stands in a text or a cell becomes a blank.
    """
    cells = [columns[name] for name in sorted(columns)]
    return [_CELL.join(part.replace(_CELL, " ") for part in row) for row in zip(texts, *cells, strict=True)]


def split_features(text: str) -> tuple[str, tuple[str, ...]]:
    """The text itself, and the cells behind it."""
    alone, *cells = text.split(_CELL)
    return alone, tuple(cells)
