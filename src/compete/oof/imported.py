"""Import of out-of-fold probabilities that were made elsewhere: a team-mate's model, an older notebook."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.recipes import has_recipe
from compete.competition.column_names import free_name, matched, otherwise_written
from compete.competition.data import Competition
from compete.competition.data_files import kind_of, open_bytes
from compete.competition.planned import Planned
from compete.competition.reading import read_table
from compete.competition.row_fingerprints import without_features
from compete.competition.row_ids import what_happened_to
from compete.competition.saved_index import HOW_TO_SAVE, UNNAMED_INDEX, counts_rows, saved_index, without_saved_index
from compete.competition.task import Kind, are_probabilities
from compete.competition.workspace import ResultFolder
from compete.errors import DataError, StoreError, UserError
from compete.oof import store
from compete.oof.imported_values import (
    ROUNDING,
    numbers,
    of_sum_one,
    refuse_what_is_no_number,
    refuse_what_is_no_probability,
)
from compete.oof.job import made_by
from compete.oof.provenance import Seen, refuse_leak
from compete.printable import listed, on_one_line
from compete.stored_json import read_json

_SAVE_ANEW = f"Save it anew, as CSV in UTF-8 or as parquet, with nothing but ids and probabilities: {HOW_TO_SAVE}"
# What read_table advises for the files that competition.toml names.
_ADVICE = re.compile(r"[;:,.] (set|Set|if quotes|If quotes|A quote or|check the path)\b.*", re.DOTALL)


@dataclass(frozen=True)
class ImportedFile:
    """A file of probabilities."""

    path: Path
    ids: Path | None = None
    """The file with its row ids, when it is an .npy matrix."""


def import_model(
    planned: Planned, name: str, oof: ImportedFile, test: ImportedFile, force: bool = False, seen: Path | None = None
) -> list[str]:
    """Check probabilities that were made elsewhere and store them as base model `name`; returns warnings to show.

    Rows may be in any order; they are stored in the competition's. seen: a JSON file that says of every fold what its
    model has seen (`read_seen`). Raises DataError naming file and row, LeakError for a fold that has seen itself.
    """
    competition, folder = planned.competition, planned.workspace.base_model(name)
    _check_name(competition, name, folder, force)
    told = None if seen is None else read_seen(seen, name, planned.plan.k)
    id_column, labels = competition.declaration.data.id, competition.labels
    kind = competition.task.kind
    of_oof, notes = read_imported(oof, id_column, competition.train_ids, labels, "training", kind)
    of_test, more_notes = read_imported(test, id_column, competition.test_ids, labels, "test", kind)
    probabilities = store.Predictions(of_oof, of_test)
    record = {
        "kind": "imported",
        "model": name,
        "identity": without_features(planned.identity),
        **({} if told is None else {"seen": [each.record() for each in told]}),
        "imported_from": {"oof": atomic.sha256_file(oof.path), "test": atomic.sha256_file(test.path)},
        "made_by": made_by(),
    }
    store.write_model(folder, probabilities, competition.shape, record)
    return [*notes, *more_notes, *_warnings(probabilities, labels, kind)]


def read_seen(path: Path, name: str, k: int) -> list[Seen]:
    """What the models of the K folds have seen, as {"0": {"folds": [1, 2], "test_texts": false, "through": []}, ...}.

    Raises DataError for a file of another form, LeakError for a fold whose model has seen its labels.
    """
    example = '{"0": {"folds": [1, 2], "test_texts": false, "through": []}, ...}'
    form = f"it should be JSON as {example}, folds 0 to {k - 1}"
    try:
        told = read_json(path)
    except FileNotFoundError:
        raise DataError(f"--seen: {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise DataError(f"--seen: {path} cannot be read ({error}): {form}") from None
    if not isinstance(told, dict) or set(told) != {str(fold) for fold in range(k)}:
        raise DataError(f"--seen: {path} does not say it of every fold: {form}")
    found = []
    for fold in range(k):
        try:
            seen = Seen.read(told[str(fold)])
        except (ValueError, AttributeError) as error:
            raise DataError(f"--seen: {path}: fold {fold}: {error}: {form}") from None
        if max(seen.folds, default=0) >= k:
            raise DataError(f"--seen: {path}: fold {fold}: there is no fold {max(seen.folds)}: {form}")
        refuse_leak(seen, fold, f"--seen: {path}: {name} fold {fold}")
        found.append(seen)
    return found


def read_imported(
    file: ImportedFile, id_column: str, ids: Sequence[str], labels: Sequence[str], rows: str, kind: Kind = "labels"
) -> tuple[NDArray[np.float32], list[str]]:
    """Probabilities, or numbers where `kind` says so, float32 (len(ids), len(labels)), in the order of `ids` and
    `labels`; and what was put right."""
    if not file.path.is_file():
        raise DataError(f"{file.path} {'is no file' if file.path.exists() else 'does not exist'}")
    if file.path.suffix == ".npy":
        found_ids, matrix, notes = *_read_npy(file, id_column, labels), list[str]()
    else:
        found_ids, matrix, notes = _read_columns(file.path, id_column, ids, labels)
    order = _order(file.path, found_ids, ids, rows, id_column)
    if not are_probabilities(kind):
        refuse_what_is_no_number(file.path, found_ids, labels, matrix)
        return matrix[order].astype(np.float32), notes
    refuse_what_is_no_probability(file.path, found_ids, labels, matrix)
    clipped = np.clip(matrix, 0, 1)
    if not np.array_equal(clipped, matrix):
        notes.append(f"{file.path}: values that are outside of 0 to 1 by no more than {ROUNDING:g} were clipped")
    if kind == "classes":
        clipped = of_sum_one(file.path, found_ids, clipped)
    return clipped[order].astype(np.float32), notes


def _check_name(competition: Competition, name: str, folder: ResultFolder, force: bool) -> None:
    if has_recipe(competition.workspace, name):
        raise UserError(f"base_models/{name}.toml is a recipe of that name: import under another name")
    if competition.workspace.stack_recipe(name).exists():
        raise UserError(f"stacking/{name}.toml is a stack of that name: import under another name")
    if folder.path.is_file():
        raise StoreError(f"oof/{name} is a file: choose another name, or move it away")
    if store.was_interrupted(folder) or not folder.path.exists() or not any(folder.path.iterdir()):
        return
    if not force:
        raise StoreError(f"oof/{name} is there already: choose another name, or replace it with --force")
    if store.read_record(folder).get("kind") != "imported":
        raise StoreError(f"oof/{name} was trained here, not imported: choose another name, or move it away")


def _read_columns(
    path: Path, id_column: str, ids: Sequence[str], labels: Sequence[str]
) -> tuple[list[str], NDArray[np.float64], list[str]]:
    """Ids, matrix and what was put right, from CSV, TSV or parquet with an id column and one column per label."""
    table = _table(path)
    id_name = _id_column(table, id_column, ids, labels)
    meant = matched(labels, [str(name) for name in table.columns if name != id_name])
    notes = otherwise_written(meant, str(path))
    if id_name is not None and id_name == saved_index(table, [id_column, *labels]):
        notes.append(f"{path}: the column {id_name!r} is a saved index; it holds the ids, and is read as such")
    elif id_name is not None:
        table, index = without_saved_index(table, [id_name, *(meant[label] for label in labels if label in meant)])
        notes += [f"{path}: the column {index!r} is a saved index, and left out"] if index is not None else []
    _refuse_columns(path, table, id_column, labels, {**meant, id_column: id_name})
    assert id_name is not None  # a file without is refused
    cells = table[[meant[label] for label in labels]].set_axis(list(labels), axis=1)
    found_ids = table[id_name].tolist()
    return found_ids, numbers(path, found_ids, cells), notes


def _table(path: Path) -> pd.DataFrame:
    """A table of strings; errors speak of a file that is imported, not of the competition's.

    Cells that hold lists or objects are none of a table of probabilities, whatever they would be in a text.
    """
    _refuse_nested(path)
    try:
        table = read_table(path)
    except DataError as error:
        raise DataError(f"{_ADVICE.sub('', str(error))}. {_SAVE_ANEW}") from None
    name = table.index.name or UNNAMED_INDEX
    if name in table.columns or (table.index.name is None and isinstance(table.index, pd.RangeIndex)):
        return table
    return table.reset_index(names=name).astype(str)  # a parquet file keeps the index of a DataFrame


def _refuse_nested(path: Path) -> None:
    if not path.is_file() or kind_of(path)[0] != "parquet":
        return
    try:
        with open_bytes(path) as file:
            schema = pq.ParquetFile(file).schema_arrow
    except (OSError, pa.ArrowException, RecursionError) as error:
        raise DataError(f"{path} is not a parquet file that can be read: {error}") from None
    nested = [field.name for field in schema if pa.types.is_nested(field.type) or pa.types.is_binary(field.type)]
    if nested:
        raise DataError(
            f"{path}: the columns {listed(map(repr, nested))} hold lists or objects, expected numbers. {_SAVE_ANEW}"
        )


def _id_column(table: pd.DataFrame, id_column: str, ids: Sequence[str], labels: Sequence[str]) -> str | None:
    """The file's column of ids: of the competition's name, or id; else a saved index that holds the ids."""
    others = [str(name) for name in table.columns if name not in labels]
    for name in (id_column, free_name("id", labels), "id"):
        found = matched([name], others)
        if found:
            return found[name]
    index = saved_index(table, [id_column, *labels])
    return (
        index if index is not None and not set(ids).isdisjoint(table[index]) and not counts_rows(table[index]) else None
    )


def _refuse_columns(
    path: Path, table: pd.DataFrame, id_column: str, labels: Sequence[str], meant: Mapping[str, str | None]
) -> None:
    """Raise DataError unless the columns are the id and the labels."""
    missing = [name for name in (id_column, *labels) if meant.get(name) is None]
    extra = [str(name) for name in table.columns if name not in meant.values()]
    if not missing and not extra:
        return
    index = saved_index(table, [id_column, *labels])
    raise DataError(
        f"{path} has the columns {listed(repr(str(name)) for name in table.columns)}; it needs {id_column}"
        + (" (or id)" if "id" not in (id_column, *labels) else "")
        + f", {', '.join(labels)}"
        + (f"; missing: {', '.join(missing)}" if missing else "")
        + (f"; not known: {listed(map(repr, extra))}" if extra else "")
        + (f". {index!r} is a saved index, not an id: {HOW_TO_SAVE} saves without" if index in extra else "")
    )


def _read_npy(file: ImportedFile, id_column: str, labels: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """A matrix in the competition's label order, and the ids of its rows from another file."""
    if file.ids is None:
        raise UserError(
            f"{file.path} has no ids: name a file with them, in the order of its rows (--oof-ids, --test-ids)"
        )
    _refuse_npy(file.path)
    try:
        matrix = np.load(file.path, allow_pickle=False)
    except (OSError, EOFError, ValueError, MemoryError) as error:
        raise DataError(f"{file.path} is not an .npy file of numbers: {error}") from None
    table = _table(file.ids)
    column = next((name for name in (id_column, "id") if name in table.columns), table.columns[0])
    ids = table[column].tolist()
    if matrix.shape != (len(ids), len(labels)):
        raise DataError(
            f"{file.path} has shape {matrix.shape}, expected {(len(ids), len(labels))}: a row for "
            f"each of the {len(ids)} ids in {file.ids} (below its header), a column for each of {', '.join(labels)}"
        )
    return ids, matrix.astype(np.float64)


