"""What is done with the files that came; fetching them from Kaggle is tested beside the client."""

from __future__ import annotations

import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from compete.competition.starter import Found
from compete.errors import ArchiveError, KaggleError
from compete.submissions.kaggle.download import _DataFolder, _fill_in, _named, _unpack

FOUND = Found(
    train="data/train.csv",
    test="data/test.csv",
    sample="data/sample.csv",
    id="ID",
    text="Tweet",
    labels=("joy", "fear"),
)
BEFORE = """\
# my competition
name = "tiny"   # do not change

"""
DATA = """\
[data]   # to be filled in
train = "data/train.csv"
id = "id"
# labels = [...]
labels = [
    "last_year",
]
"""
AFTER = """\
[folds]   # agreed with the team

  k = 7   # odd on purpose
# [data] is above

[checkpoints]
"a/b" = "models\\\\b"
"""


def filled_in(folder: Path, text: str) -> str:
    path = folder / "competition.toml"
    path.write_bytes(text.encode())
    _fill_in(path, FOUND)
    return path.read_bytes().decode()


def data_of(text: str) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads(text)["data"]
    return found


def test_only_the_section_of_the_data_is_written_anew(tmp_path: Path) -> None:
    text = filled_in(tmp_path, BEFORE + DATA + "\n" + AFTER)
    assert text.startswith(BEFORE) and text.endswith(AFTER)
    assert data_of(text) == {
        "train": "data/train.csv",
        "test": "data/test.csv",
        "sample_submission": "data/sample.csv",
        "id": "ID",
        "text": "Tweet",
        "labels": ["joy", "fear"],
    }
    assert "last_year" not in text
    assert tomllib.loads(text)["folds"] == {"k": 7}


CLASSES = replace(FOUND, labels=("mood",), task="multiclass", metric="recall_macro", reasons={"metric": "so it seems"})


@pytest.mark.parametrize(
    ("top", "metric"),
    [
        ('name = "tiny"\ntask = "multilabel"   # or\nmetric = "f1_samples"\nsize = "laptop"\n\n', "recall_macro"),
        ('name = "tiny"\nmetric = "accuracy"\nsize = "laptop"\n\n', "accuracy"),
        ('metric = "mine.py:score"\ntask = "multilabel"\nname = "tiny"\nsize = "laptop"\n\n', "mine.py:score"),
        ('name = "tiny"\nsize = "laptop"\n\n', "recall_macro"),
    ],
)
def test_another_task_is_declared_with_a_metric_that_scores_it(tmp_path: Path, top: str, metric: str) -> None:
    path = tmp_path / "competition.toml"
    path.write_text(top + DATA + AFTER, encoding="utf-8")
    _fill_in(path, CLASSES)
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    assert (found["task"], found["metric"], found["size"], found["name"]) == ("multiclass", metric, "laptop", "tiny")
    assert found["data"]["labels"] == ["mood"] and found["folds"]["k"] == 7
    again = path.read_bytes()
    _fill_in(path, CLASSES)
    assert path.read_bytes() == again


def test_the_last_section_is_written_anew_too(tmp_path: Path) -> None:
    text = filled_in(tmp_path, BEFORE + AFTER + "\n" + DATA)
    assert text.startswith(BEFORE + AFTER + "\n[data]")
    assert data_of(text)["labels"] == ["joy", "fear"]
    assert text.count("[data]   #") == 1


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    for text in (BEFORE + DATA + "\n" + AFTER, BEFORE + AFTER + "\n" + DATA):
        once = filled_in(tmp_path, text)
        assert filled_in(tmp_path, once) == once


def test_names_that_look_like_a_pattern_are_written_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "competition.toml"
    path.write_text(BEFORE + DATA, encoding="utf-8")
    _fill_in(path, Found(train=r"a\1b\g<0>.csv", id="id"))
    assert data_of(path.read_text(encoding="utf-8"))["train"] == r"a\1b\g<0>.csv"


@pytest.mark.parametrize("after", ["# about the folds\n[folds]\nk = 7\n", "  [folds]\n  k = 7\n"])
def test_what_belongs_to_the_next_section_is_kept(tmp_path: Path, after: str) -> None:
    assert filled_in(tmp_path, BEFORE + DATA + "\n" + after).endswith(after)


