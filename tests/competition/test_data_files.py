from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from compete.competition.data import load_competition
from compete.competition.data_files import is_table, open_text, unpacked_name
from compete.competition.reading import read_table
from compete.competition.workspace import Workspace
from compete.errors import DataError

# The last field of the last row is empty: what once was opened a second time, and not unpacked.
CONTENT = 'id\ttext\n007\t"NA"\n008\t\n'


def as_zip(content: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("test.tsv",):
            archive.writestr(name, content)
    return buffer.getvalue()


def as_tar(content: bytes, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("test.tsv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "test.tsv": bytes,
    "test.tsv.gz": gzip.compress,
    "test.tsv.bz2": bz2.compress,
    "test.tsv.xz": lzma.compress,
    "test.tsv.zip": as_zip,
    "test.zip": as_zip,
    "test.TSV.GZ": gzip.compress,
    "test.tar": as_tar,
    "test.tar.gz": lambda content: as_tar(content, "w:gz"),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_packed_file_is_read_as_what_is_in_it(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKED[name](CONTENT.encode(encoding)))
    table = read_table(path)
    assert table.to_dict("list") == {"id": ["007", "008"], "text": ["NA", ""]}


def test_what_it_is_packed_in_is_told_by_content_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_bytes(gzip.compress(CONTENT.encode()))
    assert read_table(path)["id"].tolist() == ["007", "008"]


@pytest.mark.parametrize(("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
def test_a_byte_order_mark_counts_more_than_what_is_declared(tmp_path: Path, mark: bytes, encoding: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(mark + "id,text\n1,café\n".encode(encoding))
    assert read_table(path)["text"].tolist() == ["café"]
    assert read_table(path, encoding="latin-1")["text"].tolist() == ["café"]


def test_every_file_of_a_competition_has_the_encoding_that_it_says(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes("id,text,größe\n1,café,1\n2,tee,0\n".encode("utf-16"))
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress("id,text\n3,naïve\n4,\n".encode("utf-16")))
    (tmp_path / "sample.csv").write_text("id,größe\n3,0\n4,0\n", encoding="utf-8")
    (tmp_path / "competition.toml").write_text(
        'name = "x"\n[data]\ntrain = "train.csv"\ntest = "test.csv.gz"\nsample_submission = "sample.csv"\n'
        'id = "id"\ntext = "text"\n'
    )
    competition = load_competition(Workspace(tmp_path))
    assert (competition.labels, competition.train_texts) == (("größe",), ["café", "tee"])
    assert competition.test_texts == ["naïve", ""]


def test_utf_16_without_a_mark_is_recognised_and_the_encoding_named(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    for encoding in ("utf-16-le", "utf-16-be"):
        path.write_bytes("id,text\n1,café\n".encode(encoding))
        with pytest.raises(DataError, match=rf'train\.csv is not UTF-8 .*data\.encoding to "{encoding}"'):
            read_table(path)
        assert read_table(path, encoding=encoding)["text"].tolist() == ["café"]


@pytest.mark.parametrize("name", [name for name in PACKED if name not in {"test.tsv", "test.tar"}])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    packed = PACKED[name](CONTENT.encode() * 99)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=rf"{name.split('.')[0]}\..* is damaged"):
        read_table(path)


def test_an_archive_of_several_files_names_them_and_a_macs_own_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    path.write_bytes(as_zip(CONTENT.encode(), "train.csv", "test.csv"))
    with pytest.raises(DataError, match=r"all\.zip holds 2 files \(train\.csv, test\.csv\), expected one: unpack it"):
        read_table(path)
    path.write_bytes(as_zip(CONTENT.encode(), "test.tsv", "__MACOSX/._test.tsv"))
    assert len(read_table(path)) == 2


def test_a_zip_with_a_password_is_to_be_unpacked_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "test.zip"
    content = bytearray(as_zip(CONTENT.encode()))
    for record, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(record) + flags] |= 1  # "is encrypted", in the member and in the list of members
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"test\.zip cannot be unpacked .*by hand"):
        read_table(path)


def test_zstandard_is_read_where_there_is_a_reader_and_refused_in_words_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv.zst"
    # A frame of one raw block: magic, a header that gives the size in one byte, the block's length, the content.
    content = CONTENT.encode()
    path.write_bytes(
        b"\x28\xb5\x2f\xfd\x20" + bytes([len(content)]) + (len(content) << 3 | 1).to_bytes(3, "little") + content
    )
    if sys.version_info >= (3, 14) or importlib.util.find_spec("zstandard"):
        assert read_table(path)["id"].tolist() == ["007", "008"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "zstandard", None)
        patch.setitem(sys.modules, "compression.zstd", None)
        with pytest.raises(DataError, match=r"packed with Zstandard, .*: unpack it first"):
            read_table(path)


def test_line_ends_are_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"a\r\nb\rc\n")
    with open_text(path) as file:
        assert file.read() == "a\r\nb\rc\n"


def test_names_of_tables(tmp_path: Path) -> None:
    tables = ["a.csv", "a.TSV", "a.csv.gz", "a.jsonl", "a.ndjson.zip", "a.parquet", "a.xlsx", "a.txt"]
    assert [name for name in [*tables, "a.zip", "a.png", "a.md", "csv"] if is_table(Path(name))] == tables
    assert str(unpacked_name(Path("data/train.tsv.gz"))) == "train.tsv"
    assert str(unpacked_name(Path(".gz"))) == ".gz"
