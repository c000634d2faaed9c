"""A text with its row's cells behind it, and apart again."""

from __future__ import annotations

from compete.competition.text_columns import PAIR, split_features, with_features


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
