from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compete.competition.layouts import Layout, LayoutName
from compete.competition.task import Task, TaskName
from compete.errors import SubmissionError
from compete.submissions.cells import plain_number
from compete.submissions.csv_file import check, fitted, read_values, render
from compete.submissions.form import Form

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r\n", exclude_categories=["Zs", "Cc"]), min_size=1
)
IDS = st.lists(NAMES, min_size=1, max_size=5, unique=True)
ON_DISK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def form_of(layout: Layout, ids: list[str], task: Task, decisions: bool) -> Form:
    """A form of that layout, its id first."""
    if layout.name == "columns":
        return Form(["<id>", *task.outputs], ids, decisions, layout=layout, task=task)
    if layout.name != "long":
        return Form(["<id>", layout.column], ids, decisions, layout=layout, task=task)
    rows = [(name, output) for output in task.outputs for name in ids]
    long = replace(layout, rows=rows, keys=rows, key_columns=("<id>", "<output>"))
    return Form(["<id>", "<output>", layout.column], ids, decisions, layout=long, task=task)


def round_trip(folder: Path, form: Form, values: NDArray[np.generic]) -> NDArray[np.float64]:
    """What is read of what was written, in the order of the values."""
    path = folder / "written.csv"
    path.write_bytes(render(form, form.ids, form.labels, values))
    read = check(path, form).values
    assert read.equals(read_values(path, form))
    assert fitted(path, form) == (path.read_bytes(), "")
    assert list(read.columns) == form.labels
    return read.loc[list(form.ids)].to_numpy()


@st.composite
def decided(draw: st.DrawFn) -> tuple[Form, NDArray[np.int8]]:
    name: TaskName = draw(st.sampled_from(["multilabel", "multiclass"]))
    outputs = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    ids = draw(IDS)
    layouts: list[LayoutName] = ["columns", "long", "list" if name == "multilabel" else "class"]
    layout = Layout(draw(st.sampled_from(layouts)), "<said>", "json")
    if name == "multiclass":
        place = draw(st.lists(st.integers(0, len(outputs) - 1), min_size=len(ids), max_size=len(ids)))
        values = np.eye(len(outputs), dtype=np.int8)[place]
    else:
        cells = draw(st.lists(st.integers(0, 1), min_size=len(ids) * len(outputs), max_size=len(ids) * len(outputs)))
        values = np.array(cells, dtype=np.int8).reshape(len(ids), -1)
    return form_of(layout, ids, Task(name, tuple(outputs)), True), values


@ON_DISK
@given(case=decided())
def test_decisions_come_back_from_every_form(tmp_path: Path, case: tuple[Form, NDArray[np.int8]]) -> None:
    form, values = case
    assert np.array_equal(round_trip(tmp_path, form, values), values)


@ON_DISK
@given(
    layout=st.sampled_from(["columns", "long"]),
    kind=st.sampled_from([np.float32, np.float64]),
    task=st.sampled_from(["regression", "ordinal", "multilabel", "multiclass"]),
    data=st.data(),
)
def test_numbers_come_back_to_the_last_digit(
    tmp_path: Path, layout: LayoutName, kind: type, task: TaskName, data: st.DataObject
) -> None:
    outputs, ids = data.draw(st.lists(NAMES, min_size=2, max_size=4, unique=True)), data.draw(IDS)
    probabilities = task.startswith("multi")
    number = st.floats(
        0 if probabilities else None, 1 if probabilities else None, width=32, allow_nan=False, allow_infinity=False
    )
    size = len(ids) * len(outputs)
    flat: NDArray[np.float64] = np.array(data.draw(st.lists(number, min_size=size, max_size=size)), dtype=kind)
    values = flat.reshape(len(ids), -1)
    form = form_of(Layout(layout, "<said>"), ids, Task(task, tuple(outputs), (0.0, 1.0)), False)
    assert np.array_equal(round_trip(tmp_path, form, values).astype(kind), values)


