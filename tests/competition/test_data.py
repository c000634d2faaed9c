from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import DataError
from support.in_process import Run, in_process
from support.small_files import DECLARATION, SAMPLE, TEST, TRAIN, Load

pytestmark = pytest.mark.slow


def test_rows_keep_the_order_of_their_files(load: Load) -> None:
    competition = load()
    assert competition.train_ids == ["01", "02", "03"]
    assert competition.train_texts == ["happy", "furious", "NA"]
    assert competition.test_ids == ["11", "12"]
    assert competition.test_texts == ["sunny", "rotten"]
    assert competition.submission_ids == ["12", "11"]
    assert competition.warnings == ()


def test_labels_are_every_other_column_in_the_order_of_the_file(load: Load) -> None:
    competition = load()
    assert competition.labels == ("joy", "anger")
    assert competition.train_targets.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert competition.train_targets.dtype == np.int8


def test_declared_labels_choose_and_order_the_columns(load: Load) -> None:
    competition = load(DECLARATION + 'labels = ["anger", "joy"]\n')
    assert competition.labels == ("anger", "joy")
    assert competition.train_targets.tolist() == [[0, 1], [1, 0], [0, 0]]


def test_without_a_sample_the_test_file_gives_the_order(load: Load) -> None:
    competition = load(DECLARATION.replace("sample_submission", "# sample_submission"))
    assert competition.submission_ids == ["11", "12"]


def test_label_values_of_other_exports_are_the_same_labels(load: Load) -> None:
    train = TRAIN.replace("1,happy,0", "1.0,happy,0.0").replace("0,furious,1", " 0,furious,1 ")
    assert load(train=train).train_targets.tolist() == load().train_targets.tolist()


@pytest.mark.parametrize(("no", "yes"), [("False", "True"), ("false", "TRUE"), ("0.", "1."), ("No", "yes")])
def test_labels_in_words_are_labels(load: Load, no: str, yes: str) -> None:
    cells = {"0": no, "1": yes}
    rows = [("01", "1", "happy", "0"), ("02", "0", "furious", "1"), ("03", "0", "NA", "0")]
    train = "id,joy,text,anger\n" + "".join(f"{i},{cells[j]},{text},{cells[a]}\n" for i, j, text, a in rows)
    assert load(train=train).train_targets.tolist() == load().train_targets.tolist()


def test_several_labels_in_one_column_are_refused_with_what_makes_columns_of_them(load: Load) -> None:
    toml = DECLARATION.replace("sample_submission", "# sample_submission")
    with pytest.raises(DataError) as caught:
        load(toml, train="id,text,labels\n01,happy,joy|love\n02,furious,anger\n03,NA,joy\n")
    message = str(caught.value)
    assert "row 1 (01): labels is 'joy|love'" in message
    assert "'labels' seems to hold several labels in one cell, parted by a bar (joy|love)" in message
    assert 'task = "multilabel" reads it as it is' in message
    assert "label_separator" in message
    assert "get_dummies" not in message  # nothing has to be made of the column


def test_a_column_that_is_no_label_is_to_be_left_out_before_anything_is_made_of_it(load: Load) -> None:
    toml = DECLARATION.replace("sample_submission", "# sample_submission")
    with pytest.raises(DataError, match=r"lang is 'en'(.|\n)*List the label columns .*data\.labels"):
        load(toml, train="id,text,joy,lang\n01,happy,1,en\n02,furious,0,de\n03,NA,0,en\n")


def test_a_duplicate_id_is_named_with_its_rows(load: Load) -> None:
    with pytest.raises(DataError, match=r"train\.csv has 1 duplicate id: '01' is in rows 1, 3\."):
        load(train=TRAIN.replace("03,", "01,"))


def test_a_duplicate_id_in_the_second_file_of_several_is_found(load: Load) -> None:
    toml = DECLARATION.replace('"train.csv"', '["train.csv", "more.csv"]')
    with pytest.raises(DataError, match=r"train\.csv, more\.csv has 1 duplicate id: '02' is in rows 2, 4"):
        load(toml, more="id,joy,text,anger\n02,0,again,0\n")


def test_an_empty_id_is_named_with_its_row(load: Load) -> None:
    with pytest.raises(DataError, match=r"test\.csv row 2 has no id"):
        load(test="id,text\n11,sunny\n ,rotten\n")


def test_a_test_row_that_is_in_train_is_refused(load: Load) -> None:
    with pytest.raises(DataError, match=r"1 ids are in train and in test \(02\)"):
        load(test=TEST.replace("12,", "02,"))


