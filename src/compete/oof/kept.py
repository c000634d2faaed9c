"""What a fold's training leaves behind to predict with: oof/<model>/kept/fold_<k>/, and the check that it can.

kept.json   which model and fold, what the part beside it was made from, hashes of the rest and of itself, whether it
            is still to be checked and whether it stays then
the rest    what the family's fitted model wrote: adapters, heads, whole models; safetensors and JSON
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from compete import atomic
from compete.base_models.families import FitContext, FittedModel, Keepable, keeps_models
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, StoreError
from compete.execution.jobs import Job, Report
from compete.oof import store
from compete.oof.fold_plan import under_stored_plan
from compete.oof.needs import needs_of

_RECORD, _TO_CHECK = "kept.json", "to_check"
TOLERANCE = 1e-3
_SAMPLE = 100


class ParityError(CompeteError):
    """A model that was written down and read again gives other probabilities."""


def keep(
    workspace: Workspace,
    recipe: Recipe,
    fold: int,
    model: FittedModel,
    record: Mapping[str, Any],
    *,
    whole: bool,
    to_check: bool,
) -> None:
    """Write down what was trained.

    A model trained as a whole stays only if `whole`; otherwise it is written for the check that follows (`check_job`)
    and removed there. A family whose models cannot be written is passed over.
    """
    target = workspace.base_model(recipe.name).kept(fold)
    if not isinstance(model, Keepable):
        shutil.rmtree(target, ignore_errors=True)
        return
    with atomic.scratch_folder() as written:
        stays = model.save(written, whole=whole)
        if not stays and to_check:
            model.save(written, whole=True)
        if not (stays or to_check):
            shutil.rmtree(target, ignore_errors=True)
            return
        with atomic.new_folder(target) as folder:
            for path in written.iterdir():
                shutil.move(path, folder / path.name)
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            hashes = {path.relative_to(folder).as_posix(): atomic.sha256_file(path) for path in files}
            store.write_record(folder / _RECORD, {**record, "stays": stays, _TO_CHECK: to_check, "files": hashes})


def waits_for_check(workspace: Workspace, model: str, fold: int) -> bool:
    """Whether a run was ended between a fold's training and the check of what it kept."""
    try:
        record = store.intact_record(workspace.base_model(model).kept(fold) / _RECORD)
    except FileNotFoundError:
        return False
    return bool(record and record.get(_TO_CHECK))  # what is damaged could not be used, checked or not


def is_kept_of(folder: Path, identity: Mapping[str, str]) -> bool:
    """Whether a folder holds a checked model of this training, every file as it was written."""
    try:
        record = store.intact_record(folder / _RECORD)
    except FileNotFoundError:
        return False
    if record is None or store.changed_file(folder, record) is not None:
        return False
    return bool(record["identity"] == dict(identity) and not record[_TO_CHECK])


def check_job(workspace: Workspace, recipe: Recipe, fold: int, threads: int) -> Job:
    """The job that reads a kept model in a process that never held it, and compares its probabilities with the part's.

    Raises ParityError there, and removes the model, if they differ; the part stays.
    """
    return Job(
        name=f"{recipe.name} fold {fold}",
        target="compete.oof.kept:run_check",
        payload={
            "workspace": str(workspace.root),
            "size": workspace.size,
            "model": recipe.name,
            "fold": fold,
            "threads": threads,
        },
        log=workspace.base_model(recipe.name).log(fold),
        imports=("compete.oof.job", *recipe.imports()),
        needs=needs_of(recipe, threads),
        all_gpus=recipe.needs.all_gpus,
    )


