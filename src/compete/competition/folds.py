"""The fold plan: one stratified assignment of training rows to folds, shared by all base models.

Rows whose texts are identical or nearly so stay in one fold: a model that saw a retweet of a row has seen
the row. So do rows of a declared group. Stratification is that of Sechidis, Tsoumakas and Vlahavas (2011), as in
iterative-stratification, over what the task has: labels, classes, grades, tenths of numbers.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compete import atomic
from compete.competition.declaration import MOST_FOLDS, Folds
from compete.competition.workspace import Workspace
from compete.data_bounds import MOST_ROWS
from compete.errors import DataError, StoreError
from compete.fingerprints import digest
from compete.stored_json import parsed_json

if TYPE_CHECKING:  # data.py imports pandas, which `compete status` has no time for
    import pandas as pd

    from compete.competition.data import Competition

# Raise it when the same rows, K and seed would be assigned differently.
ALGORITHM = "multilabel stratified, near-identical texts together, 2"


@dataclass(frozen=True)
class FoldPlan:
    """Which fold every training row belongs to."""

    folds: NDArray[np.int16]
    """Shape (n_train,), values 0 to k - 1, in the order of the training rows."""
    k: int
    made_from: dict[str, str]
    """What the plan was made from, by name (ids, texts, labels, K, seed, algorithm)."""
    fingerprint: str
    """A hash of the assignment itself and of made_from; stored with every OOF."""

    def rows(self, fold: int) -> NDArray[np.intp]:
        """Indices of the rows that are held out in `fold`."""
        return np.flatnonzero(self.folds == fold)

    def other_rows(self, fold: int) -> NDArray[np.intp]:
        """Indices of the rows that a model of `fold` may be trained on."""
        return np.flatnonzero(self.folds != fold)


def too_rare(groups: NDArray[np.intp], labels: NDArray[np.int8], k: int) -> NDArray[np.bool_]:
    """Labels, (n_labels,), whose positive rows are in fewer groups than there are folds: one fold at least has none.

    groups: (n_rows,), equal for rows that share a fold; labels: (n_rows, n_labels).
    """
    return np.array([len(np.unique(groups[column == 1])) < k for column in labels.T], dtype=bool)


def in_one_fold(folds: NDArray[np.int16], labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Labels, (n_labels,), that no row outside of some fold has: what is trained for that fold never sees one.

    folds: (n_rows,); labels: (n_rows, n_labels).
    """
    return np.array([len(np.unique(folds[column == 1])) < 2 for column in labels.T], dtype=bool)


