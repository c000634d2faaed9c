"""One job of a trial: train with its settings on part of the other folds' rows, and score it on the rest of them.

Writes what it was worth into a file of its own. It makes no out-of-fold predictions and touches nothing in oof/ but
the features that frozen checkpoints are read for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compete import atomic
from compete.base_models.checkpoint_files import checkpoint_of
from compete.base_models.families import FitContext
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import load_competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import StoreError
from compete.execution.jobs import Job
from compete.experiments.tuning.pruning import GivenUpError, WatchedCurves
from compete.experiments.tuning.trial_rows import score_of_rows, scored_fold, trial_rows
from compete.fingerprints import differences
from compete.oof.fold_plan import under_stored_plan
from compete.oof.job import fitted, fold_seed, predicted
from compete.oof.needs import needs_of
from compete.oof.priors import prior_of, started_from
from compete.oof.provenance import refuse_leak
from compete.oof.state import pretraining_rows
from compete.progress import Report
from compete.stored_json import read_json


@dataclass(frozen=True)
class Outcome:
    """What a trial was worth in one fold."""

    score: float | None
    """The metric on the rows that were set aside; None where it was given up."""
    seconds: float
    losses: dict[int, float]
    """Validation loss by epoch, where the family tells it: on rows of its own, among those that were fitted."""


def trial_job(
    workspace: Workspace,
    recipe: Recipe,
    study: str,
    number: int,
    fold: int,
    told: Mapping[str, Any],
    threads: int,
) -> Job:
    """The job of one fold of a trial. told: its params, change, identity, share of rows and medians to be given up by.

    recipe: with the trial's settings.
    """
    return Job(
        name=f"{recipe.name} trial {number} fold {fold}",
        target="compete.experiments.tuning.trial:run",
        payload={
            "workspace": str(workspace.root),
            "size": workspace.size,
            "model": recipe.name,
            "study": study,
            "trial": number,
            "fold": fold,
            "threads": threads,
            **told,
        },
        log=workspace.tuning(recipe.name).log(study, number, fold),
        imports=("compete.experiments.tuning.trial", *recipe.imports()),
        needs=needs_of(recipe, threads),
        all_gpus=recipe.needs.all_gpus,
    )


def run(payload: Mapping[str, Any], report: Report) -> None:
    """Train and score; raises StoreError if the workspace is no longer what the trial was made for."""
    workspace = Workspace(Path(payload["workspace"]), payload["size"])
    planned = under_stored_plan(load_competition(workspace, checked=True))  # compared below
    recipe = load_recipe(workspace, payload["model"]).ready()
    changes = differences(payload["identity"], recipe.identity_on(planned.identity) | files_behind(workspace, recipe))
    if changes:
        raise StoreError(f"the workspace was edited while it was tuned: {'; '.join(changes)}. Run the command again.")
    folder, fold = workspace.tuning(recipe.name), payload["fold"]
    context = FitContext(
        labels=planned.learnt.names,
        task=planned.competition.task.name,
        grades=planned.competition.task.grades,
        seed=fold_seed(recipe.declaration.seed, fold),
        threads=payload["threads"],
        progress=report,
        curves=WatchedCurves({int(epoch): loss for epoch, loss in payload["medians"].items()}),
        cache=folder.hidden_states,
        features=workspace.frozen_features,
    )
    found = try_settings(planned, recipe.changed("tune", payload["change"]), fold, payload["rows"], context)
    record = {"params": payload["params"], **vars(found)}
    atomic.write_json(folder.job(payload["study"], payload["trial"], fold), record)


def files_behind(workspace: Workspace, recipe: Recipe) -> dict[str, str]:
    """Hashes, by name, of what a recipe starts from and only names: a local checkpoint, the rows of [[pretrain_on]].

    Nothing of a checkpoint of the hub, which may be absent until the first trial reads it.
    """
    checkpoint = checkpoint_of(workspace, recipe) if recipe.folder is not None else None
    steps = {f"rows of pretrain_on {n}": each for n, each in enumerate(pretraining_rows(workspace, recipe), 1) if each}
    return {**({} if checkpoint is None else {"checkpoint's files": checkpoint.files}), **steps}


def try_settings(planned: Planned, recipe: Recipe, fold: int, share: float, context: FitContext) -> Outcome:
    """Fit on the other folds but one, score on that one: no label of `fold` is read.

    share: of the rows to fit. A training that is given up by its curves has no score.
    """
    start, rows = time.monotonic(), trial_rows(planned, fold, share)
    prior = prior_of(recipe, planned.competition, context.progress)
    if prior is not None:
        refuse_leak(prior.seen, scored_fold(fold, planned.plan.k), f"what {recipe.name} starts from")
    recipe = started_from(recipe, prior)
    texts, _ = planned.competition.texts_for(recipe.needs.features)
    score = None
    try:
        model = fitted(planned, recipe, fold, rows.fitted, context)
        predictions = predicted(planned, recipe, model, [texts[row] for row in rows.scored])
        score = score_of_rows(planned, rows.scored, predictions)
    except GivenUpError:
        context.progress(1.0, "given up")
    losses = context.curves.losses if isinstance(context.curves, WatchedCurves) else {}
    return Outcome(score, round(time.monotonic() - start, 3), losses)


def read_outcome(path: Path, params: Mapping[str, Any]) -> Outcome | None:
    """What a job wrote; None where there is none of these settings."""
    try:
        record = read_json(path)
        if record["params"] != dict(params):
            return None
        score, seconds = record["score"], float(record["seconds"])
        losses = {int(epoch): float(loss) for epoch, loss in record["losses"].items()}
        return Outcome(None if score is None else float(score), seconds, losses)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
