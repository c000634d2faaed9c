"""What a pack knows of a competition, written and read; and the form of a submission of rows that nobody has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.code_competitions.facts import Facts, read_facts, write_facts
from compete.competition.feature_columns import FeatureColumns
from compete.competition.layouts import COLUMNS, JSON, Layout
from compete.competition.manner import Manner
from compete.competition.rare_labels import Learnt
from compete.competition.task import Task
from compete.errors import PackError
from compete.submissions.csv_file import check, render
from compete.submissions.form import Form

TASK = Task("multilabel", ("joy", "anger"))
NEW = ["z9", "z1", "z5"]
BY_ID = [(name, output) for name in ("a", "b") for output in TASK.outputs]
BY_OUTPUT = [(name, output) for output in reversed(TASK.outputs) for name in ("a", "b")]
LAYOUTS = {
    "columns": (("id", "joy", "anger"), COLUMNS, "id,joy,anger\nz9,1,0\nz1,0,1\nz5,1,1\n"),
    "list": (("id", "labels"), Layout("list", "labels", JSON), 'id,labels\nz9,"[""joy""]"\nz1,"[""anger""]"\n'),
    "long by id": (
        ("key", "value"),
        Layout("long", "value", rows=BY_ID, keys=[(f"{a}_{b}",) for a, b in BY_ID], key_columns=("key",)),
        "key,value\nz9_joy,1\nz9_anger,0\nz1_joy,0\nz1_anger,1\n",
    ),
    "long by output": (
        ("id", "what", "value"),
        Layout("long", "value", rows=BY_OUTPUT, keys=BY_OUTPUT, key_columns=("id", "what")),
        "id,what,value\nz9,anger,0\nz1,anger,1\nz5,anger,1\nz9,joy,1\n",
    ),
}


def facts(columns: tuple[str, ...], layout: Layout) -> Facts:
    manner = Manner(separator=",", off_on=("0", "1"), around=(("", ""),) * len(columns))
    return Facts(
        TASK,
        TASK.outputs,
        Learnt(TASK.outputs, np.array([True, False]), 0.25),
        Form(columns, ["a", "b"], True, 0, manner, layout, TASK),
        FeatureColumns((None, ("x", "y"))),
        True,
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_rows_that_nobody_has_seen_are_written_as_the_sample_is(name: str, tmp_path: Path) -> None:
    columns, layout, expected = LAYOUTS[name]
    write_facts(tmp_path, facts(columns, layout))
    read = read_facts(tmp_path)
    assert (read.task, read.decides, read.learnt.constant) == (TASK, True, 0.25)
    assert read.learnt.mask.tolist() == [True, False]
    assert read.features == FeatureColumns((None, ("x", "y")))
    form = read.form_of(NEW)
    content = render(form, NEW, TASK.outputs, np.array([[1, 0], [0, 1], [1, 1]]))
    assert content.decode().startswith(expected)
    (tmp_path / "out.csv").write_bytes(content)
    check(tmp_path / "out.csv", form)


def test_a_sample_that_shows_no_way_to_name_rows_is_said(tmp_path: Path) -> None:
    layout = Layout("long", "value", rows=BY_ID, keys=[("1",), ("2",), ("3",), ("4",)], key_columns=("key",))
    with pytest.raises(PackError, match="give it with --sample"):
        facts(("key", "value"), layout).form_of(NEW)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"task": 1}'])
def test_what_is_no_record_of_facts_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "facts.json").write_text(content, encoding="utf-8")
    with pytest.raises(PackError, match=r"facts\.json cannot be read"):
        read_facts(tmp_path)
