"""The one look of all tables: no frame, a rule under the header, names that fold and numbers that never do.

Where the encoding of the output has no lines to draw with, rules are of hyphens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

_ASCII_HEAD = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


class PlainTable(Table):
    """Columns are two spaces apart. The first columns are `names`, which fold; `numbers` follow and are never cut."""

    def __init__(self, *names: str, numbers: Sequence[str] = (), **options: Any) -> None:
        super().__init__(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, **options)
        for name in names:
            self.add_column(name, overflow="fold")
        for number in numbers:
            self.add_number(number)

    def add_number(self, title: str) -> None:
        """A column at the right of the others; a title of several words makes way for the names and is broken."""
        self.add_column(title, justify="right", no_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.ascii_only:
            self.box = _ASCII_HEAD
        yield from super().__rich_console__(console, options)


@dataclass(frozen=True)
class ByWidth:
    """`wide` where the terminal has `columns` columns, else `narrow`."""

    wide: Table
    narrow: Table
    columns: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.wide if options.max_width >= self.columns else self.narrow


def in_blocks(count: int, most: int) -> Iterator[range]:
    """0 to count - 1 in as few ranges of at most `most` as there can be, nearly alike in length."""
    blocks = -(-count // most)
    for block in range(blocks):
        yield range(block * count // blocks, (block + 1) * count // blocks)


def broken(title: str) -> str:
    """A long title on two lines: "samples-Jaccard" takes no more room than a number."""
    return title.replace("-", "-\n") if len(title) > 10 else title
