"""What an encoder says of texts, computed once and kept for all folds and for every recipe that reads it the same way.

A shelf is a file for the texts of one length; those of the greatest length, to which longer texts are cut, are parted
by their hash. Jobs that run side by side share the work: a shelf that another job is at is left for later, and by then
most of it is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from compete.errors import DiskFullError

READING = 0.9  # of a job: what a head takes is little beside it
_KEY = 12  # bytes
_PARTS = 64  # of the rows that were cut, which may be nearly all: so many at most wait for one job, or go with it
_SPARE = 2 * 10**9  # bytes that the rest of a run may need
_NO_ROOM = "no room on the disk for what the checkpoint says of texts: every fold reads them anew"


def numbers_of(encoder: Encoder, texts: Sequence[str], context: FitContext) -> NDArray[np.float32]:
    """(len(texts), width) float32; kept in the folder that all folds share, if there is one with room."""
    rows = encoder.rows(texts)
    keys = [_key(row) for row in rows]
    shelves: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        shelves[_shelf(row, keys[number], encoder.limit)].append(number)
    store = _Store(encoder, _folder(encoder, len(rows), context), context)
    values = np.empty((len(rows), encoder.width), dtype=np.float32)
    names = sorted(shelves)
    start = context.seed % max(len(names), 1)  # elsewhere than the jobs beside this one
    waiting = [*names[start:], *names[:start]]
    done = 0
    for patient in (False, True):
        later = []
        for name in waiting:
            members = shelves[name]
            found = store.take(name, [keys[n] for n in members], [rows[n] for n in members], patient=patient)
            if found is None:
                later.append(name)
                continue
            values[members] = found
            done += len(members)
            context.progress(READING * done / len(rows), f"{done:,} of {len(rows):,} texts read")
        waiting = later
    return values


def _shelf(row: Row, key: bytes, limit: int) -> str:
    return f"{row['length']}_{key[0] % _PARTS}" if row["length"] >= limit else str(row["length"])


def _folder(encoder: Encoder, n_texts: int, context: FitContext) -> Path | None:
    """Where the numbers are kept, made if need be; None where nothing can be made, or there is no room."""
    if context.features is None:
        return None
    folder = context.features / encoder.identity
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        room = shutil.disk_usage(folder).free - max(n_texts * encoder.width * 4 - held, 0)
    except OSError:
        return None
    if room < _SPARE:
        _warn(context)
        return None
    return folder


def _warn(context: FitContext) -> None:
    if _NO_ROOM not in context.warnings:
        context.warnings.append(_NO_ROOM)


@dataclass
class _Store:
    """The shelves of one encoder."""

    encoder: Encoder
    folder: Path | None
    context: FitContext

    def take(
        self, shelf: str, keys: Sequence[bytes], rows: Sequence[Row], *, patient: bool
    ) -> NDArray[np.float32] | None:
        """Numbers of rows of one length; None where another job is at them and this one would rather not wait."""
        if self.folder is None:
            return self.encoder.numbers(rows)
        # What may not be written can be read all the same.
        writable = os.access(self.folder, os.W_OK)
        lock = FileLock(self.folder / f"{shelf}.lock", timeout=-1 if patient else 0)
        file = self.folder / f"{shelf}.safetensors"
        try:
            with lock if writable else contextlib.nullcontext():
                known, new = _known_or_computed(file, keys, rows, self.encoder.numbers)
                if new and writable:
                    self._put(file, known)
        except Timeout:
            return None
        return np.stack([known[key] for key in keys])

    def _put(self, file: Path, known: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep them; a disk that has filled up costs what is kept, not the job."""
        try:
            _write(file, known)
        except DiskFullError:
            self.folder = None
            _warn(self.context)


def _known_or_computed(
    file: Path, keys: Sequence[bytes], rows: Sequence[Row], compute: Callable[[Sequence[Row]], NDArray[np.float32]]
) -> tuple[dict[bytes, NDArray[np.float32]], bool]:
    """What a shelf holds with these rows, and whether it did not hold all of them."""
    known = _read(file)
    missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
    if missing:
        known |= zip(missing, compute(list(missing.values())), strict=True)
    return known, bool(missing)


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
    if len(keys) != len(values):
        return {}
    return {key.tobytes(): value for key, value in zip(keys, values, strict=True)}


def _write(file: Path, known: Mapping[bytes, NDArray[np.float32]]) -> None:
    keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(len(known), _KEY)
    with atomic.unless_read_only():
        atomic.write_bytes(file, save({"keys": keys, "values": np.stack(list(known.values()))}))
