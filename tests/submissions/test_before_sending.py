from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.data import Competition, load_competition
from compete.competition.layouts import Layout
from compete.competition.manner import PLAIN
from compete.competition.metrics import METRICS
from compete.competition.task import Task
from compete.errors import SubmissionError
from compete.submissions.before_sending import (
    agreement,
    refuse_constant,
    refuse_repeated,
    refuse_sample,
    refuse_undefined,
)
from compete.submissions.csv_file import CheckedFile, check, render
from compete.submissions.form import Form, submission_form
from compete.submissions.ledger import Entry, NewSubmission, Outcome

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
ROWS, LABELS = 1000, ["joy", "anger"]
IDS = [f"b{number:04d}" for number in range(ROWS)]
FORM = Form(["id", *LABELS], IDS, decisions=True)
Cells = NDArray[np.float64]


def cells(changed: int = 0) -> Cells:
    """2000 cells of both values, of which the first `changed` are turned over."""
    values: Cells = (np.arange(2 * ROWS) % 3 == 0).astype(np.float64)
    values[:changed] = 1 - values[:changed]
    return values.reshape(ROWS, 2)


def write(folder: Path, name: str, values: Cells, form: Form = FORM) -> CheckedFile:
    path = folder / name
    path.write_bytes(render(form, form.ids, form.labels, values))
    return check(path, form)


def entry(number: int, path: Path, content: str = "another") -> Entry:
    submission = NewSubmission(
        target="local",
        file=path.name,
        content=content,
        source="stack logistic",
        metric="f1_macro",
        validation=0.5,
        fold_plan="",
        probabilities="",
        message="",
    )
    return Entry(number, NOON, submission, Outcome("sent"), NOON)


def refused(file: CheckedFile, earlier: Sequence[Entry]) -> str:
    with pytest.raises(SubmissionError) as caught:
        refuse_repeated(file, file.content, earlier, FORM)
    return str(caught.value)


def test_the_sample_is_refused_and_a_file_one_cell_away_is_not(competition: Competition) -> None:
    form = submission_form(competition)
    path, sample = competition.workspace.root / "mine.csv", competition.workspace.root / "sample.csv"
    path.write_text(sample.read_text().replace(",0", ",0.0"), encoding="utf-8")  # written in another way
    with pytest.raises(SubmissionError, match=r"mine\.csv equals the sample submission sample\.csv"):
        refuse_sample(competition, check(path, form), form)
    path.write_text(sample.read_text().replace(",0,0,0\n", ",1,0,0\n", 1), encoding="utf-8")
    refuse_sample(competition, check(path, form), form)


def test_without_a_sample_there_is_nothing_to_equal(competition: Competition) -> None:
    toml, sample = competition.workspace.declaration, competition.workspace.root / "sample.csv"
    toml.write_text(toml.read_text().replace('sample_submission = "sample.csv"\n', ""), encoding="utf-8")
    bare = load_competition(competition.workspace)
    form = submission_form(bare)
    refuse_sample(bare, check(sample, form), form)


def test_a_label_with_one_value_is_refused_by_name(tmp_path: Path) -> None:
    values = cells()
    refuse_constant(write(tmp_path, "001.csv", values), ())
    values[:, 1] = 1
    with pytest.raises(SubmissionError, match=r"001\.csv: anger has the same value .*--allow-constant"):
        refuse_constant(write(tmp_path, "001.csv", values), ())
    values[:, 0] = 0
    with pytest.raises(SubmissionError, match=r"joy, anger have the same value"):
        refuse_constant(write(tmp_path, "001.csv", values), ())


def test_a_number_that_the_metric_is_not_defined_for_is_refused_by_row(tmp_path: Path) -> None:
    form = Form(["id", "price"], ["b0", "b1", "b2"], decisions=False, task=Task("regression", ("price",)))
    file = write(tmp_path, "a.csv", np.array([[0.0], [-0.25], [2.0]]), form)
    with pytest.raises(SubmissionError, match=r"row 2 \(b1\): price is -0.25, and RMSLE is not defined below 0"):
        refuse_undefined(file, METRICS["rmsle"])
    refuse_undefined(file, METRICS["rmse"])
    refuse_undefined(write(tmp_path, "b.csv", np.array([[0.0], [0.25], [2.0]]), form), METRICS["rmsle"])


def test_a_label_that_nothing_is_learnt_of_may_have_one_value(tmp_path: Path) -> None:
    values = cells()
    values[:, :2] = 0
    refuse_constant(write(tmp_path, "001.csv", values), ("joy", "anger"))
    with pytest.raises(SubmissionError, match="anger has the same value"):
        refuse_constant(write(tmp_path, "001.csv", values), ("joy",))


def test_the_same_content_is_refused_though_its_file_is_gone(tmp_path: Path) -> None:
    file = write(tmp_path, "002.csv", cells())
    same = entry(7, tmp_path / "001_gone.csv", file.content)
    message = refused(file, [same, entry(8, tmp_path / "003_gone.csv")])
    assert "the same content was submitted before: number 7, 001_gone.csv, 2024-03-01 12:00 UTC" in message
    assert "--again" in message


@pytest.mark.parametrize(("changed", "share"), [(0, "100.00 %"), (1, "99.95 %")])
def test_nearly_the_same_is_refused_and_says_how_near(tmp_path: Path, changed: int, share: str) -> None:
    earlier = entry(3, write(tmp_path, "001.csv", cells()).path)
    message = refused(write(tmp_path, "002.csv", cells(changed)), [earlier])
    assert f"{share} of the cells are those of number 3, 001.csv" in message


