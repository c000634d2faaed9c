"""Ids that do not fit: what happened to them on their way through somebody's tools; ids that only number rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from compete.competition.column_names import bare


def number_their_rows(ids: Sequence[str]) -> bool:
    """Whether ids are the numbers of rows, in any order and perhaps with gaps: they name a row in one file only."""
    return all(_is_number(name) for name in ids) and max(int(name) for name in ids) <= 2 * len(ids)


def what_happened_to(found: Collection[str], expected: Collection[str], id_column: str) -> str:
    """A sentence on why `found` are not the `expected` ids, and what would mend it; empty where nobody can tell."""
    known = set(expected)
    strange = [name for name in found if name not in known]
    as_text = f'read them as text, pd.read_csv(..., dtype={{"{id_column}": str}}), and save again'
    short = {_without_zeros(name): name for name in expected}
    loose = {bare(name): name for name in expected}
    for what, remedy, meant in (
        ("have blanks around them or are in another case", "write them as they are", _meant(strange, loose, bare)),
        ("lost their leading zeros", as_text, _meant(strange, short, str)),
        ("were read as floats", as_text, _meant(strange, short, _whole)),
    ):
        if 2 * len(meant) > len(strange):
            first = next(iter(meant))
            return f"The ids {what} ({first!r} for {meant[first]!r}): {remedy}."
    rounded = [name for name in strange if _in_powers(name)]
    if rounded:
        return f"The ids were read as floats and lost digits ({rounded[0]!r}): {as_text}."
    if strange and set(found) in ({str(row + first) for row in range(len(found))} for first in (0, 1)):
        return f"The ids are row numbers: save the column {id_column!r} of your rows beside the values."
    return ""


def _meant(strange: Sequence[str], names: Mapping[str, str], written: Callable[[str], str]) -> dict[str, str]:
    """The id that each of `strange` stands for, if it is one of `names` once it is `written` otherwise."""
    return {name: names[written(name)] for name in strange if written(name) in names}


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _without_zeros(name: str) -> str:
    return name.lstrip("0") or "0" if _is_number(name) else name


def _whole(name: str) -> str:
    """12 for 12.0 and for 1.2e1; any other name as it is."""
    try:
        number = float(name)
    except ValueError:
        return name
    return str(int(number)) if number.is_integer() else name


def _in_powers(name: str) -> bool:
    mantissa, _, power = name.lower().partition("e+")
    return power.isdecimal() and mantissa.replace(".", "", 1).isdecimal()
