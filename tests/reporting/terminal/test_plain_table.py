from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from compete.reporting.terminal.plain_table import ByWidth, PlainTable, broken, in_blocks


def table(*names: str, numbers: tuple[str, ...] = ()) -> PlainTable:
    made = PlainTable(*names, numbers=numbers)
    made.add_row("abcdefghijklmnopqrstuvwxyz", "0.1234567890")
    return made


def show(what: RenderableType, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return out.getvalue().splitlines()


def test_names_make_way_for_numbers() -> None:
    lines = show(table("name", numbers=("score",)), width=24)
    assert sum("0.1234567890" in line for line in lines) == 1
    assert "".join(line[:10].strip() for line in lines[2:]) == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(("width", "shown"), [(80, "wide"), (79, "narrow")])
def test_the_wide_table_is_shown_where_there_is_room(width: int, shown: str) -> None:
    either = ByWidth(table("wide", numbers=("score",)), table("narrow", numbers=("score",)), columns=80)
    assert show(either, width)[0].startswith(shown)


@pytest.mark.parametrize(("count", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (11, 4), (12, 1)])
def test_blocks_are_few_nearly_alike_and_leave_nothing_out(count: int, most: int) -> None:
    blocks = list(in_blocks(count, most))
    assert [number for block in blocks for number in block] == list(range(count))
    sizes = [len(block) for block in blocks]
    assert len(blocks) == -(-count // most)
    assert max(sizes, default=0) <= most
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_only_a_long_title_is_broken() -> None:
    assert (broken("samples-Jaccard"), broken("macro-F1")) == ("samples-\nJaccard", "macro-F1")
