from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.manner import Manner, manner_of
from compete.errors import CompeteError, SubmissionError
from compete.submissions.csv_file import check, fitted, read_values, render
from compete.submissions.form import Form, submission_form

# The sample's columns and rows stand in another order than the labels of train and the rows of test.
DECISIONS = Form(["id", "trust", "joy"], ["b3", "b1", "b2"], decisions=True)
PROBABILITIES = Form(DECISIONS.columns, DECISIONS.ids, decisions=False)
IDS, LABELS = ["b1", "b2", "b3"], ["joy", "trust"]
GOOD = "id,trust,joy\nb3,0,1\nb1,0,1\nb2,1,0\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "001_words.csv"
    path.write_bytes(text.encode())
    return path


def test_values_land_under_their_label_and_beside_their_id(tmp_path: Path) -> None:
    text = render(DECISIONS, IDS, LABELS, np.array([[1, 0], [0, 1], [1, 0]], dtype=np.int8)).decode()
    assert text == GOOD
    check(write(tmp_path, text), DECISIONS)


def test_probabilities_keep_the_digits_that_tell_them_apart(tmp_path: Path) -> None:
    values = np.array([[0.1, 0.2], [0.3, 1 / 3], [1e-9, 1.0]], dtype=np.float32)
    text = render(PROBABILITIES, IDS, LABELS, values).decode()
    assert text == "id,trust,joy\nb3,1.0,1e-09\nb1,0.2,0.1\nb2,0.33333334,0.3\n"
    check(write(tmp_path, text), PROBABILITIES)
    assert np.array_equal(
        read_values(tmp_path / "001_words.csv", PROBABILITIES)["joy"].astype("f4"), values[[2, 0, 1], 0]
    )
    with pytest.raises(SubmissionError, match="expected 0 or 1"):
        check(write(tmp_path, text), DECISIONS)


def test_the_form_follows_the_sample_and_the_metric(competition: Competition) -> None:
    root = competition.workspace.root
    ids = sorted(competition.test_ids, reverse=True)
    (root / "sample.csv").write_text("id,trust,joy,anger\n" + "".join(f"{name},0,0,0\n" for name in ids))
    declaration = (root / "competition.toml").read_text()
    changed = load_competition(competition.workspace)
    form = submission_form(changed)
    assert (form.columns, form.labels, form.ids) == (("id", "trust", "joy", "anger"), ["trust", "joy", "anger"], ids)
    assert form.decisions
    (root / "competition.toml").write_text('metric = "log_loss"\n' + declaration)
    assert not submission_form(load_competition(competition.workspace)).decisions
    (root / "competition.toml").write_text(declaration.replace('sample_submission = "sample.csv"\n', ""))
    form = submission_form(load_competition(competition.workspace))
    assert (list(form.columns), form.ids) == (["id", "joy", "anger", "trust"], competition.test_ids)


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
        GOOD.replace(",1", ",True").replace(",0", ",False"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("b1,0", '"b1",0'),
        GOOD.rstrip("\n"),
        GOOD.replace("trust,joy", " trust ,joy"),
        GOOD.replace(",", ";"),
        "\ufeff" + GOOD,
    ],
)
def test_the_hash_knows_what_a_file_says_and_not_how(tmp_path: Path, same: str) -> None:
    path = write(tmp_path, same)
    manner = manner_of(same.encode(), ";" if ";" in same else ",", "utf-8", 0, [])
    found = check(path, replace(DECISIONS, manner=manner)).content
    assert found == check(write(tmp_path, GOOD), DECISIONS).content


def test_the_hash_changes_with_any_value(tmp_path: Path) -> None:
    texts = [GOOD, GOOD.replace("b3,0,1", "b3,1,0"), GOOD.replace("b3,0,1", "b3,0,0"), GOOD.replace("b2,1,0", "b2,0,0")]
    assert len({check(write(tmp_path, text), DECISIONS).content for text in texts}) == len(texts)
    near = [GOOD.replace("b1,0", f"b1,{value}") for value in ("0.250000", "0.250001")]
    assert len({check(write(tmp_path, text), PROBABILITIES).content for text in near}) == 2


def test_labels_with_one_value_are_found(tmp_path: Path) -> None:
    assert check(write(tmp_path, GOOD), DECISIONS).constant_labels() == []
    assert check(write(tmp_path, GOOD.replace("b2,1", "b2,0")), DECISIONS).constant_labels() == ["trust"]


def sampled(competition: Competition, sample: bytes) -> Form:
    (competition.workspace.root / "sample.csv").write_bytes(sample)
    return submission_form(load_competition(competition.workspace))