@pytest.mark.parametrize("header", ["[ data ]", "  [data]"])
def test_a_header_may_have_spaces(tmp_path: Path, header: str) -> None:
    text = filled_in(tmp_path, BEFORE + DATA.replace("[data]", header) + "\n" + AFTER)
    assert data_of(text)["labels"] == ["joy", "fear"]


def test_the_line_ends_of_windows_are_kept(tmp_path: Path) -> None:
    after = AFTER.replace("\n", "\r\n")
    assert filled_in(tmp_path, (BEFORE + DATA + "\n").replace("\n", "\r\n") + after).endswith(after)


def paths(*names: str) -> list[Path]:
    return [Path("/data") / name for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ("sample_submission.csv", "test.csv", "train.csv"),
        ("train.tsv", "test.tsv", "sampleSubmission.csv", "images/train.png", "README.md"),
        ("Train.parquet", "Test.parquet", "test_submission.csv"),
        ("sample_test.csv", "train_extra_rows.csv", "test_labels_of_last_year.csv", "train.csv", "test.csv"),
    ],
)
def test_files_are_told_by_their_names(names: tuple[str, ...]) -> None:
    found = [_named(paths(*names), role) for role in ("train", "test", "sample")]
    assert all(path is not None for path in found)
    train, test, sample = (path.stem.lower() for path in found if path is not None)
    assert (train, test) == ("train", "test")
    assert "sample" in sample or "submission" in sample


def test_a_role_that_no_file_plays_stays_open() -> None:
    files = paths("train.csv", "notes.txt", "test.zip", "sample.json")
    assert _named(files, "train") == Path("/data/train.csv")
    assert _named(files, "test") is None
    assert _named(files, "sample") is None


def test_an_archive_is_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "data"
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        for name in ("train.csv", "more/test.csv"):
            archive.writestr(name, name)
        archive.mkdir("empty")
    files = _unpack(tmp_path / "toy.zip", folder, _DataFolder(folder, folder.with_name("downloaded.json")).put)
    assert files == [folder / "train.csv", folder / "more" / "test.csv"]
    assert [path.read_text() for path in files] == ["train.csv", "more/test.csv"]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*files, tmp_path / "toy.zip"])


@pytest.mark.parametrize("name", ["../competition.toml", "/etc/passwd2", "../data_2/x.csv"])
def test_an_archive_with_a_name_that_leads_elsewhere_is_refused_before_anything_of_it_is_written(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "workspace" / "data"
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        archive.writestr("train.csv", "id")
        archive.writestr(name, name)
    with pytest.raises(ArchiveError, match="is not unpacked, for its member"):
        _unpack(tmp_path / "toy.zip", folder, _DataFolder(folder, folder.with_name("downloaded.json")).put)
    assert list(tmp_path.iterdir()) == [tmp_path / "toy.zip"]


@pytest.mark.parametrize(("content", "message"), [(None, "did not arrive"), (b"PK torn", "is damaged")])
def test_an_archive_that_is_none_is_said_to_be_so(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "toy.zip").write_bytes(content)
    put = _DataFolder(tmp_path / "data", tmp_path / "downloaded.json").put
    with pytest.raises(KaggleError, match=message):
        _unpack(tmp_path / "toy.zip", tmp_path / "data", put)
    assert not (tmp_path / "data").exists()


def test_a_file_that_somebody_edited_stays_and_its_download_lies_beside_it(tmp_path: Path) -> None:
    folder, record = tmp_path / "data", tmp_path / "oof" / "downloaded.json"

    def downloaded(text: str) -> dict[Path, Path]:
        data = _DataFolder(folder, record)
        data.put(folder.resolve() / "train.csv", text.encode())
        data.remember()
        return data.kept

    train, beside = folder / "train.csv", folder / "train.downloaded.csv"
    assert downloaded("first") == {}
    assert downloaded("second") == {}  # as it was downloaded: the new one takes its place
    assert train.read_text() == "second"
    train.write_text("cleaned by hand")
    assert downloaded("third") == {train.resolve(): beside.resolve()}
    assert (train.read_text(), beside.read_text()) == ("cleaned by hand", "third")
    train.write_text("fourth")
    assert downloaded("fourth") == {}  # the same by another road
    record.unlink()
    assert downloaded("fifth") == {train.resolve(): beside.resolve()}  # nobody knows whose it is
    assert train.read_text() == "fourth"