@ON_DISK
@given(
    grades=st.lists(st.floats(-9, 9, width=16), min_size=2, max_size=6, unique=True).map(sorted), data=st.data(), n=IDS
)
def test_grades_come_back(tmp_path: Path, grades: list[float], data: st.DataObject, n: list[str]) -> None:
    places = data.draw(st.lists(st.integers(0, len(grades) - 1), min_size=len(n), max_size=len(n)))
    values: NDArray[np.float32] = np.array(grades, dtype=np.float32)[places].reshape(-1, 1)
    form = form_of(Layout(), n, Task("ordinal", ("<grade>",), tuple(grades)), True)
    assert np.array_equal(round_trip(tmp_path, form, values).astype(np.float32), values)


@ON_DISK
@given(data=st.data(), ids=IDS, most=st.integers(1, 4))
def test_a_ranking_comes_back_in_its_order(tmp_path: Path, data: st.DataObject, ids: list[str], most: int) -> None:
    outputs = [f"label{number}" for number in range(4)]
    rows = data.draw(st.lists(st.permutations(range(4)), min_size=len(ids), max_size=len(ids)))
    values = np.array(rows, dtype=np.float32) / 4
    form = form_of(Layout("list", "<said>", " ", most=most), ids, Task("multiclass", tuple(outputs)), False)
    read = round_trip(tmp_path, form, values)
    assert np.array_equal(np.argsort(-read, kind="stable")[:, :most], np.argsort(-values)[:, :most])
    assert (read > 0).sum() == most * len(ids)


CLASS = form_of(Layout("class", "said"), ["b1", "b2"], Task("multiclass", ("no", "yes")), True)
LIST = form_of(Layout("list", "said", "|"), ["b1", "b2"], Task("multilabel", ("joy", "anger")), True)
RANKED = form_of(Layout("list", "said", " ", most=2), ["b1", "b2"], Task("multiclass", ("a", "b", "c")), False)
LONG = form_of(Layout("long", "said"), ["b1", "b2"], Task("regression", ("x", "y")), False)
ONE_HOT = form_of(Layout(), ["b1", "b2"], Task("multiclass", ("no", "yes")), True)
GRADES = form_of(Layout(), ["b1", "b2"], Task("ordinal", ("grade",), (-1.0, 0.0, 1.5)), True)


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        (CLASS, "<id>,said\nb1,no\nb2,maybe\n", r"row 2 \(b2\): said is 'maybe', expected one of no, yes"),
        (CLASS, "<id>,said\nb1,no\nb2,\n", r"row 2 \(b2\): said is '', expected one of no, yes"),
        (CLASS, "<id>,said\nb1,no\nb1,no\n", r"other ids \(2 rows"),
        (LIST, "<id>,said\nb1,joy|fear\nb2,\n", r"row 1 \(b1\): said is 'joy\|fear', expected some of joy, anger"),
        (LIST, "<id>,said\nb1,joy|joy\nb2,\n", r"row 1 \(b1\): said is 'joy\|joy', expected every label once"),
        (RANKED, "<id>,said\nb1,a b\nb2,a b c\n", r"row 2 \(b2\): said is 'a b c', expected 1 to 2 of them"),
        (RANKED, "<id>,said\nb1,a b\nb2,\n", r"row 2 \(b2\): said is '', expected 1 to 2 of them"),
        (
            LONG,
            "<id>,<output>,said\nb1,x,1\nb2,x,2\nb1,y,\nb2,y,4\n",
            r"row 3 \(b1, y\): said is '', expected a number",
        ),
        (LONG, "<id>,<output>,said\nb1,x,1\nb2,x,2\nb1,y,inf\nb2,y,4\n", r"said is 'inf', expected a number"),
        (LONG, "<id>,<output>,said\nb1,x,1\nb2,x,2\nb1,y,3\nb1,y,4\n", r"other ids \(4 rows"),
        (LONG, "<id>,<output>,said\nb1,x,1\nb2,x,2\nb1,y,3\n", r"other ids \(3 rows, expected 4\)"),
        (ONE_HOT, "<id>,no,yes\nb1,1,0\nb2,1,1\n", r"b2 has 2 classes that are 1, expected one"),
        (ONE_HOT, "<id>,no,yes\nb1,0,0\nb2,0,1\n", r"b1 has 0 classes that are 1, expected one"),
        (GRADES, "<id>,grade\nb1,1.5\nb2,1\n", r"row 2 \(b2\): grade is '1', expected a grade: -1, 0, 1\.5"),
        (GRADES, "<id>,grade\nb1,1.5\nb2,nan\n", r"row 2 \(b2\): grade is 'nan', expected a grade"),
    ],
)
def test_what_cannot_be_is_named_by_its_row(tmp_path: Path, form: Form, text: str, said: str) -> None:
    path = tmp_path / "written.csv"
    path.write_text(text, encoding="utf-8")
    for read in (check, fitted):
        with pytest.raises(SubmissionError, match=said):
            read(path, form)