SAMPLES = {
    "plain": "id,joy,anger,trust\nIDS,0,0,0\n",
    "blanks": "id, joy, anger ,trust\nIDS, 0, 0 ,0\n",
    "windows": "id,joy,anger,trust\r\nIDS,0,0,0\r\n",
    "quotes in the header": '"id","joy","anger","trust"\nIDS,0,0,0\n',
    "quotes everywhere": '"id","joy","anger","trust"\n"IDS","0","0","0"\n',
    "quoted ids": 'id,joy,anger,trust\n"IDS",0,0,0\n',
    "semicolons": "id;joy;anger;trust\nIDS;0;0;0\n",
    "tabs": "id\tjoy\tanger\ttrust\nIDS\t0\t0\t0\n",
    "mark": "\ufeffid,joy,anger,trust\r\nIDS,0,0,0\r\n",
    "mark and quotes": '\ufeff"id","joy","anger","trust"\nIDS,0,0,0\n',
    "decimals": "id,joy,anger,trust\nIDS,0.0,0.0,0.0\n",
    "words": "id,joy,anger,trust\nIDS,False,False,False\n",
    "no end": "id,joy,anger,trust\nIDS,0,0,0",
    "id last": "trust,joy,anger,id\n0,0,0,IDS\n",
    "id within": "joy, Id,Anger,TRUST\n0,IDS,0,0\n",
    "an empty line": "\nid,joy,anger,trust\nIDS,0,0,0\n",
    "two lines of header": 'id,joy,anger,"trust\n"\nIDS,0,0,0\n',
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_nothing_decided_gives_the_sample_byte_for_byte(competition: Competition, kind: str) -> None:
    """A sample of zeros is what no label anywhere gives: header, line ends, quotes, marks and all."""
    header, row = _split(SAMPLES[kind])
    end = "\r\n" if header.endswith("\r\n") else "\n"
    rows = end.join(row.replace("IDS", name) for name in reversed(competition.test_ids))
    sample = (header + rows + (end if SAMPLES[kind].endswith(end) else "")).encode()
    form = sampled(competition, sample)
    nothing = np.zeros((len(competition.test_ids), 3), dtype=np.int8)
    written = render(form, competition.test_ids, competition.labels, nothing)
    assert written == sample
    path = competition.workspace.root / "written.csv"
    path.write_bytes(written)
    check(path, form)
    assert fitted(path, form) == (written, "")
    some = nothing.copy()
    some[3, 1] = 1
    path.write_bytes(render(form, competition.test_ids, competition.labels, some))
    check(path, form)
    assert (
        read_values(path, form).loc[competition.test_ids, list(competition.labels)].to_numpy().tolist() == some.tolist()
    )


def _split(sample: str) -> tuple[str, str]:
    """The header with its line end, and the first row without."""
    lines = sample.splitlines(keepends=True)
    return "".join(lines[:-1]), lines[-1].rstrip("\r\n")


def test_blanks_are_not_doubled_when_rows_are_put_in_order(competition: Competition) -> None:
    rows = [f"{name}, 0, 1, 0\n" for name in competition.test_ids]
    form = sampled(competition, ("id, joy, anger, trust\n" + "".join(rows)).encode())
    mine = competition.workspace.root / "mine.csv"
    mine.write_text("id, joy, anger, trust\n" + "".join(reversed(rows)), encoding="utf-8")
    assert fitted(mine, form)[0] == (competition.workspace.root / "sample.csv").read_bytes()


def test_a_sample_that_is_no_text_gives_the_names(competition: Competition) -> None:
    root = competition.workspace.root
    table = pd.read_csv(root / "sample.csv").rename(columns={"id": "Id", "joy": "Joy"})
    table.iloc[::-1].to_parquet(root / "sample.parquet", index=False)
    toml = competition.workspace.declaration
    toml.write_text(toml.read_text(encoding="utf-8").replace("sample.csv", "sample.parquet"), encoding="utf-8")
    form = submission_form(load_competition(competition.workspace))
    nothing = np.zeros((len(form.ids), 3), dtype=np.int8)
    written = render(form, form.ids, form.labels, nothing).decode().split("\n")
    assert written[0] == "Id,Joy,anger,trust" and written[1] == f"{competition.test_ids[-1]},0,0,0"


@pytest.mark.parametrize("gap", ["\n", " \n", "\r\n\r\n"])
def test_no_cell_is_lost_where_the_sample_has_an_empty_line(competition: Competition, gap: str) -> None:
    rows = "".join(f"{name},0,0,0\n" for name in competition.test_ids)
    form = sampled(competition, f"id,joy,anger,trust\n{gap}{rows}".encode())
    values = np.ones((len(form.ids), 3), dtype=np.int8)
    path = competition.workspace.root / "written.csv"
    path.write_bytes(render(form, form.ids, form.labels, values))
    check(path, form)
    assert read_values(path, form).to_numpy().sum() == values.size


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_sample_in_utf_16_is_written_as_such(competition: Competition, encoding: str) -> None:
    rows = "".join(f"{name},0,0,0\r\n" for name in competition.test_ids)
    sample = ("\ufeff" * (encoding == "utf-16-be") + f"id,joy,anger,trust\r\n{rows}").encode(encoding)
    form = sampled(competition, sample)
    nothing = np.zeros((len(competition.test_ids), 3), dtype=np.int8)
    assert render(form, competition.test_ids, competition.labels, nothing) == sample


def test_ids_that_need_quotes_get_them() -> None:
    form = replace(DECISIONS, ids=["b,1", 'b"2', "b3"])
    text = render(form, form.ids, LABELS, np.zeros((3, 2), dtype=np.int8)).decode()
    assert text == 'id,trust,joy\n"b,1",0,0\n"b""2",0,0\nb3,0,0\n'


BLANKS = replace(DECISIONS, manner=Manner(header="ID, trust, joy", line_end="\r\n", ends=False))
AS_IN_SAMPLE = "ID, trust, joy\r\nb3,0,1\r\nb1,0,1\r\nb2,1,0"


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (AS_IN_SAMPLE.replace("b3,0,1\r\nb1", "b1,0,1\r\nb3"), "its rows had"),
        ("ID,joy,trust\nb3,1,0\nb1,1,0\nb2,0,1\n", "its columns had"),
        ("joy,id,trust\n1,b1,0\n0,b2,1\n1,b3,0\n", "its rows and its columns had"),
        (",ID,trust,joy\n0,b3,0,1\n1,b1,0,1\n2,b2,1,0\n", "the column '', a saved index,"),
        ("Unnamed: 0,ID,trust,joy\n0,b3,0,1\n1,b1,0,1\n2,b2,1,0\n", "the column 'Unnamed: 0', a saved index,"),
        ("id;trust;joy\nb3;0;1\nb1;0;1\nb2;1;0\n", "the way it is written had"),
        (AS_IN_SAMPLE.replace("\r\n", "\n"), "the way it is written had"),
        (AS_IN_SAMPLE + "\r\n", "the way it is written had"),
    ],
)
def test_a_file_made_elsewhere_is_put_as_the_sample_is(tmp_path: Path, mine: str, said: str) -> None:
    content, notice = fitted(write(tmp_path, mine), BLANKS)
    assert content.decode() == AS_IN_SAMPLE
    assert said in notice and "no value changed" in notice


