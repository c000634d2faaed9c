from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import compete.competition.data
from compete.competition.data import Competition
from compete.competition.declaration import read_declaration
from compete.competition.row_fingerprints import remember_sources, row_fingerprints
from compete.competition.workspace import Workspace


class RowsReadError(Exception):
    """Raised in place of reading the rows, to tell that they would have been read."""


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(workspace: Workspace) -> Competition:
        raise RowsReadError

    monkeypatch.setattr(compete.competition.data, "load_competition", fail)


def fingerprints(workspace: Workspace) -> dict[str, str]:
    return row_fingerprints(workspace, read_declaration(workspace))


def record_of(workspace: Workspace) -> Path:
    return workspace.oof / "sources.json"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_nothing_is_parsed_when_nothing_has_changed(competition: Competition, no_reading: None) -> None:
    remember_sources(competition)
    assert fingerprints(competition.workspace) == competition.fingerprints


def test_without_a_record_the_rows_are_read_and_nothing_is_written(competition: Competition) -> None:
    assert fingerprints(competition.workspace) == competition.fingerprints
    assert not record_of(competition.workspace).exists()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("train.csv", "a0000", "z0000"),
        ("test.csv", "b0000", "z0000"),
        ("competition.toml", 'text = "text"', 'text = "id2"'),
        ("competition.toml", 'test = "test.csv"', 'test = ["test.csv", "more.csv"]'),
        ("competition.toml", 'text = "text"', 'text = "text"\nlabels = ["anger", "joy"]'),
        ("competition.toml", 'text = "text"', 'text = "text"\nquoting = "none"'),
    ],
)
def test_the_rows_are_read_when_a_file_or_how_it_is_read_changes(
    competition: Competition, no_reading: None, name: str, old: str, new: str
) -> None:
    remember_sources(competition)
    edit(competition.workspace.root / name, old, new)
    with pytest.raises(RowsReadError):
        fingerprints(competition.workspace)


def test_a_change_that_keeps_size_and_time_is_seen(competition: Competition) -> None:
    remember_sources(competition)
    path = competition.workspace.root / "train.csv"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    edit(path, "a0000", "z0000")
    os.utime(path, ns=times)
    after = fingerprints(competition.workspace)
    assert {name for name in after if after[name] != competition.fingerprints[name]} == {"train ids"}


def test_a_file_that_is_gone_is_read_for_and_missed(competition: Competition, no_reading: None) -> None:
    remember_sources(competition)
    (competition.workspace.root / "test.csv").unlink()
    with pytest.raises(RowsReadError):
        fingerprints(competition.workspace)


@pytest.mark.parametrize(("old", "new"), [("k = 3", "k = 4"), ('name = "tiny"', 'name = "other"\nmetric = "log_loss"')])
def test_edits_that_touch_no_row_need_no_reading(
    competition: Competition, no_reading: None, old: str, new: str
) -> None:
    remember_sources(competition)
    edit(competition.workspace.declaration, old, new)
    assert fingerprints(competition.workspace) == competition.fingerprints


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def another_thing(path: Path) -> None:
    path.write_text("[1, 2]")


def without_fingerprints(path: Path) -> None:
    record = json.loads(path.read_text())
    del record["fingerprints"]
    path.write_text(json.dumps(record))


@pytest.mark.parametrize("damage", [cut_in_half, not_text, another_thing, without_fingerprints])
def test_a_broken_record_is_ignored_and_mended(competition: Competition, damage: Callable[[Path], None]) -> None:
    remember_sources(competition)
    path = record_of(competition.workspace)
    whole = path.read_bytes()
    damage(path)
    assert fingerprints(competition.workspace) == competition.fingerprints
    remember_sources(competition)
    assert path.read_bytes() == whole


def test_a_record_of_an_older_way_of_reading_is_not_believed(
    competition: Competition, no_reading: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_sources(competition)
    monkeypatch.setattr("compete.competition.row_fingerprints.READING_VERSION", 99)
    with pytest.raises(RowsReadError):
        fingerprints(competition.workspace)


def test_remembering_what_is_remembered_touches_nothing(competition: Competition) -> None:
    remember_sources(competition)
    path = record_of(competition.workspace)
    os.utime(path, ns=(1, 1))
    remember_sources(competition)
    assert path.stat().st_mtime_ns == 1
