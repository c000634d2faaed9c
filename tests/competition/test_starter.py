from __future__ import annotations

import gzip
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from compete.competition.data import load_competition
from compete.competition.declaration import Submission, read_declaration
from compete.competition.starter import (
    Found,
    data_lines,
    declaration_text,
    make_workspace,
    missing_columns,
    said,
    starter_folder,
)
from compete.errors import DataError, UserError

ROWS = [("01", "a happy day, all in all", 1, 0), ("02", "how rotten and furious", 0, 1), ("03", "NA or nothing", 0, 0)]
TEST_ROWS = [("11", "a sunny morning by the sea"), ("12", "it is all rotten here")]


def write_files(folder: Path, separator: str, suffix: str, quote: str = "") -> tuple[Path, Path]:
    """Train and test files; `quote` opens every text, bare where it cannot be told from a real quotation mark."""
    folder.mkdir(parents=True, exist_ok=True)
    wrap = '"' if separator == "," else ""
    header = ["ID", "Tweet", "joy", "anger"]
    train = [header, *([i, f"{wrap}{quote}{t}{wrap}", str(j), str(a)] for i, t, j, a in ROWS)]
    test = [header[:2], *([i, f"{wrap}{quote}{t}{wrap}"] for i, t in TEST_ROWS)]
    paths = folder / f"train{suffix}", folder / f"test{suffix}"
    for path, rows in zip(paths, (train, test), strict=True):
        path.write_text("".join(separator.join(row) + "\n" for row in rows), encoding="utf-8")
    return paths


def write_sample(folder: Path) -> Path:
    path = folder / "sample.csv"
    path.write_text("ID,anger,joy\n11,0,0\n12,0,0\n")
    return path


@pytest.mark.parametrize(
    ("separator", "suffix", "quote", "declared"),
    [
        (",", ".csv", "", {}),
        (";", ".csv", "", {"separator": ";"}),
        ("|", ".txt", "", {"separator": "|"}),
        ("\t", ".txt", "", {}),
        ("\t", ".csv", "", {"separator": "\t"}),
        ("\t", ".txt", '"', {"quoting": "none"}),
    ],
)
def test_what_the_files_tell_is_filled_in_and_loads(
    tmp_path: Path, separator: str, suffix: str, quote: str, declared: dict[str, str]
) -> None:
    train, test = write_files(tmp_path / "new" / "data", separator, suffix, quote)
    workspace, found = make_workspace(tmp_path / "new", train, test, write_sample(tmp_path / "new" / "data"))
    data = tomllib.loads(workspace.declaration.read_text(encoding="utf-8"))["data"]
    assert data == {
        "train": f"data/train{suffix}",
        "test": f"data/test{suffix}",
        "sample_submission": "data/sample.csv",
        "id": "ID",
        "text": "Tweet",
        "labels": ["anger", "joy"],
        **declared,
    }
    assert missing_columns(found) == []
    competition = load_competition(workspace)
    assert competition.train_ids == ["01", "02", "03"]
    assert competition.train_texts == [quote + text for _, text, _, _ in ROWS]
    assert competition.train_targets.tolist() == [[anger, joy] for _, _, joy, anger in ROWS]
    assert competition.test_texts == [quote + text for _, text in TEST_ROWS]


def test_without_a_sample_the_labels_are_the_other_columns_of_train(tmp_path: Path) -> None:
    train, test = write_files(tmp_path / "new", ",", ".csv")
    workspace, found = make_workspace(tmp_path / "new", train, test)
    assert found.labels == ("joy", "anger")
    assert load_competition(workspace).labels == ("joy", "anger")


def test_official_test_files_with_label_columns_do_not_confuse_it(tmp_path: Path) -> None:
    train, test = write_files(tmp_path, "\t", ".txt")
    test.write_text("ID\tTweet\tjoy\tanger\n11\ta sunny morning\tNONE\tNONE\n")
    _, found = make_workspace(tmp_path, train, test)
    assert (found.id, found.text, found.labels) == ("ID", "Tweet", ("joy", "anger"))