def assign_folds(groups: NDArray[np.intp], strata: NDArray[np.int8], k: int, seed: int) -> NDArray[np.int16]:
    """A fold for every row, shape (n,); rows of a group share one, stratified by the union of their strata.

    groups: (n,), numbers from 0; strata: 0/1 (n, n_strata).
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    union = np.zeros((groups.max() + 1, strata.shape[1]), dtype=np.int8)
    np.maximum.at(union, groups, strata)
    if union.shape[1] == 1:  # a single label is no multilabel problem to the stratifier; with its opposite it is
        union = np.hstack([union, 1 - union])
    fold_of_group = np.empty(len(union), dtype=np.int16)
    splitter = MultilabelStratifiedKFold(n_splits=k, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros((len(union), 1)), union)):
        fold_of_group[held_out] = fold
    assigned: NDArray[np.int16] = fold_of_group[groups]
    return assigned


def make_plan(competition: Competition) -> FoldPlan:
    """A new plan from the rows and [folds]; raises DataError where no plan can be made of them."""
    declared = competition.declaration.folds
    origin = made_from(competition.fingerprints, declared)
    if declared.column is not None:
        return _plan(*folds_of_column(competition.train_columns[declared.column], declared.column), origin)
    n_groups = int(competition.groups.max()) + 1
    if n_groups < declared.k:
        what = f"folds.groups = {declared.groups!r}: " if declared.groups else ""
        raise DataError(
            f"{what}the rows are in {n_groups} group{'s' * (n_groups > 1)} of rows that have to share a fold, fewer "
            f"than folds.k = {declared.k}. Lower folds.k, or group by another column."
        )
    _refuse_rare(competition, declared.k)
    if declared.time is not None:
        times = times_of_column(competition.train_columns[declared.time], declared.time)
        return _plan(folds_in_time(times, competition.groups, declared.k), declared.k, origin)
    folds = assign_folds(competition.groups, competition.strata, declared.k, declared.seed)
    return _plan(folds, declared.k, origin)


def _refuse_rare(competition: Competition, k: int) -> None:
    """Raise DataError if every label, or some class, has rows in fewer groups than there are folds."""
    task = competition.task
    if not task.gives_probabilities:
        return
    rare = too_rare(competition.groups, competition.strata, k)
    if task.kind == "classes" and rare.any():
        names = [name for name, each in zip(task.outputs, rare, strict=True) if each]
        rows = [int(count) for count in competition.strata[:, rare].sum(axis=0)]
        shown = ", ".join(f"{name!r} ({n} row{'s' * (n > 1)})" for name, n in zip(names[:5], rows, strict=False))
        raise DataError(
            f"folds.k = {k}, and so many rows of different {_apart(competition)} are needed of every class; fewer are "
            f"there of {shown}. "
            "Put such classes together with others, remove their rows, or lower folds.k."
        )
    if rare.all():
        raise DataError(
            f"folds.k = {k}, but every label has fewer positive rows of different {_apart(competition)}: nothing can "
            "be learnt. Lower folds.k, or look at [data] labels in competition.toml."
        )


def _apart(competition: Competition) -> str:
    """What rows differ in that need not share a fold."""
    groups = competition.declaration.folds.groups
    return "text" if groups is None else f"text and {groups}"


def folds_of_column(cells: pd.Series, name: str) -> tuple[NDArray[np.int16], int]:
    """The user's own plan, whole numbers from 0 or from 1, and how many folds it has.

    Raises DataError for what is no such number, and where one is missing between the others.
    """
    whole = cells.str.strip().str.removesuffix(".0")
    odd = np.flatnonzero(~whole.str.fullmatch(r"[0-9]{1,6}").to_numpy(dtype=bool))
    if len(odd):
        found = cells.iloc[int(odd[0])]
        raise DataError(f"folds.column: {name} is {found!r} in row {odd[0] + 1}; whole numbers are expected")
    folds = whole.to_numpy(dtype=np.int64)
    there = np.unique(folds)
    first = min(int(there[0]), 1)
    missing = np.setdiff1d(np.arange(first, there[-1] + 1), there)
    if len(missing) or len(there) < 2:
        what = f"fold {missing[0]} is missing" if len(missing) and len(there) > 1 else "two folds at least are needed"
        raise DataError(
            f"folds.column: {name} has {', '.join(map(str, there[:12]))}: {what}. Number the folds without gaps."
        )
    return (folds - first).astype(np.int16), len(there)


def times_of_column(cells: pd.Series, name: str) -> NDArray[np.float64]:
    """Numbers (n_rows,) that increase with time, from numbers or from dates; raises DataError for anything else."""
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.isna().mean() > 0.5:  # else they are numbers, a few odd cells among them
        dates = pd.to_datetime(cells, errors="coerce", utc=True, format="ISO8601")
        numbers = dates.astype("int64").where(dates.notna()).astype(float)
    if numbers.isna().any():
        row = int(np.flatnonzero(numbers.isna())[0])
        raise DataError(
            f"folds.time: {name} is {cells.iloc[row]!r} in row {row + 1}; numbers or dates like 2024-01-31 are expected"
        )
    times: NDArray[np.float64] = numbers.to_numpy(dtype=np.float64)
    if times.min() == times.max():
        raise DataError(f"folds.time: {name} is {cells.iloc[0]!r} in every row, and orders nothing")
    return times


def folds_in_time(times: NDArray[np.float64], groups: NDArray[np.intp], k: int) -> NDArray[np.int16]:
    """K stretches of time of about equal size, (n_rows,); rows of a group are where its first row is.

    A model of a fold has still seen later rows than those it is scored on: only neighbours in time are kept together.
    """
    first = np.full(int(groups.max()) + 1, np.inf)
    np.minimum.at(first, groups, times)
    sizes = np.bincount(groups)
    order = np.argsort(first, kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]
    fold_of_group = np.empty(len(order), dtype=np.int16)
    fold_of_group[order] = np.minimum(before * k // len(times), k - 1)
    folds: NDArray[np.int16] = fold_of_group[groups]
    if len(np.unique(folds)) < k:
        raise DataError(f"folds.time: rows that share a fold leave fewer stretches of time than folds.k = {k}")
    return folds


def made_from(fingerprints: Mapping[str, str], folds: Folds) -> dict[str, str]:
    """What a plan of these rows and [folds] is made from; compared with a stored plan to name a change."""
    names = ("label names", "train ids", "train texts", "train labels")
    # Only where there are any: a plan that was made before there could be stays what it was.
    more = {
        name: fingerprints[name]
        for name in ("task", "grades", "groups", "fold column", "times")
        if name in fingerprints
    }
    return {
        **{name: fingerprints[name] for name in names},
        **more,
        "folds.k": str(folds.k),
        "folds.seed": str(folds.seed),
        "fold algorithm": ALGORITHM,
    }


def rows_identity(fingerprints: Mapping[str, str], plan_fingerprint: str, origin: Mapping[str, str]) -> dict[str, str]:
    """What every OOF depends on besides its recipe; `origin` is what the fold plan is made from."""
    test = {name: value for name, value in fingerprints.items() if name.startswith(("test ", "feature "))}
    return {**origin, "fold plan": plan_fingerprint, **test}


def save_plan(competition: Competition, plan: FoldPlan) -> None:
    """Write oof/folds.parquet; what it was made from lies in the file's metadata."""
    table = pa.table({"id": competition.train_ids, "fold": plan.folds})
    metadata = {"compete": json.dumps({"k": plan.k, "made_from": plan.made_from, "fingerprint": plan.fingerprint})}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    atomic.write_bytes(competition.workspace.fold_plan, buffer.getvalue())


