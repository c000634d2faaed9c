"""Files that promise more than they are, or hold what nobody expects there."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WIDE = ",".join(f"c{number}" for number in range(100_000))
"""The head of a table of 100,000 columns."""


def squeezed(content: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        content = gzip.compress(content, 1)
    return content


def gzip_bomb() -> bytes:
    """300 MiB in 300 KiB: members of a gzip file follow one another."""
    return gzip.compress(b"1,x,1\n" * 2**20, 9) * 50


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("train.csv", "w") as file:
        for _ in range(200):
            file.write(b"1,x,1\n" * 2**18)
    return packed.getvalue()


def tar_with(kind: bytes, name: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    return packed.getvalue()


def parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


def promising_rows(path: Path, rows: int, columns: list[str]) -> None:
    """A parquet file of kilobytes that is gigabytes: nothing, again and again."""
    pq.write_table(pa.table({name: pa.nulls(rows) for name in columns}), path, row_group_size=rows)
