from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compete.competition.text_columns import PAIR, TextColumns, as_one, segments, split_features, with_features

COLUMNS = {"title": ["A", "", "{body}"], "body": ["b", "c", "x"], "0": ["n", "m", "o"]}


@pytest.mark.parametrize(
    ("declared", "names", "texts"),
    [
        ("body", ("body",), ["b", "c", "x"]),
        ("{title}: {body}", ("title", "body"), ["A: b", ": c", "{body}: x"]),
        ("{body} {title} {body}", ("body", "title"), ["b A b", "c  c", "x {body} x"]),
        ("{0}!", ("0",), ["n!", "m!", "o!"]),
        (["title", "body"], ("title", "body"), [f"A{PAIR}b", f"{PAIR}c", f"{{body}}{PAIR}x"]),
    ],
)
def test_a_text_is_a_column_a_template_or_a_pair(
    declared: str | list[str], names: tuple[str, ...], texts: list[str]
) -> None:
    columns = TextColumns.of(declared)
    assert columns.names == names
    assert columns.is_pair == isinstance(declared, list)
    assert columns.texts(COLUMNS) == texts


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_a_pair_comes_apart_where_it_was_put_together(cells: list[str]) -> None:
    """Whatever the cells hold: the sign between them is a blank in a text that has it."""
    (text,) = TextColumns(("a", "b")).texts({"a": [cells[0]], "b": [cells[1]]})
    assert segments(text) == tuple(cell.replace(PAIR, " ") for cell in cells)
    assert as_one(text) == "\n".join(cell.replace(PAIR, " ") for cell in cells)


def test_a_text_of_one_column_is_one_segment() -> None:
    assert segments("one text") == ("one text",)
    assert as_one("one text") == "one text"


def test_cells_stand_behind_their_text_in_the_order_of_their_columns_names() -> None:
    joined = with_features(["one", f"a{PAIR}b"], {"upvotes": ["3", ""], "topic": ["x", "y z"]})
    assert [split_features(text) for text in joined] == [("one", ("x", "3")), (f"a{PAIR}b", ("y z", ""))]
    other_order = with_features(["one", f"a{PAIR}b"], {"topic": ["x", "y z"], "upvotes": ["3", ""]})
    assert joined == other_order


def test_a_separator_in_a_text_or_a_cell_makes_no_cell_of_its_own() -> None:
    [joined] = with_features(["on\x1ee"], {"topic": ["x\x1ey"]})
    assert split_features(joined) == ("on e", ("x y",))


def test_a_text_without_cells_is_itself() -> None:
    assert with_features(["one", ""], {}) == ["one", ""]
    assert split_features("one") == ("one", ())
