"""Names of columns: of our own that collide with nobody's, and of somebody's that are written in another way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def free_name(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, with as many underscores before it as keep it from being one of `taken`: labels are called anything."""
    while wanted in taken:
        wanted = f"_{wanted}"
    return wanted


def matched(wanted: Sequence[str], found: Sequence[str]) -> dict[str, str]:
    """The column of `found` that is meant by each name of `wanted`; names that nothing stands for are left out.

    A column of that very name, or the only one left that differs from it, and from no other name, in case or in the
    blanks around it.
    """
    meant = {name: name for name in wanted if name in found}
    open_names = [name for name in wanted if name not in meant]
    left = [name for name in found if name not in meant]
    for name in open_names:
        alike = [column for column in left if bare(column) == bare(name)]
        if len(alike) == 1 and sum(bare(name) == bare(other) for other in open_names) == 1:
            meant[name] = alike[0]
    return meant


def otherwise_written(meant: Mapping[str, str], source: str) -> list[str]:
    """A sentence per column that is taken for another name than its own."""
    return [
        f"{source}: the column {column!r} is taken for {name!r}" for name, column in meant.items() if name != column
    ]


def bare(name: str) -> str:
    """A name without what people and tools change in it: case, and blanks around it."""
    return name.strip().casefold()