def stored_plan(workspace: Workspace) -> FoldPlan | None:
    """The plan in oof/, None if there is none; raises StoreError if the file is damaged or foreign."""
    path = workspace.fold_plan
    if not path.exists():
        return None
    try:
        file = pq.ParquetFile(path) if path.is_file() else None
        if file is None or file.metadata.num_rows > MOST_ROWS:
            raise ValueError("no plan of compete's")
        table = file.read()  # pq.read_table imports pandas, which `compete status` must not
        stored = parsed_json(table.schema.metadata[b"compete"])
        plan = _plan(np.array(table["fold"].to_pylist(), dtype=np.int16), int(stored["k"]), dict(stored["made_from"]))
        same_ids = digest(table["id"].to_pylist()) == plan.made_from["train ids"]
        dealt = 2 <= plan.k <= MOST_FOLDS and bool(((plan.folds >= 0) & (plan.folds < plan.k)).all())
        intact = same_ids and dealt and plan.fingerprint == stored["fingerprint"]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError, OverflowError):
        intact = False
    if not intact:
        raise StoreError(
            f"{workspace.shown(path)} is damaged, or was not written by compete. Put the original back, or move it "
            "away: the same data, K and seed give the same plan again, and what was trained under it stays fresh."
        )
    return plan


def _plan(folds: NDArray[np.int16], k: int, origin: dict[str, str]) -> FoldPlan:
    fingerprint = digest([folds.tobytes(), *(f"{name}={value}" for name, value in sorted(origin.items()))])
    return FoldPlan(folds, k, origin, fingerprint)
