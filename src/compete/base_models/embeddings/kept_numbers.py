"""What an encoder says of texts, computed once and kept for all folds and for every recipe that reads it the same way.

One file for the texts of each length. Jobs that run side by side share the work: a length that another job is at is
left for later, and by then most of it is there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from compete import atomic
from compete.base_models.embeddings.encoder import Encoder
from compete.base_models.families import FitContext
from compete.base_models.pretrained.batching import Row
from compete.base_models.pretrained.text_rows import TYPES

READING = 0.9  # of a job: what a head takes is little beside it
_KEY = 12  # bytes
_SPARE = 2 * 10**9  # bytes that the rest of a run may need


def numbers_of(encoder: Encoder, texts: Sequence[str], context: FitContext) -> NDArray[np.float32]:
    """(len(texts), width) float32; kept in the folder that all folds share, if there is one with room."""
    rows = encoder.rows(texts)
    by_length: dict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_length[row["length"]].append(number)
    folder = _folder(encoder, len(rows), context)
    values = np.empty((len(rows), encoder.width), dtype=np.float32)
    lengths = sorted(by_length)
    start = context.seed % max(len(lengths), 1)  # elsewhere than the jobs beside this one
    waiting = [*lengths[start:], *lengths[:start]]
    done = 0
    for patient in (False, True):
        later = []
        for length in waiting:
            members = by_length[length]
            found = _of_length(encoder, [rows[number] for number in members], folder, length, patient=patient)
            if found is None:
                later.append(length)
                continue
            values[members] = found
            done += len(members)
            context.progress(READING * done / len(rows), f"{done:,} of {len(rows):,} texts read")
        waiting = later
    return values


def _folder(encoder: Encoder, n_texts: int, context: FitContext) -> Path | None:
    """Where the numbers are kept, made if need be; None where nothing can be written, or there is no room."""
    if context.features is None:
        return None
    folder = context.features / encoder.identity
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(folder).free - n_texts * encoder.width * 4
    except OSError:
        return None
    if room < _SPARE:
        context.warnings.append("no room on the disk for what the checkpoint says of texts: every fold reads them anew")
        return None
    return folder


def _of_length(
    encoder: Encoder, rows: Sequence[Row], folder: Path | None, length: int, *, patient: bool
) -> NDArray[np.float32] | None:
    """Of rows of one length; None where another job is at them and this one would rather not wait."""
    if folder is None:
        return encoder.numbers(rows)
    keys = [_key(row) for row in rows]
    try:
        with FileLock(folder / f"{length}.lock", timeout=-1 if patient else 0):
            return _known_or_computed(folder / f"{length}.safetensors", keys, rows, encoder.numbers)
    except Timeout:
        return None


def _known_or_computed(
    file: Path, keys: Sequence[bytes], rows: Sequence[Row], compute: Callable[[Sequence[Row]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    known = _read(file)
    missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
    if missing:
        known = {**known, **dict(zip(missing, compute(list(missing.values())), strict=True))}
        _write(file, known)
    return np.stack([known[key] for key in keys])


def _key(row: Row) -> bytes:
    tokens = [*row["input_ids"], *row.get(TYPES, ())]
    return hashlib.sha256(np.asarray(tokens, dtype=np.int64).tobytes()).digest()[:_KEY]


def _read(file: Path) -> dict[bytes, NDArray[np.float32]]:
    """What is kept; nothing where the file is not there, or damaged: it is computed again."""
    try:
        kept = load_file(file)
        keys, values = kept["keys"], kept["values"]
    except (OSError, SafetensorError, KeyError):
        return {}
    return {key.tobytes(): value for key, value in zip(keys, values, strict=True)}


def _write(file: Path, known: Mapping[bytes, NDArray[np.float32]]) -> None:
    keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(len(known), _KEY)
    with atomic.unless_read_only():
        atomic.write_bytes(file, save({"keys": keys, "values": np.stack(list(known.values()))}))