def test_files_outside_the_workspace_are_named_by_their_whole_path(tmp_path: Path) -> None:
    train, test = write_files(tmp_path / "elsewhere", ",", ".csv")
    workspace, found = make_workspace(tmp_path / "new", train, test)
    assert found.train == str(train.resolve())
    assert load_competition(workspace).train_ids == ["01", "02", "03"]


def test_without_files_it_says_what_to_fill_in(tmp_path: Path) -> None:
    workspace, found = make_workspace(tmp_path / "new")
    assert missing_columns(found) == ["train", "test", "id", "text"]
    lines = workspace.declaration.read_text(encoding="utf-8").splitlines()
    to_fill_in = [line.split(" = ")[0] for line in lines if "# fill in" in line]
    assert to_fill_in == ["train", "test", "id", "text"]
    assert read_declaration(workspace).name == "new"


def test_a_train_file_alone_leaves_the_test_file_to_fill_in(tmp_path: Path) -> None:
    train, _ = write_files(tmp_path, ",", ".csv")
    workspace, found = make_workspace(tmp_path, train)
    assert missing_columns(found) == ["test"]
    assert (found.id, found.text, found.labels) == ("ID", "Tweet", ("joy", "anger"))
    assert "# fill in" in workspace.declaration.read_text(encoding="utf-8").split("test = ")[1].splitlines()[0]


def test_names_that_need_escaping_survive(tmp_path: Path) -> None:
    folder = tmp_path / 'a "new" one'
    folder.mkdir()
    (folder / "train.csv").write_text('id,"the ""text""\\n",größe\n1,hello there,1\n', encoding="utf-8")
    workspace, _ = make_workspace(folder, folder / "train.csv")
    declaration = read_declaration(workspace)
    assert declaration.name == 'a "new" one'
    assert declaration.data.text == 'the "text"\\n'
    assert declaration.data.labels == ["größe"]


def test_a_byte_order_mark_is_no_part_of_the_id(tmp_path: Path) -> None:
    train, test = write_files(tmp_path, ",", ".csv")
    train.write_text("\ufeff" + train.read_text(encoding="utf-8"), encoding="utf-8")
    _, found = make_workspace(tmp_path, train, test)
    assert found.id == "ID"


def test_the_recipes_come_along_byte_for_byte(tmp_path: Path) -> None:
    workspace, _ = make_workspace(tmp_path)
    for name in ("base_models", "stacking"):
        shipped = {path.name: path.read_bytes() for path in (starter_folder() / name).glob("*.toml")}
        copied = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} if shipped else {}
        assert copied == shipped
    stacks = {path.stem for path in workspace.stack_recipes.iterdir()}
    assert stacks == {"mean", "blend", "logistic", "lightgbm", "second_level"}


def test_a_workspace_is_not_made_twice(tmp_path: Path) -> None:
    workspace, _ = make_workspace(tmp_path)
    workspace.declaration.write_text("mine")
    with pytest.raises(UserError, match=r"competition\.toml is there already"):
        make_workspace(tmp_path)
    assert workspace.declaration.read_text() == "mine"


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    mine = tmp_path / "stacking" / "logistic.toml"
    mine.parent.mkdir()
    mine.write_text("# mine")
    (tmp_path / "notes.md").write_text("also mine")
    make_workspace(tmp_path)
    assert mine.read_text() == "# mine"
    assert (tmp_path / "notes.md").read_text() == "also mine"


def test_a_file_that_cannot_be_read_leaves_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        make_workspace(tmp_path / "new", tmp_path / "nowhere.csv")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("id,text,é\n1,é,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv is not utf-8 .*data\.encoding"):
        make_workspace(tmp_path / "new", latin)
    assert not (tmp_path / "new" / "competition.toml").exists()


def test_a_declaration_that_was_not_filled_in_is_a_declaration_still(tmp_path: Path) -> None:
    workspace, _ = make_workspace(tmp_path)
    with pytest.raises(DataError, match=r"train\.csv does not exist"):
        load_competition(workspace)


