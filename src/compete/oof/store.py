"""The OOF store: every file in oof/<model>/, its name, its checks, and nothing else that knows them.

    oof/<model>/fold_<k>/   one job's result: oof.parquet, test.parquet, curves.json, part.json (written last)
    oof/<model>/            all folds together: oof.parquet, test.parquet, manifest.json (written last)

A part folder appears by one rename, so it is whole or absent. part.json and manifest.json hold the hashes of
the files beside them and of themselves: a file that was touched, torn or swapped is recognised on every read.
While a model's own files are written a marker lies beside them: a run killed there left nothing of a user's.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compete import atomic
from compete.competition.column_names import free_name
from compete.competition.folds import FoldPlan
from compete.errors import StoreError
from compete.fingerprints import digest

FORMAT = 1
OOF, TEST, CURVES, PART, MANIFEST = "oof.parquet", "test.parquet", "curves.json", "part.json", "manifest.json"
WRITING = ".writing"
_CHANGED = "is not the file that compete wrote: its content has changed"


@dataclass(frozen=True)
class Probabilities:
    """A base model's or a stack's probabilities.

    oof: float32 (n_train, n_labels) in the order of the training rows; test: float32 (n_test, n_labels) in
    the order of the test file.
    """

    oof: NDArray[np.float32]
    test: NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """What every stored table must agree with: ids in order, and label columns in order."""

    train_ids: Sequence[str]
    test_ids: Sequence[str]
    labels: Sequence[str]


def part_folder(model_folder: Path, fold: int) -> Path:
    return model_folder / f"fold_{fold}"


def write_part(
    model_folder: Path,
    fold: int,
    ids: Sequence[str],
    probabilities: Probabilities,
    shape: Shape,
    record: Mapping[str, Any],
    curves: Sequence[Mapping[str, float]],
) -> None:
    """Write one job's result; `ids` and `probabilities.oof` are the rows of this fold only."""
    with atomic.new_folder(part_folder(model_folder, fold)) as folder:
        atomic.write_bytes(folder / OOF, to_parquet(ids, probabilities.oof, shape.labels))
        atomic.write_bytes(folder / TEST, to_parquet(shape.test_ids, probabilities.test, shape.labels))
        atomic.write_json(folder / CURVES, list(curves))
        hashes = {name: atomic.sha256_file(folder / name) for name in (OOF, TEST, CURVES)}
        write_record(folder / PART, {**record, "files": hashes})


def read_part(model_folder: Path, fold: int, plan: FoldPlan, shape: Shape) -> Probabilities:
    """One job's result; raises StoreError if a file is damaged, foreign or of other rows."""
    folder = part_folder(model_folder, fold)
    check_hashes(folder, read_record(folder / PART))
    ids = [shape.train_ids[row] for row in plan.rows(fold)]
    oof = read_probabilities(folder / OOF, ids, shape.labels)
    return Probabilities(oof, read_probabilities(folder / TEST, shape.test_ids, shape.labels))


def write_model(model_folder: Path, probabilities: Probabilities, shape: Shape, record: Mapping[str, Any]) -> None:
    """Write the files of a whole model, the manifest last."""
    atomic.write_bytes(model_folder / WRITING, b"")
    atomic.write_bytes(model_folder / OOF, to_parquet(shape.train_ids, probabilities.oof, shape.labels))
    atomic.write_bytes(model_folder / TEST, to_parquet(shape.test_ids, probabilities.test, shape.labels))
    hashes = {name: atomic.sha256_file(model_folder / name) for name in (OOF, TEST)}
    write_record(model_folder / MANIFEST, {**record, "files": hashes})
    (model_folder / WRITING).unlink()


def was_interrupted(model_folder: Path) -> bool:
    """Whether a run was killed while it wrote the model's own files, which then are not to be used."""
    return (model_folder / WRITING).exists()


def read_model(model_folder: Path, shape: Shape) -> Probabilities:
    """A whole model's probabilities; raises StoreError if a file is damaged, foreign or of other rows."""
    check_hashes(model_folder, read_record(model_folder / MANIFEST))
    return Probabilities(
        read_probabilities(model_folder / OOF, shape.train_ids, shape.labels),
        read_probabilities(model_folder / TEST, shape.test_ids, shape.labels),
    )


