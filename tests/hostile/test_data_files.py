"""Data files."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from compete.competition.workspace import Workspace
from support.bombs import WIDE, gzip_bomb, parquet, promising_rows, squeezed, tar_with, zip_bomb
from support.hostile import (
    DECLARATION,
    ESCAPE,
    Arrange,
    Case,
    Content,
    all_of,
    cases,
    edits,
    pipe,
    writes,
)

pytestmark = pytest.mark.slow


def train_is(file: str, content: Content) -> Arrange:
    return all_of(edits(DECLARATION, '"train.csv"', f'"{file}"'), writes(file, content))


DATA: dict[str, tuple[str, Content, str]] = {
    "a line of 40 MiB": (
        "a.csv",
        lambda: b"id,text,joy\n1," + b"x" * (40 * 2**20) + b",1\n",
        "has a line of more than",
    ),
    "a first line of 40 MiB": ("a.csv", lambda: b"i" * (40 * 2**20), "has a line of more than"),
    "a line of 40 MiB, packed": (
        "a.csv.gz",
        lambda: gzip.compress(b"id,text\n1," + b"x" * (40 * 2**20), 1),
        "has a line of more than",
    ),
    "100,000 columns": ("a.csv", WIDE.encode() + b"\n", "has 100,000 columns"),
    "100,000 keys": ("a.jsonl", json.dumps({f"k{n}": 1 for n in range(100_000)}).encode(), "has 100,000 columns"),
    "100,000 columns of parquet": (
        "a.parquet",
        parquet(pa.table({f"c{n}": pa.array([], pa.int8()) for n in range(10_001)})),
        "has 10,001 columns",
    ),
    "JSON that is nested deeply": ("a.jsonl", b'{"id": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "line 1 is not JSON"),
    "a gzip bomb": ("a.csv.gz", gzip_bomb, "that is a bomb"),
    "a zip bomb": ("a.zip", zip_bomb, "that is a bomb"),
    "packed ten times": ("a.csv.gz", squeezed(b"id,text\n", 10), "is packed more than"),
    "a tar of a link": ("a.tar", tar_with(tarfile.SYMTYPE, "train.csv"), "holds no file"),
    "a tar of a device": ("a.tar", tar_with(tarfile.CHRTYPE, "train.csv"), "holds no file"),
    "a tar of a pipe": ("a.tar", tar_with(tarfile.FIFOTYPE, "train.csv"), "holds no file"),
    "bytes that are no parquet": ("a.parquet", b"PAR1" + bytes(100) + b"PAR1", "is damaged"),
    "NULs": ("a.csv", bytes(5000), "UTF-16"),
    "a column of escape sequences": ("a.csv", f"id,text,joy{ESCAPE}\n1,x,9\n".encode(), "\\x1b"),
    "a column that is there twice": ("a.csv", b"id,text,joy,joy\n1,x,1,1\n", "twice"),
    "nothing": ("a.csv", b"", "is empty"),
}


def data() -> Iterator[Case]:
    for what, (file, content, said) in DATA.items():
        yield Case(f"data: {what}", ("folds",), (said,), train_is(file, content))
        # A column's name that nobody guesses to be a label is none of init's business.
        told, code = ((), 0) if what == "a column of escape sequences" else ((said,), 2)
        command = ("init", "new", "--train", file, "--test", "test.csv")
        yield Case(f"init: {what}", command, told, writes(file, content), code)
    yield Case("data: a pipe", ("folds",), ("is no file",), pipe("train.csv"))
    yield Case("init: a pipe", ("init", "new", "--train", "pipe", "--test", "test.csv"), ("is no file",), pipe("pipe"))
    yield Case("new texts: a pipe", ("predict", "pipe.csv", "words"), ("is no file",), pipe("pipe.csv"))
    yield Case("new texts: a device", ("predict", "/dev/zero", "words"), ("is no file",))
    yield Case("a parquet file of 60 million rows", ("folds",), ("rows, at most",), promised)


def promised(workspace: Workspace) -> None:
    promising_rows(workspace.root / "a.parquet", 60_000_000, ["id"])
    edits(DECLARATION, '"train.csv"', '"a.parquet"')(workspace)


@cases(data, least=40)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
