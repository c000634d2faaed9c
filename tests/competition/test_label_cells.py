from __future__ import annotations

import ast
from pathlib import Path

import pandas as pd
import pytest

from compete.competition.label_cells import held, holds_labels, zeros_and_ones


def test_zero_and_one_in_the_ways_that_people_write_them() -> None:
    cells = pd.Series(["0", "1", "0.", "1.", "0.0", "1.0", "False", "TRUE", "no", "Yes", " 1 "])
    assert zeros_and_ones(cells).tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1]
    assert zeros_and_ones(pd.Series(["", "2", "-1", "0.5", "maybe", "10"])).isna().all()


def test_a_column_of_labels_has_nothing_else() -> None:
    assert holds_labels(pd.Series(["0", "1.0", "yes"]))
    assert holds_labels(pd.Series(["0", "0"]))
    assert not holds_labels(pd.Series(["0", ""]))
    assert not holds_labels(pd.Series([], dtype=str))


OTHERS = [
    (
        ["joy|anger", "anger", "joy", "fear|joy"],
        "several labels in one cell, parted by a bar",
        ["anger", "fear", "joy"],
    ),
    (["joy, anger", "anger", "joy,fear"], "several labels in one cell, parted by a comma", ["anger", "fear", "joy"]),
    (["2,10", "27", "2", "27,10"], "several labels in one cell", ["label_10", "label_2", "label_27"]),
    (['["joy", "anger"]', "[]", '["fear"]', '["joy"]'], "a list of labels", ["anger", "fear", "joy"]),
    (["['joy' 'anger']", "['fear']"], "a list of labels", ["anger", "fear", "joy"]),
    (['["so so", "anger"]', '["so so"]'], "a list of labels", ["anger", "so so"]),
    (["[0, 1]", "[2]", "[27, 2]"], "a list of labels", ["label_0", "label_1", "label_2", "label_27"]),
    (["[0, 1]", "[1, 0]", "[1, 1]"], "a list of 2 zeros and ones", ["label_0", "label_1"]),
    (["joy", "anger", "joy", "anger"], "one class per row", ["anger", "joy"]),
    (["-1", "2", "-1", "2", "3", "3"], "whole numbers", ["label_-1", "label_2", "label_3"]),
    (["0.25", "0.75", "0.5"], "fractions from 0 to 1", ["emotions"]),
]


@pytest.mark.parametrize(("cells", "what", "columns"), OTHERS)
def test_labels_in_another_form_are_recognised_and_the_line_of_pandas_makes_them(
    tmp_path: Path, cells: list[str], what: str, columns: list[str]
) -> None:
    found = held(pd.Series(cells), "emotions")
    assert found is not None and found.what.startswith(what)
    path = tmp_path / "train.csv"
    pd.DataFrame({"id": range(len(cells)), "emotions": cells}).to_csv(path, index=False)
    names = {"pd": pd, "ast": ast, "train": pd.read_csv(path)}
    exec(found.line, names)
    made = names["train"].drop(columns="id")  # type: ignore[attr-defined]
    assert sorted(made.columns) == columns
    assert all(holds_labels(made[name].astype(str)) for name in made)
    if len(columns) > 1:
        # A row has the labels that its cell names; zeros and ones are labels by place.
        for cell, row in zip(cells, made.to_dict("records"), strict=True):
            if "zeros" in what:
                assert [row["label_0"], row["label_1"]] == ast.literal_eval(cell)
            else:
                bare = [name.removeprefix("label_") for name, value in row.items() if value]
                assert sum(map(len, bare)) == len("".join(c for c in cell if c.isalnum() or c in " -")) - _blanks(cell)
                assert all(name in cell for name in bare)


def _blanks(cell: str) -> int:
    """Blanks that part labels, not words of one."""
    return cell.count(", ") + cell.count("' '")


@pytest.mark.parametrize(
    "cells",
    [
        ["0", "1", "0", "2"],
        ["", "", ""],
        ["a good day, all in all", "how rotten, and furious", "I, for one, like it"],
        ["http://a.b/c", "http://d.e/f", "x"],
    ],
)
def test_what_labels_cannot_be_made_of_is_left_alone(cells: list[str]) -> None:
    assert held(pd.Series(cells), "column") is None
