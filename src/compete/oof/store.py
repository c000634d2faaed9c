"""The OOF store: what lies in the folder of a base model or a stack, and its checks.

A part folder appears by one rename, so it is whole or absent. part.json and manifest.json hold the hashes of
the files beside them and of themselves: a file that was touched, torn or swapped is recognised on every read.
While a model's own files are written a marker lies beside them: a run killed there left nothing of a user's.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compete import atomic
from compete.competition.column_names import free_name
from compete.competition.folds import FoldPlan
from compete.competition.names import is_model_name, stays_inside
from compete.competition.shape import Shape
from compete.competition.workspace import ResultFolder
from compete.errors import StoreError
from compete.fingerprints import digest
from compete.stored_json import read_json

FORMAT = 1
_CHANGED = "is not the file that compete wrote: its content has changed"


@dataclass(frozen=True)
class Predictions:
    """A base model's or a stack's probabilities."""

    oof: NDArray[np.float32]
    """float32 (n_train, n_labels), in the order of the training rows; of one fold, its rows alone."""
    test: NDArray[np.float32]
    """float32 (n_test, n_labels), in the order of the test file."""


def write_part(
    part: ResultFolder,
    ids: Sequence[str],
    probabilities: Predictions,
    shape: Shape,
    record: Mapping[str, Any],
    curves: Sequence[Mapping[str, float]],
) -> None:
    """Write one job's result; `ids` and `probabilities.oof` are the rows of this fold only."""
    with atomic.new_folder(part.path) as path:
        folder = replace(part, path=path)
        atomic.write_bytes(folder.oof, to_parquet(ids, probabilities.oof, shape.labels))
        atomic.write_bytes(folder.test, to_parquet(shape.test_ids, probabilities.test, shape.labels))
        atomic.write_json(folder.curves, list(curves))
        write_record(folder.record, {**record, "files": _hashes(folder.oof, folder.test, folder.curves)})


def read_part(part: ResultFolder, plan: FoldPlan, shape: Shape) -> Predictions:
    """One job's result; raises StoreError if a file is damaged, foreign or of other rows."""
    check_hashes(part, read_record(part))
    assert part.fold is not None
    ids = [shape.train_ids[row] for row in plan.rows(part.fold)]
    return Predictions(_read_table(part, part.oof, ids, shape), _read_table(part, part.test, shape.test_ids, shape))


def write_model(folder: ResultFolder, probabilities: Predictions, shape: Shape, record: Mapping[str, Any]) -> None:
    """Write the files of a whole model or a stack, the manifest last."""
    atomic.write_bytes(folder.writing, b"")
    atomic.write_bytes(folder.oof, to_parquet(shape.train_ids, probabilities.oof, shape.labels))
    atomic.write_bytes(folder.test, to_parquet(shape.test_ids, probabilities.test, shape.labels))
    write_record(folder.record, {**record, "files": _hashes(folder.oof, folder.test)})
    folder.writing.unlink()


def was_interrupted(folder: ResultFolder) -> bool:
    """Whether a run was killed while it wrote the model's own files, which then are not to be used."""
    return folder.writing.exists()


def read_model(folder: ResultFolder, shape: Shape) -> Predictions:
    """A whole model's probabilities; raises StoreError if a file is damaged, foreign or of other rows."""
    check_hashes(folder, read_record(folder))
    return Predictions(
        _read_table(folder, folder.oof, shape.train_ids, shape),
        _read_table(folder, folder.test, shape.test_ids, shape),
    )


def read_record(folder: ResultFolder) -> dict[str, Any]:
    """A part.json or manifest.json; raises StoreError if it is missing, damaged or of another format."""
    try:
        record = intact_record(folder.record)
    except FileNotFoundError:
        raise _damaged(folder, folder.record, "is missing, though there are files beside it") from None
    whole = (
        record is not None and record["files"].keys() >= {folder.oof.name, folder.test.name} and "identity" in record
    )
    if record is None or not whole:
        raise _damaged(folder, folder.record, "is damaged or was not written by this version of compete")
    return record


def intact_record(path: Path) -> dict[str, Any] | None:
    """What `write_record` wrote, None if it is damaged or foreign; raises FileNotFoundError."""
    try:
        record = read_json(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("sha256") != _record_digest(record):
        return None
    return record if _is_well_formed(record) else None


# What a record may hold and of which types: whoever changes one can write its hash anew.
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "kind": str,
    "model": str,
    "fold": int,
    "seconds": (int, float),
    "models": list,
    "warnings": list,
    "checkpoint": dict,
    "score": dict,
    "draws": list,
    "to_check": bool,
    "stays": bool,
}


