"""That a file in the manner of a sample is that sample, byte for byte, is in test_csv_file."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.manner import Manner, encoding_of, manner_of


def learnt(text: str, values: list[str] | None = None, separator: str = ",") -> Manner:
    return manner_of(text.encode(), separator, "utf-8", 0, values or [])


def test_a_manner_is_learnt_from_the_bytes() -> None:
    found = learnt('\ufeff"id"; joy\r\n"a;1"; 0 \r\n"b"; 0 \r\n', ["0"], ";")
    assert (found.separator, found.line_end, found.encoding, found.ends) == (";", "\r\n", "utf-8", True)
    assert found.header == '\ufeff"id"; joy'
    assert found.around == (('"', '"'), (" ", " "))
    assert found.names(["id", "joy"]) == ["id", "joy"]
    assert found.text(["id", "joy"], [["c", "1"]]) == '\ufeff"id"; joy\r\n"c"; 1 \r\n'


@pytest.mark.parametrize(
    ("values", "off_on"),
    [
        (["0", "1"], ("0", "1")),
        (["0.0"], ("0.0", "1.0")),
        (["0.", "1."], ("0.", "1.")),
        (["0.00", "1.00"], ("0.00", "1.00")),
        ([" 0.0"], ("0.0", "1.0")),
        (["0.0", "0"], ("0", "1")),
        (["0.5"], ("0", "1")),
        (["False", "True"], ("False", "True")),
        (["FALSE"], ("FALSE", "TRUE")),
        (["False", "0"], ("0", "1")),
        ([], ("0", "1")),
    ],
)
def test_decisions_are_written_as_all_of_the_sample_writes_them(values: list[str], off_on: tuple[str, str]) -> None:
    assert learnt("id,joy\na,0\n", values).off_on == off_on


def test_blanks_around_an_id_are_part_of_it() -> None:
    assert learnt("id,joy\n a, 0\n").around == (("", ""), (" ", ""))


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (b"id", "utf-8", "utf-8"),
        (b"\xef\xbb\xbfid", "UTF8", "utf-8"),
        (b"id", "latin-1", "latin-1"),
        ("id".encode("utf-16"), "utf-8", "utf-16"),
        (b"", "utf-8", "utf-8"),
    ],
)
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, content: bytes, declared: str, found: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    assert encoding_of(tmp_path / "x.csv", declared) == found