def test_ids_are_compared_as_they_are_written(load: Load) -> None:
    competition = load(train=TRAIN.replace("01,", "1,").replace("02,", "1.0,").replace("03,", "001,"))
    assert competition.train_ids == ["1", "1.0", "001"]


@pytest.mark.parametrize("text", ["", "  ", '"\n\t"'])
def test_an_empty_text_in_train_is_an_error(load: Load, text: str) -> None:
    with pytest.raises(DataError, match=r"train\.csv: 1 empty text in 'text': row 2 \(02\)"):
        load(train=TRAIN.replace("furious", text))


def test_an_empty_text_in_test_is_a_warning_and_the_row_stays(load: Load) -> None:
    competition = load(test=TEST.replace("rotten", ""))
    assert competition.test_texts == ["sunny", ""]
    [warning] = competition.warnings
    assert "1 empty text in the test set, first row 2 (12)" in warning


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2", "is '2'"), ("", "is empty"), ("maybe", "is 'maybe'"), ("-1", "is '-1'"), ("0.5", "is '0.5'")],
)
def test_a_label_that_is_not_0_or_1_names_row_id_and_label(load: Load, value: str, shown: str) -> None:
    with pytest.raises(DataError) as caught:
        load(train=TRAIN.replace("02,0,furious,1", f"02,0,furious,{value}"))
    message = str(caught.value)
    assert f"row 2 (02): anger {shown}" in message
    assert message.count("row ") == 1


def test_a_missing_column_is_named_with_its_nearest(load: Load) -> None:
    with pytest.raises(DataError, match=r"test\.csv lacks a column.* 'text': did you mean 'texts'\?"):
        load(test=TEST.replace("id,text", "id,texts"))
    with pytest.raises(DataError, match=r"train\.csv lacks a column.* 'angry': did you mean 'anger'\?"):
        load(DECLARATION + 'labels = ["joy", "angry"]\n')


def test_train_without_labels_is_refused(load: Load) -> None:
    with pytest.raises(DataError, match="where are the labels"):
        load(train="id,text\n01,happy\n")


def test_a_file_without_rows_is_refused(load: Load) -> None:
    with pytest.raises(DataError, match=r"test\.csv has a header and no rows"):
        load(test="id,text\n")