def _is_well_formed(record: Mapping[str, Any]) -> bool:
    """Whether what compete reads of a record is of the kind that it writes, and every name in it is a name."""
    texts = ("files", "identity", "made_by")
    if not all(_texts_by_name(record.get(key, {})) for key in texts) or "files" not in record:
        return False
    if not all(isinstance(record[key], kind) for key, kind in _TYPES.items() if key in record):
        return False
    if not 0 <= record.get("seconds", 0) < math.inf:  # NaN is neither
        return False
    return (
        all(stays_inside(name) for name in record["files"])
        and all(is_model_name(name) for name in record.get("models", ()))
        and all(_is_warning(warning) for warning in record.get("warnings", ()))
        and _texts_by_name(record.get("checkpoint", {}))
    )


def _texts_by_name(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _is_warning(value: object) -> bool:
    return isinstance(value, str) or (_texts_by_name(value) and set(value) == {"text", "label"})  # type: ignore[call-overload]


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a part.json, a manifest.json or a kept.json, with a hash of itself."""
    # As it will be read: JSON turns tuples into lists and numbers among the keys into text, and the hash must agree.
    whole = json.loads(json.dumps({"format": FORMAT, **record}))
    atomic.write_json(path, {**whole, "sha256": _record_digest(whole)})


def _record_digest(record: Mapping[str, Any]) -> str:
    content = {name: value for name, value in record.items() if name != "sha256"}
    # Of the format that this version writes: a record of another is refused, not misread.
    return digest([str(FORMAT), json.dumps(content, sort_keys=True)])


def _hashes(*files: Path) -> dict[str, str]:
    return {file.name: atomic.sha256_file(file) for file in files}


def hash_of(record: Mapping[str, Any], file: Path) -> str:
    """The hash that a record has of a file beside it."""
    return str(record["files"][file.name])


def check_hashes(folder: ResultFolder, record: Mapping[str, Any]) -> None:
    """Raise StoreError unless every file in the folder is byte for byte what `record` says."""
    changed = changed_file(folder.path, record)
    if changed is not None:
        raise _damaged(folder, *changed)


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


def _read_table(folder: ResultFolder, path: Path, ids: Sequence[str], shape: Shape) -> NDArray[np.float32]:
    """As `read_predictions`; the error says how to have the result made again."""
    try:
        return read_predictions(path, ids, shape.labels, probabilities=shape.probabilities)
    except StoreError as error:
        raise StoreError(f"{error}. {remedy(folder)}") from None


def read_predictions(
    path: Path, ids: Sequence[str], labels: Sequence[str], *, probabilities: bool = True
) -> NDArray[np.float32]:
    """Predictions of exactly these ids and labels, in this order, float32 (len(ids), len(labels)).

    Raises StoreError for a file of anything else, or one whose content has changed.
    """
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows != len(ids):  # before they are read: a small file can promise any number
            raise StoreError(f"{path} holds other rows: {file.metadata.num_rows}, expected {len(ids)}")
        table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is not a parquet file that can be read ({type(error).__name__})") from None
    expected = [free_name("id", labels), *labels]
    if table.column_names != expected:
        raise StoreError(f"{path} has the columns {', '.join(table.column_names)}, not {', '.join(expected)}")
    if not all(pa.types.is_floating(table.schema.field(place + 1).type) for place in range(len(labels))):
        raise StoreError(f"{path} holds values that are no {'probabilities' if probabilities else 'numbers'}")
    if table[expected[0]].to_pylist() != list(ids):
        raise StoreError(f"{path} holds other rows, or the same rows in another order")
    matrix = np.column_stack([table[label].to_numpy() for label in labels]).astype(np.float32)
    if not np.all((matrix >= 0) & (matrix <= 1) if probabilities else np.isfinite(matrix)):  # NaN fails all of them
        raise StoreError(f"{path} holds values that are no {'probabilities' if probabilities else 'numbers'}")
    if (table.schema.metadata or {}).get(b"compete") != _rows_digest(ids, labels, matrix).encode():
        raise StoreError(f"{path} {_CHANGED}")
    return matrix


def _damaged(folder: ResultFolder, path: Path, what: str) -> StoreError:
    return StoreError(f"{path} {what}. {remedy(folder)}")


def remedy(folder: ResultFolder) -> str:
    """What to do about a result that cannot be used."""
    name = folder.name
    if folder.kind == "stack":
        how = f"`compete stack {name}` builds the stack again"
    else:
        how = (
            f"`compete train-base {name} --force` trains the model again "
            f"(an imported model: `compete import {name} ...` again)"
        )
    return f"Put the original back, or replace it: {how}."
