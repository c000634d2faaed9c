"""One job: train one fold of one base model and write its part. Runs wherever an executor takes it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compete
from compete.base_models.checkpoint_files import checkpoint_of
from compete.base_models.families import TOLERANCES, FitContext, FittedModel, Keepable
from compete.base_models.recipes import Recipe, load_recipe
from compete.base_models.trackers import Tracked
from compete.competition.data import Competition, load_competition
from compete.competition.planned import Planned
from compete.competition.task import Kind, are_probabilities
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, StoreError
from compete.execution.devices import driver_version
from compete.execution.jobs import Job
from compete.fingerprints import differences, digest
from compete.oof import store
from compete.oof.averaged import Averaged, averaged
from compete.oof.fold_plan import under_stored_plan
from compete.oof.guards import FoldWarning, rare_warnings, warnings_of
from compete.oof.kept import begin, check_job, keep
from compete.oof.priors import Prior, prior_of, sentence, started_from
from compete.oof.provenance import Seen, refuse_leak
from compete.oof.state import pretraining_rows
from compete.oof.teachers import Taught, taught
from compete.progress import Report

_LIBRARIES = ("numpy", "scikit-learn", "lightgbm", "torch", "transformers", "peft", "accelerate", "bitsandbytes")


_SUM = 1e-3  # what a sum of float32 probabilities of very many classes, computed in half precision, may be off by


class FamilyError(CompeteError):
    """A family returned something that is not one prediction per row and output."""


def make_job(
    workspace: Workspace, recipe: Recipe, fold: int, identity: Mapping[str, str], threads: int, *, parity: bool = True
) -> Job:
    """The job that trains `fold` of `recipe` and writes its part.

    parity: what was trained is read again in a fresh process afterwards, and has to give the same probabilities.
    """
    check = check_job(workspace, recipe, fold, threads)
    return replace(
        check,
        target="compete.oof.job:run",
        payload={**check.payload, "identity": dict(identity), "parity": parity},
        afterwards=check if parity else None,
    )


def run(payload: Mapping[str, Any], report: Report) -> None:
    """Train and store; raises StoreError if the workspace is no longer what the job was made for."""
    workspace = Workspace(Path(payload["workspace"]), payload["size"])
    competition = load_competition(workspace, checked=True)  # and compared below
    planned = under_stored_plan(competition)
    recipe = load_recipe(workspace, payload["model"]).ready()
    _check_unchanged(planned, recipe, payload["identity"])
    context = FitContext(
        labels=planned.learnt.names,
        task=competition.task.name,
        grades=competition.task.grades,
        seed=fold_seed(recipe.declaration.seed, payload["fold"]),
        threads=payload["threads"],
        progress=report,
        cache=workspace.hidden_states,
        features=workspace.frozen_features,
        tracked=_tracked(competition, payload),
        **_state(competition, payload),
    )
    start = time.monotonic()
    rows_before = pretraining_rows(workspace, recipe)
    prior = prior_of(recipe, competition, report)
    context.warnings.extend([] if prior is None else [sentence(prior)])
    teaching = taught(planned, recipe, payload["fold"], payload["threads"])
    seen = _seen(planned, payload["fold"], prior, teaching)
    refuse_leak(seen, payload["fold"], recipe.name)
    context = replace(context, soft=None if teaching is None else teaching.rows)
    probabilities, model = train_fold(planned, started_from(recipe, prior), payload["fold"], context)
    seconds = time.monotonic() - start
    learnt = planned.learnt
    warnings = [
        *map(FoldWarning, context.warnings),
        *warnings_of(probabilities.oof[:, learnt.mask], learnt.names, context.curves, competition.task.kind),
        *rare_warnings(learnt.too_rare),
    ]
    made_from = {
        "identity": dict(payload["identity"]),
        **_checkpoint_record(workspace, recipe),
        **({} if prior is None else {"prior": prior.name, "pretrained_on": rows_before}),
        **({} if teaching is None else teaching.record()),
        "seen": seen.record(),
    }
    kept_record = {"model": recipe.name, "fold": payload["fold"], **made_from}
    # What comes after the part costs no part, not even where it has the process killed.
    if isinstance(model, Keepable) and _stays(competition, recipe):
        begin(workspace, recipe.name, payload["fold"], kept_record)
    store.write_part(
        workspace.base_model(recipe.name).part(payload["fold"]),
        [competition.train_ids[row] for row in planned.plan.rows(payload["fold"])],
        probabilities,
        competition.shape,
        {
            "model": recipe.name,
            "fold": payload["fold"],
            **made_from,
            "seconds": round(seconds, 3),
            "threads": payload["threads"],
            "warnings": [warning.record() for warning in warnings],
            "made_by": {**made_by(), **context.facts, **_predicted_in(model)},
            **({"seed_spread": round(model.spreads[0], 5)} if isinstance(model, Averaged) else {}),
        },
        context.curves,
    )
    for path in _states(workspace, payload):
        shutil.rmtree(path, ignore_errors=True)
    keep(
        workspace,
        recipe,
        payload["fold"],
        model,
        kept_record,
        whole=competition.declaration.keeps_weights,
        to_check=payload["parity"],
    )


def train_fold(
    planned: Planned, recipe: Recipe, fold: int, context: FitContext
) -> tuple[store.Predictions, FittedModel]:
    """Fit on the other folds' rows, then predict this fold and the test set; the fitted model comes with it.

    The family is handed the texts and labels of the other folds, and what teachers of this fold say of rows without
    labels, if the recipe has any, and nothing else; this fold's texts reach
    the fitted model only to be predicted, its labels never. Nor is it handed a label that is too rare for the folds.
    """
    competition, plan, learnt = planned.competition, planned.plan, planned.learnt
    others = plan.other_rows(fold)
    recipe = recipe.ready()
    train_texts, test_texts = competition.texts_for(recipe.needs.features)
    texts = [train_texts[row] for row in others]
    labels = competition.train_targets[others][:, learnt.mask]
    # A family for every training: a user's own may keep what it learnt in itself, and return itself.
    told = _seeded(replace(context, labels=learnt.names), recipe, fold)
    models = [recipe.build().fit(texts, labels, each) for each in told]
    model = averaged(models)
    held_out = [train_texts[row] for row in plan.rows(fold)]
    probabilities = store.Predictions(
        learnt.whole(_predict(model, held_out, learnt.names, recipe.name, competition.task.kind)),
        learnt.whole(_predict(model, test_texts, learnt.names, recipe.name, competition.task.kind)),
    )
    return probabilities, model


def _seeded(context: FitContext, recipe: Recipe, fold: int) -> Iterator[FitContext]:
    """What every training of the fold is told. Curves, trackers and an unfinished state are of the first alone."""
    count = recipe.declaration.seeds

    def part(number: int) -> Report:
        """The progress of one training as a part of all."""
        return lambda fraction, doing="": context.progress((number + fraction) / count, doing)

    yield context if count == 1 else replace(context, progress=part(0))
    for number in range(1, count):
        seed = fold_seed(recipe.declaration.seed, fold, number)
        yield replace(context, seed=seed, curves=[], state=None, tracked=None, progress=part(number))


def fold_seed(seed: int, fold: int, *more: int) -> int:
    """A seed of its own for every fold, and for every further training of one, the same on every machine."""
    return int(np.random.SeedSequence([seed, fold, *more]).generate_state(1)[0])


def _seen(planned: Planned, fold: int, prior: Prior | None, teaching: Taught | None) -> Seen:
    """Labels of the other folds, and what was seen by whatever the training starts or learns from."""
    through = [] if prior is None else [prior.seen]
    through += [] if teaching is None else [teaching.seen]
    return Seen.all_but(fold, planned.plan.k).joined(through)


def made_by() -> dict[str, str]:
    """Versions and the machine: what the bytes of a result may depend on."""
    return {**versions(), "machine": platform.machine(), "cores": str(os.cpu_count()), **_gpu()}


def _predicted_in(model: FittedModel) -> dict[str, str]:
    """What the probabilities were computed in, where that is less than float32."""
    precision = str(getattr(model, "precision", "float32"))
    return {"predicted_in": precision} if precision in TOLERANCES and precision != "float32" else {}


def versions() -> dict[str, str]:
    """Of compete, Python and the libraries that probabilities come from."""
    python = ".".join(map(str, sys.version_info[:3]))
    libraries = {name: version for name in _LIBRARIES if (version := _version(name))}
    return {"compete": compete.__version__, "python": python, **libraries}


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # bitsandbytes is not there for every machine
        return ""


def _gpu() -> dict[str, str]:
    """The GPU that trained, where one did, and what it was driven by."""
    # Neither imports torch nor opens a GPU to find out: both take their time, and a job may need neither.
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    return {"gpu": str(torch.cuda.get_device_name()), "cuda": str(torch.version.cuda), "driver": driver_version()}


def _stays(competition: Competition, recipe: Recipe) -> bool:
    """Whether what is kept is for good: a whole model goes after its check, unless weights are to be kept."""
    whole = getattr(recipe.settings, "adaptation", None) == "full"
    return competition.declaration.keeps_weights or not whole


def _state(competition: Competition, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Where a training of just this identity writes down what it goes on from; those of another are removed."""
    every, workspace = competition.declaration.training.checkpoint_every, competition.workspace
    own = digest([json.dumps(dict(payload["identity"]), sort_keys=True), str(payload["threads"])])
    folder = workspace.training_state(payload["model"], payload["fold"], own)
    for path in _states(workspace, payload):
        if path != folder or every is None:
            shutil.rmtree(path, ignore_errors=True)
    return {} if every is None else {"state": folder, "state_every": every}


