"""What a fold's training leaves behind to predict with: oof/<model>/kept/fold_<k>/, and the check that it can.

kept.json   which model and fold, what the part beside it was made from, hashes of the rest and of itself, whether it
            is still to be checked and whether it stays then; or why nothing was kept
the rest    what the family's fitted model wrote: adapters, heads, whole models; safetensors and JSON
"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from compete import atomic
from compete.base_models.checkpoint_files import checkpoint_of
from compete.base_models.families import TOLERANCES, FitContext, FittedModel, Keepable, keeps_models
from compete.base_models.memory import is_out_of_memory, release, uses_gpu
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import load_competition
from compete.competition.planned import Planned
from compete.competition.task import Task
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, StoreError
from compete.execution.jobs import Job
from compete.oof import store
from compete.oof.averaged import load_averaged
from compete.oof.fold_plan import under_stored_plan
from compete.oof.identity import changes_since, hash_of_files
from compete.oof.needs import needs_of
from compete.oof.priors import started_from, stored_prior
from compete.progress import Report

_RECORD, _TO_CHECK, _NOT_KEPT = "kept.json", "to_check", "not_kept"
_SAMPLE = 100
_WITHOUT = "--no-parity skips this check."


class ParityError(CompeteError):
    """A model that was written down and read again gives other probabilities."""


class UncheckedError(CompeteError):
    """A kept model could not be checked, and still waits for it."""


def begin(workspace: Workspace, model: str, fold: int, record: Mapping[str, Any]) -> None:
    """Say, before the part is written, that nothing is kept beside it yet: a run may be killed in between."""
    _not_kept(workspace.base_model(model).kept(fold), record, "the run was ended while it was written down")


def not_kept(workspace: Workspace, model: str, fold: int) -> str:
    """Why a fold was not kept, although its family keeps models; empty if it was, or is not to be."""
    try:
        record = store.intact_record(workspace.base_model(model).kept(fold) / _RECORD)
    except FileNotFoundError:
        return ""
    return str(record.get(_NOT_KEPT, "")) if record else ""


def _not_kept(folder: Path, record: Mapping[str, Any], why: str) -> None:
    with atomic.new_folder(folder) as path:
        store.write_record(path / _RECORD, {**record, _TO_CHECK: False, "files": {}, _NOT_KEPT: why})


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
    try:
        _write(target, model, record, whole=whole, to_check=to_check)
    except Exception as error:
        with contextlib.suppress(OSError):  # on a full disk the earlier record stays, which says less
            _not_kept(target, record, f"{type(error).__name__}: {error}")
        raise


def _write(target: Path, model: Keepable, record: Mapping[str, Any], *, whole: bool, to_check: bool) -> None:
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

    Raises ParityError there, and removes the model, if they differ; the part stays. Raises UncheckedError where memory
    or disk ran out, which says nothing of the model.
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
    workspace: Workspace, recipe: Recipe, fold: int, task: Task, threads: int, identity: Mapping[str, str]
) -> FittedModel:
    """The kept model of a fold; raises StoreError if there is none, or one of another training.

    task: with the outputs that are learnt.
    """
    folder = kept_folder(workspace, recipe, fold, identity)
    try:
        return read_kept(workspace, recipe.ready(), folder, task, threads)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {error}"
        again = f"`compete train-base {recipe.name} --force` trains it again"
        raise StoreError(f"{workspace.shown(folder)} cannot be read ({reason}); {again}.") from error


def kept_folder(workspace: Workspace, recipe: Recipe, fold: int, identity: Mapping[str, str]) -> Path:
    """Where the kept model of a fold lies, every file of it as it was written; raises StoreError as `load_kept`."""
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
    if record.get(_NOT_KEPT):
        raise StoreError(f"fold {fold} of {recipe.name} was not kept: {record[_NOT_KEPT]}; {again}.")
    if record[_TO_CHECK]:
        raise StoreError(
            f"{workspace.shown(folder)} has not been checked, for the run was ended before; "
            f"`compete train-base {recipe.name}` does that."
        )
    then = {**record, "identity": recipe.looked_at(record["identity"])}
    if changes_since(then, identity, hash_of_files(checkpoint_of(workspace, recipe))):
        raise StoreError(f"{workspace.shown(folder)} is of another training than the probabilities; {again}.")
    return folder


def prior_in(folder: Path) -> str | None:
    """Name of the prior (`oof/priors`) that a kept model stands on; None for one that needs none."""
    name = (store.intact_record(folder / _RECORD) or {}).get("prior")
    return None if name is None else str(name)


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
    if uses_gpu():  # in the process that trained: the model lies there until it is collected
        release()
    part = store.read_part(model.part(fold), planned.plan, competition.shape)
    chosen = _sampled(len(part.oof))
    rows = planned.plan.rows(fold)[chosen]
    record = store.intact_record(folder / _RECORD)
    if record is None:
        raise StoreError(f"{workspace.shown(folder / _RECORD)} is damaged")
    try:
        expected = part.oof[chosen][:, planned.learnt.mask]
        precision = store.read_record(model.part(fold))["made_by"].get("predicted_in", "float32")
        _compare(planned, payload, folder, rows, expected, precision)
    except ParityError as error:
        _not_kept(folder, record, str(error))
        raise ParityError(
            f"{error}. Its probabilities are kept, but `compete predict` cannot use it. {_WITHOUT}"
        ) from error
    if record["stays"]:
        store.write_record(folder / _RECORD, {**record, _TO_CHECK: False})
    else:
        shutil.rmtree(folder)


def _compare(
    planned: Planned,
    payload: Mapping[str, Any],
    folder: Path,
    rows: NDArray[np.intp],
    expected: NDArray[np.float32],
    precision: str,
) -> None:
    """Raise ParityError unless the model in `folder` gives training `rows` what is expected, (n_rows, n_outputs).

    precision: what that was computed in, by a GPU perhaps, where this machine has none.
    """
    task = planned.learnt_task
    try:
        recipe = load_recipe(planned.workspace, payload["model"]).ready()
        train_texts, _ = planned.competition.texts_for(recipe.needs.features)
        texts = [train_texts[row] for row in rows]
        model = read_kept(planned.workspace, recipe, folder, task, payload["threads"])
        again = model.predict_proba(texts)
    except Exception as error:  # whatever the family raises, it could not be used
        if is_out_of_memory(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            raise UncheckedError(
                f"the saved model could not be checked ({error}); `compete train-base {payload['model']}` tries again. "
                f"{_WITHOUT}"
            ) from error
        raise ParityError(f"the saved model cannot be loaded again: {type(error).__name__}: {error}") from error
    # What is tolerated is told of probabilities: numbers of another size may be off by as much of the targets' range.
    targets = planned.competition.train_targets.astype(np.float64)
    difference = np.abs(again - expected) / (1.0 if task.gives_probabilities else np.ptp(targets, axis=0))
    computed = (precision, getattr(model, "precision", "float32"))
    allowed = max((TOLERANCES[name] for name in computed), key=lambda tolerance: tolerance.most)
    if not (difference.max() <= allowed.most and difference.mean() <= allowed.mean):  # NaN fails too
        row, column = divmod(int(np.argmax(difference)), difference.shape[1])
        raise ParityError(
            f"the saved model, loaded again, gives other predictions: {task.outputs[column]} "
            f"{expected[row, column]:.5g}, then {again[row, column]:.5g}"
        )


def _sampled(rows: int) -> NDArray[np.intp]:
    """At most a hundred of the rows, spread evenly."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _SAMPLE)).astype(np.intp))


def read_kept(workspace: Workspace, recipe: Recipe, folder: Path, task: Task, threads: int) -> FittedModel:
    """The model that was kept in `folder`, wherever that lies; raises whatever its family does.

    task: with the outputs that are learnt.
    """
    context = FitContext(labels=task.outputs, seed=0, task=task.name, grades=task.grades, threads=threads)
    name = prior_in(folder)
    prior = None if name is None else stored_prior(workspace, name)
    return load_averaged(started_from(recipe, prior).build, folder, context, recipe.declaration.seeds)