def test_official_semeval_files_load(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text('ID\tTweet\tanger\tjoy\n2017-En-1\t"it begins\t1\t0\n2017-En-2\tno\t0\t1\n')
    (tmp_path / "test.txt").write_text('ID\tTweet\tanger\tjoy\n2018-En-1\tso "what"\tNONE\tNONE\n')
    (tmp_path / "competition.toml").write_text(
        'name = "E-c"\n[data]\ntrain = "train.txt"\ntest = "test.txt"\nid = "ID"\ntext = "Tweet"\nquoting = "none"\n'
    )
    competition = load_competition(Workspace(tmp_path))
    assert competition.labels == ("anger", "joy")
    assert competition.train_texts == ['"it begins', "no"]
    assert competition.test_texts == ['so "what"']
    assert competition.submission_ids == ["2018-En-1"]


@pytest.mark.parametrize(
    ("changed", "edit"),
    [
        ({"train ids"}, {"train": TRAIN.replace("01,", "1,")}),
        ({"train texts"}, {"train": TRAIN.replace("happy", "happy ")}),
        ({"train labels"}, {"train": TRAIN.replace("01,1", "01,0")}),
        ({"label names"}, {"train": TRAIN.replace("anger", "rage"), "sample": SAMPLE.replace("anger", "rage")}),
        ({"test ids"}, {"test": TEST.replace("12", "13"), "sample": SAMPLE.replace("12", "13")}),
        ({"test texts"}, {"test": TEST.replace("rotten", "Rotten")}),
        ({"test ids", "test texts"}, {"test": "id,text\n12,rotten\n11,sunny\n"}),
        (set(), {"sample": "id,joy,anger\n11,0,0\n12,0,0\n"}),
        (set(), {"train": "text,id,joy,anger\r\nhappy,01,1.0,0\r\nfurious,02,0,1\r\nNA,03,0,0\r\n"}),
    ],
)
def test_fingerprints_change_when_and_only_when_what_they_name_changes(
    load: Load, changed: set[str], edit: dict[str, str]
) -> None:
    before, after = load().fingerprints, load(**edit).fingerprints
    assert {name for name in before if before[name] != after[name]} == changed
    assert before.keys() == after.keys()


def test_where_one_text_ends_counts_in_the_fingerprint(load: Load) -> None:
    before = load(train=TRAIN.replace("happy", "ab").replace("furious", "c"), test="id,text\n11,ab\n12,c\n")
    after = load(train=TRAIN.replace("happy", "a").replace("furious", "bc"), test="id,text\n11,a\n12,bc\n")
    changed = {name for name, value in before.fingerprints.items() if after.fingerprints[name] != value}
    assert changed == {"train texts", "test texts"}


def test_train_and_test_may_write_their_columns_in_another_case(load: Load) -> None:
    competition = load(train=TRAIN.replace("id,", "ID,"), test=TEST.replace("text", "Text"))
    assert (competition.train_ids, competition.test_texts) == (["01", "02", "03"], ["sunny", "rotten"])
    assert competition.labels == ("joy", "anger")
    assert competition.warnings == (
        "train.csv: the column 'ID' is taken for 'id'",
        "test.csv: the column 'Text' is taken for 'text'",
    )


def numbered(texts: list[str], labels: str = "", first: int = 0) -> str:
    rows = "".join(f"{row},{text}{labels and ',0,1'}\n" for row, text in enumerate(texts, start=first))
    return f"id,text{labels}\n{rows}"


@pytest.mark.parametrize("first", [0, 1])
def test_ids_that_number_the_rows_of_each_file_are_no_overlap(load: Load, first: int) -> None:
    train, test = [f"train {n}" for n in range(300)], [f"test {n}" for n in range(200)]
    train[7] = test[7] = "thanks"  # by chance
    sample = "".join(f"{row},0,0\n" for row in range(first, 200 + first))
    files = {"test": numbered(test, first=first), "sample": f"id,joy,anger\n{sample}"}
    competition = load(train=numbered(train, ",joy,anger", first), **files)
    [warning] = competition.warnings
    assert "200 ids are in train and in test (" in warning and "numbers of the rows" in warning
    assert competition.train_texts[0] == "train 0" and competition.test_texts[0] == "test 0"
    with pytest.raises(DataError, match=r"200 ids are in train and in test .*, 200 of them with the same text"):
        load(train=numbered(test + train[:100], ",joy,anger", first), **files)


@pytest.mark.parametrize("prefix", ["t", "1000000"])
def test_ids_that_number_no_rows_and_overlap_are_refused_with_a_way_out(load: Load, prefix: str) -> None:
    train = TRAIN.replace("01,", f"{prefix}1,").replace("02,", f"{prefix}2,")
    test, sample = TEST.replace("11,", f"{prefix}1,"), SAMPLE.replace("11,", f"{prefix}1,")
    with pytest.raises(DataError, match=rf"1 ids are in .*\({prefix}1\), with other texts: .*rename the ids of train"):
        load(train=train, test=test, sample=sample)


@pytest.fixture
def compete(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(workspace.root, monkeypatch, capsys)


@pytest.mark.parametrize("command", ["train-base", "folds", "plan"])
def test_what_submit_would_refuse_is_refused_before_training(compete: Run, workspace: Workspace, command: str) -> None:
    """The sample of another competition: `submit` could never send anything."""
    sample = workspace.root / "sample.csv"
    sample.write_text(sample.read_text(encoding="utf-8").replace("trust", "fear"), encoding="utf-8")
    ran = compete(command, *(["--all"] if command == "train-base" else []))
    assert ran.code == 2
    assert "missing: trust; not known: fear" in ran.stderr
    assert not (workspace.root / "oof").exists() or not any(workspace.oof.glob("*/"))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
def test_a_saved_index_is_no_label(load: Load, name: str) -> None:
    rows = TRAIN.splitlines()
    numbered = "\n".join([f"{name},{rows[0]}", *(f"{row},{line}" for row, line in enumerate(rows[1:]))]) + "\n"
    competition = load(train=numbered, test=f"{name},id,text\n0,11,sunny\n1,12,rotten\n")
    assert competition.labels == ("joy", "anger")
    assert competition.warnings == (f"train.csv: the column {name!r} is a saved index, and left out",)
    assert competition.fingerprints == load().fingerprints


def test_a_label_called_index_is_one(load: Load) -> None:
    train = "index,id,text,anger\n1,01,happy,0\n0,02,furious,1\n0,03,NA,0\n"
    assert load(train=train, sample=SAMPLE.replace("joy", "index")).labels == ("index", "anger")
