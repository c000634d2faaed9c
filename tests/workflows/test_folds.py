"""What `compete folds` says of rows that belong together."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from compete.reporting.figures.catalogue import Catalogue
from compete.reporting.page.sections import sections_of
from compete.reporting.view import View
from compete.workflows.folds import folds
from support.every_task import task_workspace


@pytest.mark.parametrize(("key", "values"), [("groups", 30), ("column", 3)])
def test_a_declared_group_is_not_taken_for_one_text(tmp_path: Path, key: str, values: int) -> None:
    workspace = task_workspace(tmp_path, "regression")
    train = pd.read_csv(tmp_path / "train.csv")
    train.loc[:14, "text"] = "always the same words"
    train["who"] = [number % values for number in range(len(train))]
    train.to_csv(tmp_path / "train.csv", index=False)
    text = workspace.declaration.read_text(encoding="utf-8")
    text = text.replace('text = "text"', 'text = "text"\nlabels = ["mood"]').replace("k = 3", f'k = 3\n{key} = "who"')
    workspace.declaration.write_text(text, encoding="utf-8")
    said: list[str] = []
    found = folds(workspace, say=said.append)
    (alike,) = (sentence for sentence in said if "always the same words" in sentence)
    share = " and share a fold" if key == "groups" else ""
    assert alike == f"15 rows have nearly the same text{share}: 'always the same words'"
    assert any("of 300 rows have nearly the same text as a row of another fold" in each for each in said) is (
        key == "column"
    )
    assert len(found.rates) == 0 and found.rows[0] == 300
    data = sections_of(View(workspace), Catalogue(), {})[0]
    assert ("training rows that nearly repeat another", "14") in [tuple(row) for row in data.tables[0].rows]
