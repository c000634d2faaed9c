from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.errors import CompeteError, SubmissionError
from compete.submissions.csv_file import Form, check, constant_labels, render, submission_form

# The sample's columns and rows stand in another order than the labels of train and the rows of test.
DECISIONS = Form(["id", "trust", "joy"], ["b3", "b1", "b2"], decisions=True)
PROBABILITIES = Form(DECISIONS.columns, DECISIONS.ids, decisions=False)
IDS, LABELS = ["b1", "b2", "b3"], ["joy", "trust"]
GOOD = "id,trust,joy\nb3,0,1\nb1,0,1\nb2,1,0\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "001_words.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_land_under_their_label_and_beside_their_id(tmp_path: Path) -> None:
    text = render(DECISIONS, IDS, LABELS, np.array([[1, 0], [0, 1], [1, 0]], dtype=np.int8))
    assert text == GOOD
    check(write(tmp_path, text), DECISIONS)


def test_probabilities_are_written_with_six_digits(tmp_path: Path) -> None:
    values = np.array([[0.1, 0.2], [0.3, 1 / 3], [1e-9, 1.0]], dtype=np.float32)
    text = render(PROBABILITIES, IDS, LABELS, values)
    assert text == "id,trust,joy\nb3,1.000000,0.000000\nb1,0.200000,0.100000\nb2,0.333333,0.300000\n"
    check(write(tmp_path, text), PROBABILITIES)
    with pytest.raises(SubmissionError, match="expected 0 or 1"):
        check(write(tmp_path, text), DECISIONS)


def test_the_form_follows_the_sample_and_the_metric(competition: Competition) -> None:
    root = competition.workspace.root
    ids = sorted(competition.test_ids, reverse=True)
    (root / "sample.csv").write_text("id,trust,joy,anger\n" + "".join(f"{name},0,0,0\n" for name in ids))
    declaration = (root / "competition.toml").read_text()
    changed = load_competition(competition.workspace)
    form = submission_form(changed)
    assert (form.columns, form.labels, form.ids) == (["id", "trust", "joy", "anger"], ["trust", "joy", "anger"], ids)
    assert form.decisions
    (root / "competition.toml").write_text('metric = "log_loss"\n' + declaration)
    assert not submission_form(load_competition(competition.workspace)).decisions
    (root / "competition.toml").write_text(declaration.replace('sample_submission = "sample.csv"\n', ""))
    form = submission_form(load_competition(competition.workspace))
    assert (list(form.columns), form.ids) == (["id", "joy", "anger", "trust"], competition.test_ids)


def test_a_sample_whose_first_column_is_not_the_id_is_refused(competition: Competition) -> None:
    sample = competition.workspace.root / "sample.csv"
    sample.write_text("joy,id,anger,trust\n" + "".join(f"0,{name},0,0\n" for name in competition.test_ids))
    with pytest.raises(SubmissionError, match=r"sample\.csv: the first column is 'joy', expected the id 'id'"):
        submission_form(load_competition(competition.workspace))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("trust,joy", "joy,trust"), "has the columns id, joy, trust, expected id, trust, joy"),
        (lambda t: t.replace("trust,joy", "trust,Joy"), "has the columns id, trust, Joy, expected"),
        (lambda t: t.replace("\n", ",0\n").replace("joy,0", "joy,fear"), "has the columns id, trust, joy, fear"),
        (lambda t: "id,trust,joy\n", "has no rows, expected 3"),
        (lambda t: t.replace("b2,1,0\n", ""), r"has other ids \(2 rows, expected 3\)"),
        (lambda t: t + "b2,1,0\n", r"has other ids \(4 rows, expected 3\)"),
        (lambda t: t.replace("b2", "b9"), r"has other ids \(3 rows, expected 3\)"),
        (lambda t: t.replace("b2", "b1"), r"has other ids \(3 rows, expected 3\)"),
        (lambda t: "id,trust,joy\nb1,0,1\nb2,1,0\nb3,0,1\n", "has the right ids in another order"),
        (lambda t: t.replace("b2,1", "b2,2"), r"row 3 \(b2\): trust is '2', expected 0 or 1"),
        (lambda t: t.replace("b1,0,1", "b1,0,0.7"), r"row 2 \(b1\): joy is '0\.7', expected 0 or 1"),
        (lambda t: t.replace("b3,0", "b3,"), r"row 1 \(b3\): trust is '', expected 0 or 1"),
        (lambda t: t.replace("b3,0", "b3,nan"), r"row 1 \(b3\): trust is 'nan', expected 0 or 1"),
        (lambda t: t.replace("b3,0", "b3,yes"), r"row 1 \(b3\): trust is 'yes', expected 0 or 1"),
    ],
)
def test_a_bad_file_is_refused_and_says_where(tmp_path: Path, change: Callable[[str], str], message: str) -> None:
    path = write(tmp_path, change(GOOD))
    with pytest.raises(SubmissionError, match=message) as caught:
        check(path, DECISIONS)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("value", ["-0.1", "1.000001", "inf", "nan", ""])
def test_an_impossible_probability_is_named_by_row_and_column(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, GOOD.replace("b1,0,1", f"b1,0,{value}"))
    with pytest.raises(SubmissionError, match=r"row 2 \(b1\): joy is .*, expected a number from 0 to 1"):
        check(path, PROBABILITIES)


@pytest.mark.parametrize("text", ["", "id,trust,joy\nb3,0\n", "id,trust,joy\nb3,0,1,1\n"])
def test_a_torn_file_is_an_error_that_a_user_can_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(CompeteError, match=r"001_words\.csv"):
        check(write(tmp_path, text), DECISIONS)


@pytest.mark.parametrize(
    "same",
    [
        GOOD.replace(",1", ",1.0").replace(",0", ",0.000"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("b1,0", '"b1",0'),
        GOOD.rstrip("\n"),
        "\ufeff" + GOOD,
    ],
)
def test_the_hash_knows_what_a_file_says_and_not_how(tmp_path: Path, same: str) -> None:
    assert check(write(tmp_path, same), DECISIONS) == check(write(tmp_path, GOOD), DECISIONS)


def test_the_hash_changes_with_any_value(tmp_path: Path) -> None:
    texts = [GOOD, GOOD.replace("b3,0,1", "b3,1,0"), GOOD.replace("b3,0,1", "b3,0,0"), GOOD.replace("b2,1,0", "b2,0,0")]
    assert len({check(write(tmp_path, text), DECISIONS) for text in texts}) == len(texts)
    near = [GOOD.replace("b1,0", f"b1,{value}") for value in ("0.250000", "0.250001")]
    assert len({check(write(tmp_path, text), PROBABILITIES) for text in near}) == 2


def test_labels_with_one_value_are_found(tmp_path: Path) -> None:
    assert constant_labels(write(tmp_path, GOOD), DECISIONS) == []
    assert constant_labels(write(tmp_path, GOOD.replace("b2,1", "b2,0")), DECISIONS) == ["trust"]
