"""The fold plan: one multilabel-stratified assignment of training rows to folds, shared by all base models.

Rows whose texts are identical or nearly so stay in one fold: a model that saw a retweet of a row has seen
the row. Stratification is that of Sechidis, Tsoumakas and Vlahavas (2011), as in iterative-stratification.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compete import atomic
from compete.competition.declaration import Folds
from compete.competition.near_identical import near_identical_groups, near_identical_key
from compete.competition.workspace import Workspace
from compete.errors import DataError, StoreError
from compete.fingerprints import digest

if TYPE_CHECKING:  # data.py imports pandas, which `compete status` has no time for
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


def too_rare(texts: Sequence[str], labels: NDArray[np.int8], k: int) -> NDArray[np.bool_]:
    """Labels, (n_labels,), with fewer positive rows of different text than folds: one fold at least has none of it.

    labels: (n_rows, n_labels).
    """

    def fewer(column: NDArray[np.int8]) -> bool:
        keys: set[str] = set()
        for row in np.flatnonzero(column == 1):
            keys.add(near_identical_key(texts[int(row)]))
            if len(keys) >= k:
                return False
        return True

    return np.array([fewer(column) for column in labels.T], dtype=bool)


def assign_folds(texts: Sequence[str], labels: NDArray[np.int8], k: int, seed: int) -> NDArray[np.int16]:
    """A fold for every row, shape (n,); near-identical texts share one, stratified by the union of their labels."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    groups = near_identical_groups(texts)
    union = np.zeros((groups.max() + 1, labels.shape[1]), dtype=np.int8)
    np.maximum.at(union, groups, labels)
    if union.shape[1] == 1:  # a single label is no multilabel problem to the stratifier; with its opposite it is
        union = np.hstack([union, 1 - union])
    fold_of_group = np.empty(len(union), dtype=np.int16)
    splitter = MultilabelStratifiedKFold(n_splits=k, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros((len(union), 1)), union)):
        fold_of_group[held_out] = fold
    assigned: NDArray[np.int16] = fold_of_group[groups]
    return assigned


def make_plan(competition: Competition) -> FoldPlan:
    """A new plan from the rows and [folds]; raises DataError if every label is too rare for so many folds."""
    k, seed = competition.declaration.folds.k, competition.declaration.folds.seed
    if too_rare(competition.train_texts, competition.train_labels, k).all():
        raise DataError(
            f"folds.k = {k}, but every label has fewer positive rows of different text: nothing can be learnt. Lower "
            "folds.k, or look at [data] labels in competition.toml."
        )
    folds = assign_folds(competition.train_texts, competition.train_labels, k, seed)
    return _plan(folds, k, made_from(competition.fingerprints, competition.declaration.folds))


def made_from(fingerprints: Mapping[str, str], folds: Folds) -> dict[str, str]:
    """What a plan of these rows and [folds] is made from; compared with a stored plan to name a change."""
    names = ("label names", "train ids", "train texts", "train labels")
    return {
        **{name: fingerprints[name] for name in names},
        "folds.k": str(folds.k),
        "folds.seed": str(folds.seed),
        "fold algorithm": ALGORITHM,
    }


def rows_identity(fingerprints: Mapping[str, str], plan_fingerprint: str, origin: Mapping[str, str]) -> dict[str, str]:
    """What every OOF depends on besides its recipe; `origin` is what the fold plan is made from."""
    test = {name: fingerprints[name] for name in ("test ids", "test texts")}
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
        table = pq.ParquetFile(path).read()  # pq.read_table imports pandas, which `compete status` must not
        stored = json.loads(table.schema.metadata[b"compete"])
        plan = _plan(np.array(table["fold"].to_pylist(), dtype=np.int16), int(stored["k"]), dict(stored["made_from"]))
        same_ids = digest(table["id"].to_pylist()) == plan.made_from["train ids"]
        intact = same_ids and plan.fingerprint == stored["fingerprint"]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError):
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