def read_record(path: Path) -> dict[str, Any]:
    """A part.json or manifest.json; raises StoreError if it is missing, damaged or of another format."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        complete = isinstance(record, dict) and record.get("sha256") == _record_digest(record)
    except FileNotFoundError:
        raise _damaged(path, "is missing, though there are files beside it") from None
    except (OSError, ValueError):
        complete = False
    if not complete:
        raise _damaged(path, "is damaged or was not written by this version of compete")
    return dict(record)


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a part.json or manifest.json with a hash of itself."""
    whole = json.loads(json.dumps({"format": FORMAT, **record}))
    atomic.write_json(path, {**whole, "sha256": _record_digest(whole)})


def _record_digest(record: Mapping[str, Any]) -> str:
    content = {name: value for name, value in record.items() if name != "sha256"}
    return digest([str(FORMAT), json.dumps(content, sort_keys=True)])


def check_hashes(folder: Path, record: Mapping[str, Any]) -> None:
    """Raise StoreError unless every file in `folder` is byte for byte what `record` says."""
    changed = changed_file(folder, record)
    if changed is not None:
        raise _damaged(*changed)


def changed_file(folder: Path, record: Mapping[str, Any]) -> tuple[Path, str] | None:
    """The first file in `folder` that is not byte for byte what `record` says, and what is wrong with it."""
    for name, expected in record["files"].items():
        path = folder / name
        if not path.is_file():
            return path, "is missing"
        if atomic.sha256_file(path) != expected:
            return path, _CHANGED
    return None


def to_parquet(ids: Sequence[str], probabilities: NDArray[np.float32], labels: Sequence[str]) -> bytes:
    """An id column, then one float32 column per label; the same input gives the same bytes.

    The id column is called id, or _id where that is a label. A hash of the rows lies in the file itself, which may be
    read where no record beside it has one.
    """
    columns = {free_name("id", labels): pa.array(list(ids), pa.string())}
    matrix = np.asarray(probabilities, dtype=np.float32)
    for number, label in enumerate(labels):
        columns[label] = pa.array(matrix[:, number])
    buffer = io.BytesIO()
    metadata = {"compete": _rows_digest(ids, labels, matrix)}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def _rows_digest(ids: Sequence[str], labels: Sequence[str], matrix: NDArray[np.float32]) -> str:
    return digest([digest(ids), digest(labels), np.ascontiguousarray(matrix).tobytes()])


def read_probabilities(path: Path, ids: Sequence[str], labels: Sequence[str]) -> NDArray[np.float32]:
    """Probabilities of exactly these ids and labels, in this order, float32 (len(ids), len(labels))."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, f"is not a parquet file that can be read ({type(error).__name__})") from None
    expected = [free_name("id", labels), *labels]
    if table.column_names != expected:
        raise _damaged(path, f"has the columns {', '.join(table.column_names)}, not {', '.join(expected)}")
    if table[expected[0]].to_pylist() != list(ids):
        raise _damaged(path, "holds other rows, or the same rows in another order")
    matrix = np.column_stack([table[label].to_numpy() for label in labels]).astype(np.float32)
    if not np.all((matrix >= 0) & (matrix <= 1)):  # NaN fails both
        raise _damaged(path, "holds values that are no probabilities")
    if (table.schema.metadata or {}).get(b"compete") != _rows_digest(ids, labels, matrix).encode():
        raise _damaged(path, _CHANGED)
    return matrix


def _damaged(path: Path, what: str) -> StoreError:
    folder = path.parent.parent if path.parent.name.startswith("fold_") else path.parent
    if folder.parent.name == "stacks":
        remedy = f"`compete stack {folder.name}` builds the stack again"
    else:
        remedy = (
            f"`compete train-base {folder.name} --force` trains the model again "
            f"(an imported model: `compete import {folder.name} ...` again)"
        )
    return StoreError(f"{path} {what}. Put the original back, or replace it: {remedy}.")