def test_what_differs_in_two_cells_of_2000_is_another_submission(tmp_path: Path) -> None:
    file, earlier = write(tmp_path, "002.csv", cells(2)), entry(3, write(tmp_path, "001.csv", cells()).path)
    assert agreement(file, tmp_path / "001.csv", FORM) == 0.999
    refuse_repeated(file, file.content, [earlier], FORM)


def test_of_several_the_latest_is_named(tmp_path: Path) -> None:
    write(tmp_path, "001.csv", cells()), write(tmp_path, "002.csv", cells())
    earlier = [entry(number, tmp_path / f"00{number}.csv") for number in (1, 2)]
    assert "of number 2, 002.csv" in refused(write(tmp_path, "003.csv", cells()), earlier)


def test_a_file_is_not_compared_with_itself_or_with_what_is_gone(tmp_path: Path) -> None:
    file = write(tmp_path, "001.csv", cells())
    outside = replace(entry(3, file.path), submission=replace(entry(3, file.path).submission, file="", content=""))
    earlier = [entry(1, file.path), entry(2, tmp_path / "gone.csv"), outside]
    refuse_repeated(file, file.content, earlier, FORM)


def test_rows_and_columns_are_compared_by_name(tmp_path: Path) -> None:
    turned = Form(["id", *reversed(LABELS)], IDS[::-1], decisions=True)
    file, other = write(tmp_path, "001.csv", cells()), write(tmp_path, "002.csv", cells()[::-1, ::-1], turned)
    assert agreement(file, other.path, FORM) == 1.0


def test_probabilities_that_print_alike_are_equal(tmp_path: Path) -> None:
    near, far = cells() * 0.5 + 0.0004, cells() * 0.5 + 0.0006
    form = replace(FORM, decisions=False)
    file = write(tmp_path, "001.csv", cells() * 0.5, form)
    assert agreement(file, write(tmp_path, "002.csv", near, form).path, form) == 1.0
    assert agreement(file, write(tmp_path, "003.csv", far, form).path, form) == 0.0


@pytest.mark.parametrize(
    "other",
    [
        "id,joy,fear\nb0000,0,1\n",
        "name,joy,anger\nb0000,0,1\n",
        "id,joy,anger\nb0000,0,1\n",
        "",
        "id;joy;anger\nb0000;0;1\n",
    ],
)
def test_a_file_of_another_form_agrees_in_nothing(tmp_path: Path, other: str) -> None:
    file = write(tmp_path, "001.csv", cells())
    (tmp_path / "002.csv").write_text(other, encoding="utf-8")
    assert agreement(file, tmp_path / "002.csv", FORM) == 0.0


def test_words_in_the_place_of_numbers_agree_in_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, "001.csv", cells())
    (tmp_path / "002.csv").write_text(file.path.read_text().replace(",1", ",yes"), encoding="utf-8")
    assert agreement(file, tmp_path / "002.csv", FORM) == 0.0


def test_a_sample_with_semicolons_is_recognised(competition: Competition) -> None:
    root = competition.workspace.root
    text = (root / "sample.csv").read_text()
    (root / "mine.csv").write_text(text, encoding="utf-8")
    (root / "sample.csv").write_text(text.replace(",", ";"), encoding="utf-8")
    form = submission_form(load_competition(competition.workspace))
    with pytest.raises(SubmissionError, match="equals the sample submission"):
        refuse_sample(competition, check(root / "mine.csv", replace(form, manner=PLAIN)), form)


def test_a_file_with_a_row_twice_agrees_in_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, "001.csv", cells())
    (tmp_path / "002.csv").write_text(file.path.read_text() + "b0000,0,1\n", encoding="utf-8")
    assert agreement(file, tmp_path / "002.csv", FORM) == 0.0


def test_classes_agree_by_rows_and_numbers_on_their_scale(tmp_path: Path) -> None:
    """Of ten rows one is of another class, which is 2 of 100 cells: what is scored are rows."""
    ids = [f"b{number}" for number in range(10)]
    classes = Form(["id", "c"], ids, True, layout=Layout("class", "c"), task=Task("multiclass", tuple("abcdefghij")))
    numbers = Form(["id", "x"], ids, False, task=Task("regression", ("x",)))
    for form, mine, other in (
        (classes, [*"abcdefghij"], [*"abcdefghia"]),
        (numbers, [str(1e6 * n) for n in range(10)], [*(str(1e6 * n + 100) for n in range(9)), "5e6"]),
    ):
        for name, cells in (("mine", mine), ("other", other)):
            lines = [f"{key},{cell}" for key, cell in zip(ids, cells, strict=True)]
            (tmp_path / f"{name}.csv").write_text("\n".join([",".join(form.columns), *lines, ""]), encoding="utf-8")
        assert agreement(check(tmp_path / "mine.csv", form), tmp_path / "other.csv", form) == 0.9


@pytest.mark.parametrize(
    ("form", "cell", "said"),
    [
        (Form(["id", "x"], ["b1", "b2"], False, task=Task("regression", ("x",))), "3.5", "row. --allow-constant sends"),
        (
            Form(["id", "c"], ["b1", "b2"], True, layout=Layout("class", "c"), task=Task("multiclass", ("a", "b"))),
            "a",
            "says the same of every row; --allow-constant sends",
        ),
    ],
)
def test_what_is_the_same_in_every_row_is_refused_in_every_task(
    tmp_path: Path, form: Form, cell: str, said: str
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{','.join(form.columns)}\nb1,{cell}\nb2,{cell}\n", encoding="utf-8")
    with pytest.raises(SubmissionError, match=said):
        refuse_constant(check(path, form), ())