def load_kept(
    workspace: Workspace, recipe: Recipe, fold: int, labels: Sequence[str], threads: int, identity: Mapping[str, str]
) -> FittedModel:
    """The kept model of a fold; raises StoreError if there is none, or one of another training."""
    folder = workspace.base_model(recipe.name).kept(fold)
    again = f"`compete train-base {recipe.name} --force` trains it again"
    recipe = recipe.ready()
    if recipe.family is not None and not keeps_models(recipe.family):
        raise StoreError(f"the family of {recipe.name} has no `save` and `load`, so its models are not kept")
    if not (folder / _RECORD).is_file():
        raise StoreError(
            f"{workspace.shown(folder)} does not exist: fold {fold} of {recipe.name} was not kept. Whole fine-tuned "
            f"models are kept with keep_weights = true under [training] in competition.toml; {again}."
        )
    record = _checked_record(workspace, folder, again)
    if record[_TO_CHECK]:
        raise StoreError(
            f"{workspace.shown(folder)} has not been checked, for the run was ended before; "
            f"`compete train-base {recipe.name}` does that."
        )
    if record["identity"] != dict(identity):
        raise StoreError(f"{workspace.shown(folder)} is of another training than the probabilities; {again}.")
    try:
        return _load(recipe, folder, labels, threads)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise StoreError(f"{workspace.shown(folder)} cannot be read ({reason}); {again}.") from error


def _checked_record(workspace: Workspace, folder: Path, again: str) -> dict[str, Any]:
    """kept.json; raises StoreError unless it and every file beside it are as they were written."""
    record = store.intact_record(folder / _RECORD)
    if record is None:
        raise StoreError(f"{workspace.shown(folder / _RECORD)} is damaged; {again}.")
    changed = store.changed_file(folder, record)
    if changed is not None:
        path, what = changed
        raise StoreError(f"{workspace.shown(path)} {what}; {again}.")
    return record


def run_check(payload: Mapping[str, Any], report: Report) -> None:
    """Read a kept model and predict some of its fold's rows; raises ParityError if that gives other probabilities."""
    workspace = Workspace(Path(payload["workspace"]), payload["size"])
    # Whoever made this job has compared the fingerprints.
    planned = under_stored_plan(load_competition(workspace, checked=True))
    fold, model, competition = payload["fold"], workspace.base_model(payload["model"]), planned.competition
    folder = model.kept(fold)
    if not folder.exists():
        return  # the family cannot write its models down
    part = store.read_part(model.part(fold), planned.plan, competition.shape)
    chosen = _sampled(len(part.oof))
    texts = [competition.train_texts[row] for row in planned.plan.rows(fold)[chosen]]
    learnt = planned.learnt
    try:
        _compare(workspace, payload, folder, texts, part.oof[chosen][:, learnt.mask], learnt.names)
    except ParityError:
        shutil.rmtree(folder)
        raise
    record = store.intact_record(folder / _RECORD)
    if record is not None and record["stays"]:
        store.write_record(folder / _RECORD, {**record, _TO_CHECK: False})
    else:
        shutil.rmtree(folder)


def _compare(
    workspace: Workspace,
    payload: Mapping[str, Any],
    folder: Path,
    texts: Sequence[str],
    expected: NDArray[np.float32],
    labels: Sequence[str],
) -> None:
    """Raise ParityError unless the model in `folder` gives `texts` what is expected, (n_texts, n_labels)."""
    lost = "Its probabilities are kept, but `compete predict` cannot use it. --no-parity skips this check."
    try:
        recipe = load_recipe(workspace, payload["model"]).ready()
        again = _load(recipe, folder, labels, payload["threads"]).predict_proba(texts)
    except Exception as error:  # whatever the family raises, it could not be used
        raise ParityError(f"the saved model cannot be loaded again: {type(error).__name__}: {error}. {lost}") from error
    difference = np.abs(again - expected)
    if not difference.max() <= TOLERANCE:  # NaN fails too
        row, column = divmod(int(np.argmax(difference)), difference.shape[1])
        raise ParityError(
            f"the saved model, loaded again, gives other probabilities: {labels[column]} "
            f"{expected[row, column]:.4f}, then {again[row, column]:.4f}. {lost}"
        )


def _sampled(rows: int) -> NDArray[np.intp]:
    """At most a hundred of the rows, spread evenly."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _SAMPLE)).astype(np.intp))


def _load(recipe: Recipe, folder: Path, labels: Sequence[str], threads: int) -> FittedModel:
    return recipe.build().load(folder, FitContext(labels=tuple(labels), seed=0, threads=threads))
