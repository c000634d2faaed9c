from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compete.competition.reading import read_table
from compete.errors import DataError


@pytest.mark.parametrize("name", ["train.jsonl", "train.ndjson", "train.json"])
def test_json_lines_are_strings_as_they_are_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(
        '{"id": "007", "text": "NA", "joy": 1, "share": 1.0, "long": 628949369883000832123}\n\n'
        '{"id": 8, "text": "two\\nlines \\u2028 \\"q\\"", "joy": true, "share": null}\n'
        '{"id": "9", "text": "", "joy": false, "share": 1e-7, "more": ["a b", 1, null, {"k": 2}]}\n',
        encoding="utf-8",
    )
    assert read_table(path).to_dict("list") == {
        "id": ["007", "8", "9"],
        "text": ["NA", 'two\nlines \u2028 "q"', ""],
        "joy": ["1", "1", "0"],
        "share": ["1.0", "", "1e-7"],
        "long": ["628949369883000832123", "", ""],
        "more": ["", "", '["a b", 1, null, {"k": 2}]'],
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"id": 1}\n{"id": 2\n', r"train\.jsonl line 2 is not JSON"),
        ('{"id": 1}\n[1, 2]\n', r"train\.jsonl line 2 holds no object"),
        ('[{"id": 1}, {"id": 2}]\n', r"line 1 holds no object.*orient=\"records\", lines=True"),
        ('{"id": 1, "id": 2}\n', r"line 1 is not JSON \(the key 'id' twice\)"),
        ('[\n  {"id": 1}\n]\n', r"line 1 is not JSON .*orient=\"records\", lines=True"),
        ("\n", r"train\.jsonl is empty"),
    ],
)
def test_what_is_no_line_of_json_is_named(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=expected):
        read_table(path)


def test_lists_in_parquet_are_written_as_json_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    table = pd.DataFrame({"id": ["1", "2"], "labels": [[27], [2, 10]], "names": [["joy"], ["a b", "c"]]})
    table.assign(half=np.array([0.5, np.nan]), joy=[True, False]).to_parquet(path)
    assert read_table(path).to_dict("list") == {
        "id": ["1", "2"],
        "labels": ["[27]", "[2, 10]"],
        "names": ['["joy"]', '["a b", "c"]'],
        "half": ["0.5", ""],
        "joy": ["1", "0"],
    }


def test_a_parquet_file_of_another_name_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "train.pq"
    pd.DataFrame({"id": ["1"]}).to_parquet(path)
    assert read_table(path)["id"].tolist() == ["1"]


def test_a_workbook_says_what_to_do_where_it_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    new, old = tmp_path / "train.xlsx", tmp_path / "train.xls"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    new.write_bytes(buffer.getvalue())
    with pytest.raises(
        DataError, match=r'train\.xlsx is an Excel workbook: save it as "CSV UTF-8".*pip install openpyxl'
    ):
        read_table(new)
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    with pytest.raises(DataError, match=r'train\.xls is an Excel workbook: save it as "CSV UTF-8" in Excel$'):
        read_table(old)


def test_a_workbook_is_read_as_strings(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "train.xlsx"
    book = openpyxl.Workbook()
    for row in [["id ", "text", "joy", "anger"], ["007", "NA", 1, True], ["8", None, 0.5, False]]:
        book.active.append(row)
    book.create_sheet("empty")
    book.save(path)
    assert read_table(path).to_dict("list") == {
        "id": ["007", "8"],
        "text": ["NA", ""],
        "joy": ["1", "0.5"],
        "anger": ["1", "0"],
    }
    book.create_sheet("notes").append(["x"])
    book.save(path)
    with pytest.raises(DataError, match=r"2 sheets with rows \(Sheet, notes\), expected one"):
        read_table(path)
    path.write_bytes(path.read_bytes().replace(b"xl/workbook.xml", b"xl/notabook.xml"))
    with pytest.raises(DataError, match="is not an Excel workbook that can be read"):
        read_table(path)
