"""A workspace of part of the training rows; the others play its test set, and their labels its solution."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.recipes import Recipe
from compete.competition.column_names import free_name
from compete.competition.data import Competition
from compete.competition.folds import folds_in_time, times_of_column, too_rare
from compete.competition.workspace import Workspace
from compete.declarations import to_toml
from compete.errors import DataError, UserError
from compete.stacking.ensemble.cross_fitting import repeated_folds

_PARTS = 50  # rows are held out in steps of a fiftieth


def workspace_without(competition: Competition, recipes: Sequence[Recipe], share: float, seed: int) -> Workspace:
    """rehearsals/<seed>/: the workspace of the rows that are not held out; an older one of this seed is replaced."""
    held_out = _hold_out(competition, share, seed)
    workspace = competition.workspace.rehearsal(seed)
    root = workspace.root
    shutil.rmtree(root, ignore_errors=True)
    # Of base models those that are played: what others name (a family's file, a checkpoint) is not there.
    for path in (*(recipe.path for recipe in recipes), *sorted(competition.workspace.stack_recipes.glob("*.toml"))):
        atomic.write_bytes(root / path.parent.name / path.name, path.read_bytes())
    for name in {recipe.declaration.family.rpartition(":")[0] for recipe in recipes} - {""}:  # of the user's own
        atomic.write_bytes(root / name, (competition.workspace.root / name).read_bytes())
    if competition.declaration.own_metric is not None:
        file = competition.declaration.own_metric[0]
        atomic.write_bytes(root / file, (competition.workspace.root / file).read_bytes())
    data = competition.declaration.data
    labels = list(competition.label_columns)
    table = rows_as_written(competition)
    usage = np.zeros(len(table), dtype=bool)
    rows, fraction = np.flatnonzero(held_out), competition.declaration.submission.public_fraction
    usage[rows] = _deal(np.arange(len(rows)), competition.strata[rows], fraction, seed + 1)
    _refuse_undefined(competition, held_out & usage, "public")
    _refuse_undefined(competition, held_out & ~usage, "private")
    in_test = [data.id, *competition.test_columns.columns]
    solution = table[[data.id, *labels]]
    solution[free_name("Usage", solution.columns)] = np.where(usage, "Public", "Private")
    for name, content in (
        ("train", table[~held_out]),
        ("test", table[in_test][held_out]),
        ("solution", solution[held_out]),
    ):
        atomic.write_text(root / "data" / f"{name}.csv", as_csv(content))
    submission = competition.declaration.submission
    atomic.write_text(
        workspace.declaration,
        declaration_of_rows(
            competition,
            recipes,
            competition.declaration.folds.model_dump(),
            {
                "solution": "data/solution.csv",
                "public_fraction": submission.public_fraction,
                "daily_limit": submission.daily_limit,
            },
        ),
    )
    return workspace


def rows_as_written(competition: Competition) -> pd.DataFrame:
    """The training rows as they are written in train, so that what reads them there reads them here: the id, other
    columns, the columns of what is predicted."""
    labels = list(competition.label_columns)
    table = competition.train_columns.drop(columns=labels).reset_index(drop=True)
    table.insert(0, competition.declaration.data.id, np.array(competition.train_ids, dtype=object))
    return table.join(competition.train_columns[labels].reset_index(drop=True))


def as_csv(table: pd.DataFrame) -> str:
    """The table as a file that nothing in its cells can break."""
    return table.to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")


def _hold_out(competition: Competition, share: float, seed: int) -> NDArray[np.bool_]:
    """Rows to hold out, (n_train,), with every label's share of them; rows that share a fold stay together."""
    if competition.declaration.folds.column is not None:
        raise UserError(
            "a rehearsal deals rows by chance, and folds.column keeps apart what only you know to be alike: its scores "
            "would be those of rows that models have seen the like of"
        )
    if competition.declaration.folds.time is not None:
        return _latest(competition, share)
    held_out = _deal(competition.groups, competition.strata, share, seed)
    lacking = _lacking(competition, np.flatnonzero(~held_out))
    if not lacking.any():
        return held_out
    of_lacking = competition.groups[competition.train_targets[:, lacking].any(axis=1)]
    return held_out & ~np.isin(competition.groups, of_lacking)


def _latest(competition: Competition, share: float) -> NDArray[np.bool_]:
    """The latest rows, (n_train,), as a test set that comes later would be; rows of a group are where the first is."""
    name = competition.declaration.folds.time
    assert name is not None
    times = times_of_column(competition.train_columns[name], name)
    return folds_in_time(times, competition.groups, _PARTS) >= _PARTS - max(1, round(_PARTS * share))


def _lacking(competition: Competition, kept: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Outputs (n_outputs,) of which so few rows are kept that the rehearsal would be another competition: classes with
    fewer than folds, and labels in cells, which are only known from the rows that have them."""
    targets = competition.train_targets[kept]
    if competition.task.kind == "classes":
        return too_rare(competition.groups[kept], targets, competition.declaration.folds.k)
    if competition.declaration.data.label_separator is not None:
        return np.asarray(~targets.any(axis=0))
    return np.zeros(targets.shape[1], dtype=bool)


def _deal(groups: NDArray[np.intp], strata: NDArray[np.int8], share: float, seed: int) -> NDArray[np.bool_]:
    """`share` of the rows (n_rows,), dealt out like folds; rows of a group together. strata: 0/1 (n_rows, n_strata)."""
    shape = (np.arange(len(groups)) % _PARTS).astype(np.int16)
    # The first of the two plans is `shape` itself, which only says how many parts there are.
    return np.asarray(repeated_folds(shape, strata, groups, 2, seed)[1] < max(1, round(_PARTS * share)))


def _refuse_undefined(competition: Competition, half: NDArray[np.bool_], name: str) -> None:
    """Raise UserError if the metric cannot score the half; before hours of training, not after."""
    true = competition.train_targets[half]
    try:
        if not len(true):
            raise DataError("there are no rows")
        # What is true predicts itself: not the score matters, but that there is one.
        decisions = competition.declaration.metric_info.wants == "decisions"
        competition.metric.compute(true, true if decisions else true.astype(np.float64))
    except DataError as error:
        raise UserError(
            f"the {name} rows of the rehearsal cannot be scored ({error}): hold out more with --share"
        ) from None


def declaration_of_rows(
    competition: Competition, recipes: Sequence[Recipe], folds: Mapping[str, object], submission: Mapping[str, object]
) -> str:
    """competition.toml of a workspace whose data/train.csv and data/test.csv hold rows of this one; what else it says
    is as here. folds, submission: its tables of these names."""
    declared = competition.declaration
    folders = [(recipe.needs.checkpoint, recipe.folder) for recipe in recipes]
    tables: dict[str, dict[str, object]] = {
        "data": {
            "train": "data/train.csv",
            "test": "data/test.csv",
            "id": declared.data.id,
            "text": declared.data.text,
            "labels": list(competition.label_columns),
            "label_separator": declared.data.label_separator,
            "grades": list(competition.task.grades) or None,
            "features": declared.data.features or None,
        },
        "folds": dict(folds),
        "training": {"models": [recipe.name for recipe in recipes], "remote_code": declared.training.remote_code},
        "checkpoints": {name: str(folder.resolve()) for name, folder in folders if folder is not None},
        "submission": dict(submission),
    }
    return to_toml(declared.top, tables)
