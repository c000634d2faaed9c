from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from compete.competition.reading import read_table
from compete.competition.saved_index import saved_index, without_saved_index


@pytest.mark.parametrize(("label", "name"), [(None, ""), ("index", "index"), ("Unnamed: 0", "Unnamed: 0")])
def test_what_pandas_saves_is_known_and_left_out(tmp_path: Path, label: str | None, name: str) -> None:
    pd.DataFrame({"id": ["a"], "joy": [0.5]}).to_csv(tmp_path / "x.csv", index_label=label)
    table = read_table(tmp_path / "x.csv")
    assert saved_index(table, ["id", "joy"]) == name
    left, dropped = without_saved_index(table, ["joy", "id"])
    assert (list(left.columns), dropped) == (["id", "joy"], name)


def test_it_stays_where_it_is_somebodys_or_something_else_does_not_fit() -> None:
    table = pd.DataFrame({"index": ["0"], "id": ["a"], "joy": ["1"]})
    assert saved_index(table, ["index"]) is None
    assert without_saved_index(table, ["index", "id", "joy"]) == (table, None)
    assert without_saved_index(table, ["id", "anger"])[1] is None
    assert saved_index(table[["id", "index"]], []) is None  # pandas writes it first