def test_a_separator_counts_for_all_three_files(tmp_path: Path) -> None:
    texts = {"train": "id;text;joy\n1;a b;1\n", "test": "id;text\n2;a b\n", "sample": "id;joy\n2;0\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    train, test, sample = (tmp_path / f"{name}.csv" for name in texts)
    workspace, _ = make_workspace(tmp_path, train, test, sample)
    assert load_competition(workspace).submission_ids == ["2"]


def test_a_bare_quote_in_the_test_file_alone_decides_the_quoting(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("id\ttext\tjoy\n1\ta b\t1\n", encoding="utf-8")
    (tmp_path / "test.txt").write_text('id\ttext\n2\t"a b\n', encoding="utf-8")
    workspace, _ = make_workspace(tmp_path, tmp_path / "train.txt", tmp_path / "test.txt")
    assert load_competition(workspace).test_texts == ['"a b']


def test_a_competition_on_kaggle_is_declared_as_the_target(tmp_path: Path) -> None:
    workspace, _ = make_workspace(tmp_path / "new", kaggle="toy-posts")
    declared = read_declaration(workspace).submission
    assert (declared.target, declared.kaggle) == ("kaggle", "toy-posts")
    assert "solution" not in workspace.declaration.read_text(encoding="utf-8")


def test_without_one_the_target_is_local(tmp_path: Path) -> None:
    workspace, _ = make_workspace(tmp_path / "new")
    declared = read_declaration(workspace).submission
    assert (declared.target, declared.kaggle) == ("local", None)
    assert read_declaration(workspace).submission == Submission()  # what is written is what is the default


@pytest.mark.parametrize("found", [Found(), Found("a.csv", "b.csv", "c.csv", "ID", 'the "text"', ("größe", "b]"))])
def test_the_data_section_stands_by_itself(found: Found) -> None:
    """So that it can be put in the place of another."""
    lines = data_lines(found)
    assert lines[0].startswith("[data]")
    assert not any(line.startswith("[") for line in lines[1:])
    parsed = tomllib.loads("\n".join(lines))
    assert list(parsed) == ["data"]
    assert parsed["data"].get("labels", []) == list(found.labels)
    assert "\n".join(lines) in declaration_text("new", found)
    assert "\n".join(lines) in declaration_text("new", found, kaggle="toy-posts")


def zipped(path: Path) -> Path:
    archive = path.with_suffix(path.suffix + ".zip")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(path, path.name)
    return archive


def gzipped(path: Path) -> Path:
    packed = path.with_suffix(path.suffix + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def as_json_lines(path: Path) -> Path:
    pd.read_csv(path, dtype={"ID": str}, keep_default_na=False).to_json(
        path.with_suffix(".jsonl"), orient="records", lines=True
    )
    return path.with_suffix(".jsonl")


def as_parquet(path: Path) -> Path:
    pd.read_csv(path, dtype={"ID": str}, keep_default_na=False).to_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def as_utf_16(path: Path) -> Path:
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
    return path


@pytest.mark.parametrize("written", [zipped, gzipped, as_json_lines, as_parquet, as_utf_16])
def test_files_of_every_form_are_looked_at_and_loaded(tmp_path: Path, written: Callable[[Path], Path]) -> None:
    folder = tmp_path / "new" / "data"
    train, test = write_files(folder, ",", ".csv")
    workspace, found = make_workspace(tmp_path / "new", written(train), written(test), written(write_sample(folder)))
    assert (found.id, found.text, found.labels) == ("ID", "Tweet", ("anger", "joy"))
    assert (found.separator, found.quoting) == (None, None)
    competition = load_competition(workspace)
    assert competition.train_ids == ["01", "02", "03"]
    assert competition.train_texts[2] == "NA or nothing"
    assert competition.train_targets.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert competition.submission_ids == ["11", "12"]


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_texts_in_the_first_column_are_the_texts(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", "text,id,joy,anger\na day,1,1,0\nb day,2,0,1\n")
    test = write(tmp_path / "test.csv", "text,id\nc day,3\n")
    workspace, _ = make_workspace(tmp_path, train, test)
    competition = load_competition(workspace)
    assert (competition.train_ids, competition.train_texts) == (["1", "2"], ["a day", "b day"])
    assert competition.labels == ("joy", "anger")


def test_a_sample_of_halves_proposes_a_metric_of_probabilities_and_says_why(tmp_path: Path) -> None:
    train, test = write_files(tmp_path, ",", ".csv")
    sample = write(tmp_path / "sample.csv", "ID,joy,anger\n11,0.5,0.5\n12,0.5,0.5\n")
    workspace, found = make_workspace(tmp_path, train, test, sample)
    assert read_declaration(workspace).metric == "roc_auc_macro"
    text = workspace.declaration.read_text(encoding="utf-8")
    assert "the sample submission holds 0.5, so probabilities are scored" in text.split("metric =")[0]
    assert any("holds 0.5" in line for line in said(found))
    assert 'metric = "roc_auc_macro" is a guess' in said(found)[-1]


@pytest.mark.parametrize("cells", ["0,0", "1,0", "0.0,1.0", "-1,2", "12,0.5", "joy,anger"])
def test_another_sample_proposes_none(tmp_path: Path, cells: str) -> None:
    train, test = write_files(tmp_path, ",", ".csv")
    sample = write(tmp_path / "sample.csv", f"ID,joy,anger\n11,{cells}\n12,{cells}\n")
    workspace, found = make_workspace(tmp_path, train, test, sample)
    assert found.metric is None
    assert read_declaration(workspace).metric == "f1_macro"


def test_columns_that_are_left_out_are_said_and_the_labels_listed(tmp_path: Path) -> None:
    train = write(
        tmp_path / "train.csv",
        'id,text,"sent\nfrom",joy,is_reply\n1,a day,u1,1,0\n2,b day,u2,0,1\n3,c day,u1,0,1\n',
    )
    test = write(tmp_path / "test.csv", "id,text,is_reply\n4,d day,0\n5,e day,1\n")
    workspace, found = make_workspace(tmp_path, train, test)
    assert read_declaration(workspace).data.labels == ["joy"]
    lines = workspace.declaration.read_text(encoding="utf-8").splitlines()
    assert "# no labels: sent from (not 0 or 1 in every row)" in lines
    assert "no labels: is_reply (in test too)" in said(found)
    assert load_competition(workspace).labels == ("joy",)


def test_the_saved_index_can_be_the_id(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", ",text,joy\n0,a day,1\n1,b day,0\n")
    test = write(tmp_path / "test.csv", ",text\n2,c day\n")
    workspace, found = make_workspace(tmp_path, train, test)
    assert missing_columns(found) == []
    assert load_competition(workspace).train_ids == ["0", "1"]


TASKS = {
    "classes": (
        "id,text,mood\n1,a day,good\n2,b day,bad\n3,c day,good\n4,d day,bad\n",
        "id,mood\n5,good\n",
        {"task": "multiclass", "metric": "f1_macro"},
        ("bad", "good"),
    ),
    "classes by column": (
        "id,text,mood\n1,a day,good\n2,b day,bad\n3,c day,good\n4,d day,bad\n",
        "id,good,bad\n5,0.5,0.5\n",
        {"task": "multiclass", "metric": "multiclass_log_loss"},
        ("bad", "good"),
    ),
    "the most probable classes": (
        "id,text,mood\n1,a day,good\n2,b day,bad\n3,c day,good\n4,d day,bad\n",
        "id,mood\n5,good bad\n",
        {"task": "multiclass", "metric": "map_at_2"},
        ("bad", "good"),
    ),
    "one label": (
        "id,text,toxic\n1,a day,1\n2,b day,0\n3,c day,0\n",
        "id,prediction\n5,0\n",
        {"task": "binary", "metric": "f1"},
        ("toxic",),
    ),
    "one probability": (
        "id,text,toxic\n1,a day,1\n2,b day,0\n3,c day,0\n",
        "id,toxic\n5,0.5\n",
        {"task": "binary", "metric": "roc_auc"},
        ("toxic",),
    ),
    "several labels in a cell": (
        "id,text,emotion\n1,a day,joy|love\n2,b day,anger\n3,c day,joy\n",
        "id,emotion\n5,joy love\n",
        {"task": "multilabel", "metric": "f1_macro"},
        ("anger", "joy", "love"),
    ),
    "numbers": (
        "id,text,x\n1,a day,0.5\n2,b day,1.25\n3,c day,7\n",
        "id,x\n5,0.5\n",
        {"task": "regression", "metric": "rmse"},
        ("x",),
    ),
    "several numbers": (
        "id,text,x,y\n1,a day,0.5,1\n2,b day,1.25,2\n3,c day,7,3\n",
        "id_target,value\n5_x,0\n5_y,0\n",
        {"task": "regression", "metric": "mcrmse"},
        ("x", "y"),
    ),
    "grades": (
        "id,text,stars\n" + "".join(f"{n + 10},{n} days,{n % 5 + 1}\n" for n in range(20)),
        "id,stars\n5,3\n",
        {"task": "ordinal", "metric": "quadratic_weighted_kappa"},
        ("stars",),
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_the_task_is_found_declared_and_loads(tmp_path: Path, name: str) -> None:
    train, sample, top, outputs = TASKS[name]
    paths = write(tmp_path / "train.csv", train), write(tmp_path / "test.csv", "id,text\n5,e day\n")
    workspace, found = make_workspace(tmp_path, *paths, write(tmp_path / "sample.csv", sample))
    assert missing_columns(found) == []
    declared = read_declaration(workspace)
    assert {"task": declared.task, "metric": declared.metric} == top
    competition = load_competition(workspace)
    assert competition.labels == outputs
    assert competition.submission_ids == ["5"]
    if top["task"] != "multilabel":
        assert f'task = "{top["task"]}"' in said(found)[1]


def test_every_other_task_stands_beside_the_one_that_is_declared(tmp_path: Path) -> None:
    workspace, _ = make_workspace(tmp_path)
    (line,) = [
        line for line in workspace.declaration.read_text(encoding="utf-8").split("\n") if line.startswith("task")
    ]
    assert line == 'task = "multilabel"   # or binary, multiclass, regression, ordinal'
    train = write(tmp_path / "train.csv", TASKS["grades"][0])
    workspace, _ = make_workspace(tmp_path / "new", train, write(tmp_path / "test.csv", "id,text\n5,e day\n"))
    lines = workspace.declaration.read_text(encoding="utf-8").split("\n")
    assert 'task = "ordinal"   # or multilabel, binary, multiclass, regression' in lines
    assert lines[1].startswith(
        '# A guess: one column of few whole grades, 1, 2, 3, 4, 5; another reading is task = "regr'
    )


def test_labels_that_no_setting_reads_are_left_to_fill_in_with_the_line_that_makes_columns(tmp_path: Path) -> None:
    train = write(
        tmp_path / "train.csv", "id,text,emotion\n1,a day,['joy' 'love']\n2,b day,['anger']\n3,c day,['joy']\n"
    )
    test = write(tmp_path / "test.csv", "id,text\n4,d day\n")
    workspace, found = make_workspace(tmp_path, train, test)
    assert missing_columns(found) == ["labels"]
    line = "train = train.drop(columns='emotion').join(train['emotion'].astype(str)"
    assert line in "\n".join(said(found))
    text = workspace.declaration.read_text(encoding="utf-8")
    assert "# labels = [...]   # fill in: emotion seems to hold a list of labels" in text
    with pytest.raises(DataError) as caught:
        load_competition(workspace)
    assert line in str(caught.value)


def test_what_was_told_is_said_with_the_reason(tmp_path: Path) -> None:
    _, found = make_workspace(tmp_path / "new", *write_files(tmp_path, ",", ".csv"))
    assert said(found) == [
        "id 'ID', text 'Tweet', 2 labels: joy, anger",
        "id: its name says so, and no value is there twice",
        "text: its name says so, 4.3 words on average",
        "labels: 0 or 1 in every row of train, and not in test",
    ]
    assert said(Found()) == []


def test_quotes_that_no_setting_reads_are_named_at_once(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", 'id,text,joy\n1,"a, b",1\n2,"c,0\n3,d,1\n4,e",0\n')
    with pytest.raises(DataError, match=r"train\.csv lines 3 to 5, .*write it twice"):
        make_workspace(tmp_path / "new", train)
