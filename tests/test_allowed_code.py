from __future__ import annotations

import os
from pathlib import Path

import pytest

from compete.allowed_code import CONFIG, allow, allowed_files, check_allowed, is_allowed
from compete.errors import UserError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CONFIG, str(tmp_path / "config"))
    (tmp_path / "mine.py").write_text("def score(truth, predicted): return 1.0\n", encoding="utf-8")
    return tmp_path / "mine.py"


def test_what_is_allowed_is_a_content_wherever_it_lies(file: Path) -> None:
    assert not is_allowed(file)
    with pytest.raises(UserError, match=r"^mine\.py is code of this workspace that nobody has allowed"):
        check_allowed(file)
    allow(file)
    check_allowed(file)
    copy = file.with_name("copy.py")
    copy.write_bytes(file.read_bytes())
    check_allowed(copy)
    copy.write_bytes(file.read_bytes() + b"# edited\n")
    assert not is_allowed(copy)
    allow(copy)
    assert is_allowed(file) and is_allowed(copy)


def test_it_is_remembered_where_no_workspace_decides(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert allowed_files() == file.parent / "config" / "allowed.json"
    monkeypatch.delenv(CONFIG)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file.parent / "xdg"))
    assert allowed_files() == file.parent / "xdg" / "compete" / "allowed.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert allowed_files() == Path.home() / ".config" / "compete" / "allowed.json"


@pytest.mark.parametrize("content", ["", "[]", "{", '"all"', "[" * 10_000])
def test_a_broken_memory_allows_nothing_and_is_written_anew(file: Path, content: str) -> None:
    allowed_files().parent.mkdir()
    allowed_files().write_text(content, encoding="utf-8")
    assert not is_allowed(file)
    allow(file)
    assert is_allowed(file)


def test_what_cannot_be_read_or_remembered_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"none\.py cannot be read: No such file"):
        allow(file.with_name("none.py"))
    monkeypatch.setenv(CONFIG, os.fspath(file))
    with pytest.raises(UserError, match=r"allowed\.json cannot be written: .*COMPETE_CONFIG=FOLDER"):
        allow(file)