def _refuse_npy(path: Path) -> None:
    """Raise DataError unless the file holds the real numbers that its header promises, before room is made for them."""
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in read:
                raise ValueError(f"version {version[0]}.{version[1]}, expected 1.0 or 2.0")
            shape, _, dtype = read[version](file)
        except (ValueError, EOFError, RecursionError, MemoryError, SyntaxError) as error:
            raise DataError(f"{path} is not an .npy file of numbers: {on_one_line(str(error))[:200]}") from None
        promised, held = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
    if dtype.hasobject:
        raise DataError(f"{path} is not an .npy file of numbers: it holds objects of Python's, which are never loaded")
    if dtype.kind not in "fiub":
        raise DataError(f"{path} is not an .npy file of real numbers: it holds {dtype}")
    if promised != held:
        raise DataError(f"{path} is damaged: its header promises {promised:,} bytes, and it holds {held:,}")


def _order(path: Path, found: Sequence[str], ids: Sequence[str], rows: str, id_column: str) -> NDArray[np.intp]:
    """Where each of the competition's ids stands in the file."""
    position = {name: row for row, name in enumerate(found)}
    if len(position) < len(found):
        repeated = next(name for row, name in enumerate(found) if position[name] != row)
        raise DataError(f"{path} has the id {repeated!r} more than once")
    missing = [name for name in ids if name not in position]
    extra = len(found) - (len(ids) - len(missing))
    if missing or extra:
        example = f"missing: {missing[0]!r}" if missing else f"unknown: {min(set(found) - set(ids))!r}"
        raise DataError(
            f"{path} does not hold the competition's {len(ids)} {rows} rows: it has {len(found)}, {len(missing)} are "
            f"missing and {extra} are unknown ({example}). {what_happened_to(found, ids, id_column)}".rstrip()
        )
    return np.array([position[name] for name in ids], dtype=np.intp)


def _warnings(probabilities: store.Predictions, labels: Sequence[str], kind: Kind) -> Sequence[str]:
    warnings = []
    if are_probabilities(kind) and np.isin(probabilities.oof, (0, 1)).all():
        warnings.append(
            "every value is 0 or 1: these look like decisions, and a stack learns far more from probabilities"
        )
    constant = [
        label for label, column in zip(labels, probabilities.oof.T, strict=True) if column.min() == column.max()
    ]
    if constant:
        warnings.append(f"constant in training: {', '.join(constant)}")
    return warnings