def test_a_file_that_is_as_the_sample_is_stays_byte_for_byte(tmp_path: Path) -> None:
    odd = AS_IN_SAMPLE.replace("b1,0,1", "b1,0.000,1e0")
    assert fitted(write(tmp_path, odd), BLANKS) == (odd.encode(), "")
    content, _ = fitted(
        write(tmp_path, "\n".join(reversed(odd.split("\r\n")[1:])).join(["id,trust,joy\n", ""])), BLANKS
    )
    assert content.decode() == odd  # values are what they are


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ("id,trust\nb3,0\nb1,0\nb2,1\n", r"expected id, trust, joy; missing: joy"),
        ("id,trust,joy,fold\nb3,0,1,0\nb1,0,1,0\nb2,1,0,0\n", r"not known: fold"),
        ("id,trust,joy\nb3,0,1\nb1,0,1\n", r"other ids \(2 rows, expected 3\) .*\(missing: 'b2'\)"),
        ("id,trust,joy\nb3,0,1\nb1,0,1\nb2,1,0\nb9,1,0\n", r"other ids \(4 rows, expected 3\) .*\(unknown: 'b9'\)"),
        ("id,trust,joy\nb3,0,1\nb1,0,1\nb2,1,0\nb2,1,0\n", r"other ids \(4 rows, expected 3\) .*\(some twice\)"),
        ("id,joy,trust\nb1,1,0\nb2,0,no\nb3,1,0\n", r"row 2 \(b2\): trust is 'no', expected 0 or 1"),
        ("id,trust,joy\nB3,0,1\nB1,0,1\nB2,1,0\n", r"The ids have blanks .* another case \('B3' for 'b3'\)"),
    ],
)
def test_a_file_made_elsewhere_with_other_rows_or_columns_is_refused(tmp_path: Path, mine: str, said: str) -> None:
    with pytest.raises(SubmissionError, match=said) as caught:
        fitted(write(tmp_path, mine), DECISIONS)
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (AS_IN_SAMPLE.replace(", joy", ",joy"), r"its first line is 'ID, trust,joy\\r', that of the sample"),
        (AS_IN_SAMPLE.replace("ID, trust", '"ID", trust'), "its first line is"),
        (AS_IN_SAMPLE.replace("\r\n", "\n"), "its first line is"),
        ("\ufeff" + AS_IN_SAMPLE, "its first line is"),
        (AS_IN_SAMPLE + "\r\n", "its last line ends with a line break, unlike"),
    ],
)
def test_a_header_that_only_looks_like_the_samples_is_no_header(tmp_path: Path, written: str, said: str) -> None:
    check(write(tmp_path, AS_IN_SAMPLE), BLANKS)
    with pytest.raises(SubmissionError, match=said):
        check(write(tmp_path, written), BLANKS)


def test_a_column_that_is_there_twice_in_two_spellings_is_refused(tmp_path: Path) -> None:
    form = replace(DECISIONS, manner=Manner(header="Id,trust,joy"))
    with pytest.raises(SubmissionError, match=r"not known: Id$"):
        fitted(write(tmp_path, "id,Id,trust,joy\nb3,b3,0,1\nb1,b1,0,1\nb2,b2,1,0\n"), form)