def test_a_class_is_the_most_probable_and_labels_are_those_of_one_half(tmp_path: Path) -> None:
    probabilities = np.array([[0.3, 0.7], [0.6, 0.4]])
    assert render(CLASS, CLASS.ids, CLASS.labels, probabilities).decode() == "<id>,said\nb1,yes\nb2,no\n"
    assert render(LIST, LIST.ids, LIST.labels, probabilities).decode() == "<id>,said\nb1,anger\nb2,joy\n"
    assert render(LIST, LIST.ids, LIST.labels, np.ones((2, 2))).decode() == "<id>,said\nb1,joy|anger\nb2,joy|anger\n"


def test_a_long_file_made_elsewhere_is_put_in_the_samples_order(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("<output>,said,<id>\ny,4.50,b2\nx,1,b1\nx,2,b2\ny,3,b1\n", encoding="utf-8")
    content, said = fitted(path, LONG)
    assert content.decode() == "<id>,<output>,said\nb1,x,1\nb2,x,2\nb1,y,3\nb2,y,4.50\n"
    assert "its rows and its columns had" in said
    assert read_values(path, LONG).loc[["b1", "b2"]].to_numpy().tolist() == [[1, 3], [2, 4.5]]


@pytest.mark.parametrize(("digits", "text"), [(None, "0.123456"), (2, "0.12"), (4, "0.1235")])
def test_numbers_have_the_samples_digits(digits: int | None, text: str) -> None:
    form = form_of(Layout(digits=digits), ["b1"], Task("regression", ("x",)), False)
    assert render(form, ["b1"], ["x"], np.array([[0.123456]])).decode() == f"<id>,x\nb1,{text}\n"


def test_a_number_is_written_as_short_as_it_can_be() -> None:
    assert [plain_number(value) for value in (-3.0, 0.0, 0.5, 1 / 3)] == ["-3", "0", "0.5", "0.3333333333333333"]


def test_one_class_in_every_row_is_a_mistake_and_a_class_in_none_is_not(tmp_path: Path) -> None:
    path = tmp_path / "written.csv"
    three = Task("multiclass", ("a", "b", "c"))
    form = form_of(Layout("class", "said"), ["b1", "b2"], three, True)
    for text, constant in (("a\nb2,b", []), ("a\nb2,a", ["a", "b", "c"])):
        path.write_text(f"<id>,said\nb1,{text}\n", encoding="utf-8")
        assert check(path, form).constant_labels() == constant


def test_values_are_a_table_by_id(tmp_path: Path) -> None:
    path = tmp_path / "written.csv"
    path.write_text("<id>,said\nb1,no\nb2,yes\n", encoding="utf-8")
    wanted = pd.DataFrame([[1.0, 0.0], [0.0, 1.0]], index=["b1", "b2"], columns=["no", "yes"])
    pd.testing.assert_frame_equal(check(path, CLASS).values, wanted)