def _tracked(competition: Competition, payload: Mapping[str, Any]) -> Tracked | None:
    """Who is told of this training, which is no part of what comes of it."""
    declared = competition.declaration
    if not declared.tracking.to:
        return None
    folder = competition.workspace.tracking
    return Tracked(tuple(declared.tracking.to), folder, declared.name, payload["model"], payload["fold"])


def _states(workspace: Workspace, payload: Mapping[str, Any]) -> list[Path]:
    pattern = workspace.training_state(payload["model"], payload["fold"], "*")
    return list(pattern.parent.glob(pattern.name))


def _checkpoint_record(workspace: Workspace, recipe: Recipe) -> dict[str, Any]:
    """What the model started from: after the training, which may have fetched it."""
    found = checkpoint_of(workspace, recipe)
    return {} if found is None else {"checkpoint": found.record()}


def _check_unchanged(planned: Planned, recipe: Recipe, expected: Mapping[str, str]) -> None:
    changes = differences(expected, recipe.identity_on(planned.identity))
    if changes:
        raise StoreError(f"the workspace was edited while it was trained: {'; '.join(changes)}. Run the command again.")


def _predict(
    model: FittedModel, texts: Sequence[str], outputs: Sequence[str], name: str, kind: Kind
) -> NDArray[np.float32]:
    values = np.asarray(model.predict_proba(texts), dtype=np.float32)
    what = "probabilities" if are_probabilities(kind) else "numbers"
    if values.shape != (len(texts), len(outputs)):
        raise FamilyError(
            f"the family of {name} returned {what} of shape {values.shape} for {len(texts)} texts and "
            f"{len(outputs)} outputs; expected {(len(texts), len(outputs))}"
        )
    # NaN fails every comparison.
    bad = np.flatnonzero(~np.all(np.isfinite(values) if what == "numbers" else (values >= 0) & (values <= 1), axis=1))
    if len(bad):
        limits = "infinite values" if what == "numbers" else "values outside [0, 1]"
        raise FamilyError(
            f"the family of {name} returned {limits}, or NaN, in {len(bad)} of {len(texts)} rows "
            f"(first: row {bad[0] + 1} of its input, {values[bad[0]].tolist()})"
        )
    odd = np.flatnonzero(np.abs(values.sum(axis=1, dtype=np.float64) - 1) > _SUM)
    if kind == "classes" and len(odd):
        raise FamilyError(
            f"the family of {name} returned probabilities of classes whose sum is not 1 in {len(odd)} of {len(texts)} "
            f"rows (first: row {odd[0] + 1} of its input, {values[odd[0]].tolist()})"
        )
    return values
