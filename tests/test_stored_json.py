from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from compete.stored_json import parsed_json, read_json


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 200 + "]" * 200, '{"a":' * 100 + "1" + "}" * 100, "{", "9" * 5000],
    ids=["open", "lists", "objects", "torn", "digits"],
)
def test_what_is_broken_or_deep_is_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parsed_json(text)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    value = {"a": [1, {"b": [None, "x"]}], "c": list(range(1000))}
    (tmp_path / "a.json").write_text(json.dumps(value), encoding="utf-8")
    assert read_json(tmp_path / "a.json") == value
    with pytest.raises(ValueError, match="at most 100 are read"):
        read_json(tmp_path / "a.json", most_bytes=100)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no file"):
        read_json(tmp_path / "pipe")
