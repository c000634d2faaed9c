"""Import of out-of-fold probabilities that were made elsewhere: a team-mate's model, an older notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.recipes import NAME, NAME_RULE, RESERVED_NAMES, has_recipe
from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.competition.reading import default_separator, read_table
from compete.errors import DataError, StoreError, UserError
from compete.oof import store
from compete.oof.job import made_by
from compete.oof.state import competition_rows
from compete.oof.train import shape_of


@dataclass(frozen=True)
class ForeignFile:
    """A file of probabilities; `ids` names the file with its row ids when it is an .npy matrix."""

    path: Path
    ids: Path | None = None


def import_model(
    competition: Competition, plan: FoldPlan, name: str, oof: ForeignFile, test: ForeignFile, force: bool = False
) -> list[str]:
    """Check foreign probabilities and store them as base model `name`; returns warnings to show.

    Rows may be in any order; they are stored in the competition's. Raises DataError naming file and row.
    """
    folder = competition.workspace.oof / name
    _check_name(competition, name, folder, force)
    id_column = competition.declaration.data.id
    probabilities = store.Probabilities(
        read_foreign(oof, id_column, competition.train_ids, competition.labels, "training"),
        read_foreign(test, id_column, competition.test_ids, competition.labels, "test"),
    )
    record = {
        "kind": "imported",
        "model": name,
        "identity": competition_rows(competition, plan),
        "imported_from": {"oof": atomic.sha256_file(oof.path), "test": atomic.sha256_file(test.path)},
        "made_by": made_by(),
    }
    store.write_model(folder, probabilities, shape_of(competition), record)
    return list(_warnings(probabilities, competition.labels))


def read_foreign(
    file: ForeignFile, id_column: str, ids: Sequence[str], labels: Sequence[str], rows: str
) -> NDArray[np.float32]:
    """Probabilities float32 (len(ids), len(labels)), in the order of `ids` and `labels`."""
    found_ids, matrix = (_read_npy if file.path.suffix == ".npy" else _read_columns)(file, id_column, labels)
    order = _order(file.path, found_ids, ids, rows)
    bad = np.flatnonzero(~np.all((matrix >= 0) & (matrix <= 1), axis=1))  # NaN fails both
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{file.path}: {len(bad)} rows hold values that are no probabilities, first row {row + 1} "
            f"({found_ids[row]}): {matrix[row].tolist()}. Logits? Apply a sigmoid first."
        )
    return matrix[order].astype(np.float32)


def _check_name(competition: Competition, name: str, folder: Path, force: bool) -> None:
    if not NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise UserError(f"{name!r} cannot be a model's name: {NAME_RULE}")
    if has_recipe(competition.workspace, name):
        raise UserError(f"base_models/{name}.toml is a recipe of that name: import under another name")
    if (competition.workspace.stack_recipes / f"{name}.toml").exists():
        raise UserError(f"stacking/{name}.toml is a stack of that name: import under another name")
    if folder.is_file():
        raise StoreError(f"oof/{name} is a file: choose another name, or move it away")
    if store.was_interrupted(folder) or not folder.exists() or not any(folder.iterdir()):
        return
    if not force:
        raise StoreError(f"oof/{name} is there already: choose another name, or replace it with --force")
    if store.read_record(folder / store.MANIFEST).get("kind") != "imported":
        raise StoreError(f"oof/{name} was trained here, not imported: choose another name, or move it away")


def _read_columns(file: ForeignFile, id_column: str, labels: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Ids and matrix from CSV, TSV or parquet with an id column and one column per label."""
    table = read_table(file.path, default_separator(file.path))
    id_name = id_column if id_column in table.columns else "id"
    expected, found = {id_name, *labels}, {str(column) for column in table.columns}
    if expected != found:
        missing, extra = sorted(expected - found), sorted(found - expected)
        raise DataError(
            f"{file.path} needs the columns {id_column} (or id), {', '.join(labels)}"
            + (f"; missing: {', '.join(missing)}" if missing else "")
            + (f"; not known: {', '.join(extra)}" if extra else "")
        )
    numbers = table[list(labels)].apply(pd.to_numeric, errors="coerce")
    return table[id_name].tolist(), numbers.to_numpy(dtype=np.float64)


def _read_npy(file: ForeignFile, id_column: str, labels: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """A matrix in the competition's label order, and the ids of its rows from another file."""
    if file.ids is None:
        raise UserError(
            f"{file.path} has no ids: name a file with them, in the order of its rows (--oof-ids, --test-ids)"
        )
    if not file.path.is_file():
        raise DataError(f"{file.path} does not exist")
    try:
        matrix = np.load(file.path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file.path} is not an .npy file of numbers: {error}") from None
    if not isinstance(matrix, np.ndarray) or matrix.dtype.kind not in "fiub":
        raise DataError(f"{file.path} is not an .npy file of real numbers")
    table = read_table(file.ids)
    column = next((name for name in (id_column, "id") if name in table.columns), table.columns[0])
    ids = table[column].tolist()
    if matrix.shape != (len(ids), len(labels)):
        raise DataError(
            f"{file.path} has shape {matrix.shape}, expected {(len(ids), len(labels))}: a row for "
            f"each of the {len(ids)} ids in {file.ids} (below its header), a column for each of {', '.join(labels)}"
        )
    return ids, matrix.astype(np.float64)


def _order(path: Path, found: Sequence[str], ids: Sequence[str], rows: str) -> NDArray[np.intp]:
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
            f"missing and {extra} are unknown ({example})"
        )
    return np.array([position[name] for name in ids], dtype=np.intp)


def _warnings(probabilities: store.Probabilities, labels: Sequence[str]) -> Sequence[str]:
    warnings = []
    if np.isin(probabilities.oof, (0, 1)).all():
        warnings.append(
            "every value is 0 or 1: these look like decisions, and a stack learns far more from probabilities"
        )
    constant = [
        label for label, column in zip(labels, probabilities.oof.T, strict=True) if column.min() == column.max()
    ]
    if constant:
        warnings.append(f"constant in training: {', '.join(constant)}")
    return warnings
