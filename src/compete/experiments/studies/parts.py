"""One training of a study: made in a job, stored as a whole or not at all, and told by what it was made from.

studies/<study>/parts/<arm>_r<repeat>_f<fold>/   predictions.parquet  part.json
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.checkpoint_files import checkpoint_of
from compete.base_models.families import FitContext
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import Competition, load_competition
from compete.competition.folds import made_from
from compete.competition.workspace import Workspace
from compete.data_bounds import MOST_ROWS
from compete.errors import StoreError
from compete.execution.jobs import Job
from compete.experiments.studies.trials import ASIDE, Folds, Trial, dealt, trial_from
from compete.fingerprints import differences, digest
from compete.oof.averaged import averaged
from compete.oof.fold_plan import under_stored_plan
from compete.oof.job import checked_predictions, fold_seed, made_by, seeded
from compete.oof.needs import needs_of
from compete.progress import Report
from compete.stored_json import read_json

_PREDICTIONS, _RECORD = "predictions.parquet", "part.json"


@dataclass(frozen=True)
class Part:
    """What a model says of the fold that it did not see, and of the rows set aside."""

    rows: NDArray[np.intp]
    """(n,), of the training rows."""
    predictions: NDArray[np.float32]
    """(n, n_outputs)."""
    seconds: float


def identity_of(competition: Competition, recipe: Recipe, folds: Folds, fold: int) -> dict[str, str]:
    """Everything that a training depends on, by name; recipe: as the trial trains it, folds: (n_train,)."""
    rows = made_from(competition.fingerprints, competition.declaration.folds)
    fixed = {name: value for name, value in rows.items() if not name.startswith("fold")}
    features = {name: value for name, value in competition.fingerprints.items() if name.startswith("feature ")}
    checkpoint = checkpoint_of(competition.workspace, recipe) if recipe.folder is not None else None
    return {
        **recipe.looked_at({**fixed, **features}),
        **recipe.identity(),
        **({} if checkpoint is None else {"checkpoint": checkpoint.files}),
        "fold": str(fold),
        "rows trained on": digest([np.flatnonzero((folds != fold) & (folds != ASIDE)).astype("<i8").tobytes()]),
        "rows predicted": digest([np.flatnonzero((folds == fold) | (folds == ASIDE)).astype("<i8").tobytes()]),
    }


def read_part(folder: Path, identity: Mapping[str, str], n_rows: int, n_outputs: int) -> Part | None:
    """The part, if it is there, undamaged, and was made from exactly this; None where it has to be trained.

    n_rows: of train.
    """
    try:
        record = read_json(folder / _RECORD)
        path = folder / _PREDICTIONS
        if differences(record["identity"], identity) or record["predictions"] != atomic.sha256_file(path):
            return None
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > MOST_ROWS or file.metadata.num_columns != n_outputs + 1:
            return None
        table = file.read()
        rows = table["row"].to_numpy().astype(np.intp)
        predictions = np.column_stack([table[f"output {i}"].to_numpy() for i in range(n_outputs)]).astype(np.float32)
        seconds = float(record["seconds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
        return None
    inside = len(rows) > 0 and rows.min() >= 0 and rows.max() < n_rows
    return Part(rows, predictions, seconds) if inside else None


def is_there(folder: Path) -> bool:
    """Whether something is stored, whatever it was made from."""
    return (folder / _RECORD).is_file()


def make_job(workspace: Workspace, study: str, recipe: Recipe, trial: Trial, threads: int) -> Job:
    """The job that trains what is missing of a trial, part by part."""
    payload = {
        "workspace": str(workspace.root),
        "size": workspace.size,
        "study": study,
        "model": recipe.name,
        "trial": trial.record(),
        "threads": threads,
    }
    return Job(
        name=f"{recipe.name} {trial.arm.title} repeat {trial.repeat}",
        target="compete.experiments.studies.parts:run",
        payload=payload,
        log=workspace.study_log(study, trial.name),
        imports=("compete.experiments.studies.parts", *recipe.imports()),
        needs=needs_of(recipe, threads),
        all_gpus=recipe.needs.all_gpus,
    )


def run(payload: Mapping[str, Any], report: Report) -> None:
    """Train what is missing of a trial; every part is stored when it is done."""
    workspace = Workspace(Path(payload["workspace"]), payload["size"])
    competition, trial = load_competition(workspace, checked=True), trial_from(payload["trial"])
    recipe = trial.recipe(load_recipe(workspace, payload["model"]).ready())
    folds = dealt(competition, trial)
    k = int(folds.max()) + 1
    for fold in range(k):
        folder = workspace.study_part(payload["study"], trial.part(fold))
        identity = identity_of(competition, recipe, folds, fold)
        if read_part(folder, identity, len(folds), len(competition.labels)) is None:
            _train(competition, recipe, folds, fold, folder, identity, payload["threads"])
        report((fold + 1) / k, f"fold {fold + 1} of {k}")


def _train(
    competition: Competition,
    recipe: Recipe,
    folds: Folds,
    fold: int,
    folder: Path,
    identity: Mapping[str, str],
    threads: int,
) -> None:
    start = time.monotonic()
    known = np.flatnonzero((folds != fold) & (folds != ASIDE))
    asked = np.flatnonzero((folds == fold) | (folds == ASIDE))
    learnt = np.ones(len(competition.labels), dtype=bool)
    constant = np.float32(0.0)
    if not (folds == ASIDE).any():  # the workspace's own plan, which may leave labels out
        plan = under_stored_plan(competition).learnt
        learnt, constant = plan.mask, np.float32(plan.constant)
    names = tuple(name for name, is_learnt in zip(competition.labels, learnt, strict=True) if is_learnt)
    context = FitContext(
        labels=names,
        task=competition.task.name,
        grades=competition.task.grades,
        seed=fold_seed(recipe.declaration.seed, fold),
        threads=threads,
        features=competition.workspace.frozen_features,
    )
    texts, _ = competition.texts_for(recipe.needs.features)
    targets = competition.train_targets[known][:, learnt]
    told = seeded(context, recipe, fold)
    model = averaged([recipe.build().fit([texts[row] for row in known], targets, each) for each in told])
    cells = np.full((len(asked), len(learnt)), constant, dtype=np.float32)
    cells[:, learnt] = checked_predictions(
        model, [texts[row] for row in asked], names, recipe.name, competition.task.kind
    )
    seconds = time.monotonic() - start
    columns = {"row": asked, **{f"output {i}": cells[:, i] for i in range(cells.shape[1])}}
    with atomic.new_folder(folder) as written:
        pq.write_table(pa.table(columns), written / _PREDICTIONS)
        record = {
            "identity": dict(identity),
            "predictions": atomic.sha256_file(written / _PREDICTIONS),
            "seconds": round(seconds, 3),
            "threads": threads,
            "warnings": list(context.warnings),
            "made_by": {**made_by(), **context.facts},
        }
        atomic.write_json(written / _RECORD, record)


def parts_of(competition: Competition, study: str, recipe: Recipe, trial: Trial, folds: Folds) -> list[Part]:
    """The parts of a trial in the order of its folds; raises StoreError if one is not there.

    recipe: as the workspace has it.
    """
    own, found = trial.recipe(recipe), []
    for fold in range(int(folds.max()) + 1):
        folder = competition.workspace.study_part(study, trial.part(fold))
        identity = identity_of(competition, own, folds, fold)
        part = read_part(folder, identity, len(folds), len(competition.labels))
        if part is None:
            raise StoreError(f"{competition.workspace.shown(folder)} is missing or stale: run the study again")
        found.append(part)
    return found
