"""Probabilities to import."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from support.bombs import WIDE, gzip_bomb, parquet
from support.hostile import (
    ESCAPE,
    Case,
    Content,
    cases,
    pipe,
    writes,
)

pytestmark = pytest.mark.slow

IMPORT = (
    "import",
    "mate",
    "--oof",
    "mate.npy",
    "--test",
    "mate.npy",
    "--oof-ids",
    "test.csv",
    "--test-ids",
    "test.csv",
)


def npy(shape: str, kind: str = "<f8", content: bytes = b"") -> bytes:
    """A header that promises what it likes."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def objects() -> bytes:
    written = io.BytesIO()
    np.save(written, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return written.getvalue()


NPY = {
    "objects": (objects(), "which are never loaded"),
    "terabytes promised": (npy("(90, 500000000000)"), "its header promises"),
    "a shape that overflows": (npy("(9223372036854775807, 9223372036854775807)"), "its header promises"),
    "a negative shape": (npy("(-90, 3)"), "its header promises"),
    "a shape of words": (npy("'many'"), "is not an .npy file"),
    "a header of code": (npy("__import__('os').system('touch x')"), "is not an .npy file"),
    "a header without end": (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", "is not an .npy file"),
    "another version": (b"\x93NUMPY\x09\x00\x10\x00{", "is not an .npy file"),
    "dates": (npy("(2, 3)", "<M8[s]", bytes(48)), "of real numbers"),
    "complex numbers": (npy("(1, 3)", "<c16", bytes(48)), "of real numbers"),
    "more than promised": (npy("(1, 3)", "<f8", bytes(4800)), "its header promises"),
    "a zip file": (b"PK\x03\x04" + bytes(100), "is not an .npy file"),
    "nothing": (b"", "is not an .npy file"),
}
NESTED = pa.table({"id": ["b0000"], "joy": [[0.5]], "anger": [{"p": 0.5}], "trust": [0.5]})
TABLES: dict[str, tuple[str, Content, str]] = {
    "parquet of lists and objects": ("mate.parquet", parquet(NESTED), "hold lists or objects"),
    "parquet of bytes": (
        "mate.parquet",
        parquet(pa.table({"id": ["b0000"], "joy": [b"\x80\x04K\x07."]})),
        "hold lists or objects",
    ),
    "100,000 columns": ("mate.csv", WIDE.encode() + b"\n", "has 100,000 columns"),
    "5,000 columns": ("mate.csv", ",".join(f"c{n}" for n in range(5000)).encode() + b"\n", "more; it needs id"),
    "a line of 40 MiB": ("mate.csv", lambda: b"id,joy\n" + b"1" * (40 * 2**20), "has a line of more than"),
    "a gzip bomb": ("mate.csv.gz", gzip_bomb, "that is a bomb"),
    "escape sequences": ("mate.csv", f"id,{ESCAPE}\n1,2\n".encode(), "\\x1b"),
    "ids of escape sequences": ("mate.csv", f"id,joy,anger,trust\n{ESCAPE},0.1,0.1,0.1\n".encode(), "unknown"),
    "numbers of a thousand digits": (
        "mate.csv",
        b"id,joy,anger,trust\nb0000," + b"9" * 1000 + b",0.1,0.1\n",
        "mate.csv",
    ),
}


def imports() -> Iterator[Case]:
    for what, (header, said) in NPY.items():
        yield Case(f"import of npy: {what}", IMPORT, (said,), writes("mate.npy", header))
    for what, (file, content, said) in TABLES.items():
        yield Case(f"import: {what}", ("import", "mate", "--oof", file, "--test", file), (said,), writes(file, content))
    for file in ("mate.csv", "mate.npy", "mate.parquet"):
        yield Case(
            f"import of a pipe: {file}", ("import", "mate", "--oof", file, "--test", file), ("is no file",), pipe(file)
        )
    yield Case("import of a device", ("import", "mate", "--oof", "/dev/zero", "--test", "/dev/zero"), ("is no file",))
    yield Case("import of a folder", ("import", "mate", "--oof", "oof", "--test", "oof"), ("is no file",))
    yield Case(
        "import of secrets", ("import", "mate", "--oof", "/etc/passwd", "--test", "/etc/passwd"), ("/etc/passwd",)
    )


@cases(imports, least=25)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
