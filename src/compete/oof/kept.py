"""What a fold's training leaves behind to predict with: oof/<model>/kept/fold_<k>/, and the check that it can.

kept.json   which model and fold, what the part beside it was made from, hashes of the rest and of itself
the rest    what the family's fitted model wrote: adapters, heads, whole models; safetensors and JSON
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from compete import atomic
from compete.base_models.families import FitContext, FittedModel, Keepable
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, StoreError
from compete.execution.jobs import Failed, Job, Report
from compete.execution.local import LocalExecutor
from compete.oof import store

KEPT = "kept"
_RECORD = "kept.json"
TOLERANCE = 1e-3
_SAMPLE = 100


class ParityError(CompeteError):
    """A model that was written down and read again gives other probabilities."""


@dataclass(frozen=True)
class Check:
    """What a reloaded model has to reproduce: probabilities (n_texts, n_labels) of some texts."""

    texts: Sequence[str]
    probabilities: NDArray[np.float32]
    labels: Sequence[str]
    threads: int


def kept_folder(workspace: Workspace, model: str, fold: int) -> Path:
    return workspace.oof / model / KEPT / f"fold_{fold}"


def keep(
    workspace: Workspace,
    recipe: Recipe,
    fold: int,
    model: FittedModel,
    record: Mapping[str, Any],
    *,
    whole: bool,
    check: Check | None,
) -> None:
    """Write down what was trained, and raise ParityError unless a fresh process computes the same with it.

    A model trained as a whole is kept only if `whole`; it is written, checked and thrown away otherwise. A family
    whose models cannot be written is passed over.
    """
    target = kept_folder(workspace, recipe.name, fold)
    if not isinstance(model, Keepable):
        shutil.rmtree(target, ignore_errors=True)
        return
    with _written(model, target, record, whole=whole) as (folder, is_kept):
        if check is not None:
            if not is_kept:
                model.save(folder, whole=True)
            _check_parity(workspace, recipe, fold, folder, check)
    if not is_kept:
        shutil.rmtree(target, ignore_errors=True)


def load_kept(
    workspace: Workspace, recipe: Recipe, fold: int, labels: Sequence[str], threads: int, identity: Mapping[str, str]
) -> FittedModel:
    """The kept model of a fold; raises StoreError if there is none, or one of another training."""
    folder = kept_folder(workspace, recipe.name, fold)
    again = f"`compete train-base {recipe.name} --force` trains it again"
    recipe = recipe.ready()
    if not callable(getattr(recipe.family, "load", None)):
        raise StoreError(f"the family of {recipe.name} has no `save` and `load`, so its models are not kept")
    if not (folder / _RECORD).is_file():
        raise StoreError(
            f"{workspace.shown(folder)} does not exist: fold {fold} of {recipe.name} was not kept. Whole fine-tuned "
            f"models are kept with keep_weights = true under [training] in competition.toml; {again}."
        )
    if _checked_record(workspace, folder, again)["identity"] != dict(identity):
        raise StoreError(f"{workspace.shown(folder)} is of another training than the probabilities; {again}.")
    try:
        return _load(recipe, folder, labels, threads)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise StoreError(f"{workspace.shown(folder)} cannot be read ({reason}); {again}.") from error


def _checked_record(workspace: Workspace, folder: Path, again: str) -> dict[str, Any]:
    """kept.json; raises StoreError unless it and every file beside it are as they were written."""
    try:
        record = store.read_record(folder / _RECORD)
    except StoreError:
        raise StoreError(f"{workspace.shown(folder / _RECORD)} is damaged; {again}.") from None
    changed = store.changed_file(folder, record)
    if changed is not None:
        path, what = changed
        raise StoreError(f"{workspace.shown(path)} {what}; {again}.")
    return record


def run_check(payload: Mapping[str, Any], report: Report) -> None:
    """The job of the fresh process: read the model, predict the texts, leave the probabilities in a file."""
    recipe = load_recipe(Workspace(Path(payload["workspace"]), payload["size"]), payload["model"]).ready()
    model = _load(recipe, Path(payload["folder"]), payload["labels"], payload["threads"])
    np.save(payload["answer"], model.predict_proba(payload["texts"]), allow_pickle=False)


def sampled(texts: Sequence[str], probabilities: NDArray[np.float32], labels: Sequence[str], threads: int) -> Check:
    """A check on at most a hundred of the texts, spread evenly."""
    rows = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), _SAMPLE)).astype(int))
    return Check([texts[row] for row in rows], probabilities[rows], labels, threads)


@contextlib.contextmanager
def _written(model: Keepable, target: Path, record: Mapping[str, Any], *, whole: bool) -> Iterator[tuple[Path, bool]]:
    """The folder with the written model, which becomes `target` if it is enough to predict with."""
    with atomic.scratch_folder() as probe:
        is_kept = model.save(probe, whole=whole)
        yield probe, is_kept
        if is_kept:
            with atomic.new_folder(target) as folder:
                for path in probe.iterdir():
                    shutil.move(path, folder / path.name)
                files = sorted(path for path in folder.rglob("*") if path.is_file())
                hashes = {path.relative_to(folder).as_posix(): atomic.sha256_file(path) for path in files}
                store.write_record(folder / _RECORD, {**record, "files": hashes})


def _load(recipe: Recipe, folder: Path, labels: Sequence[str], threads: int) -> FittedModel:
    family: Any = recipe.build()
    loaded: FittedModel = family.load(folder, FitContext(labels=tuple(labels), seed=0, threads=threads))
    return loaded


def _check_parity(workspace: Workspace, recipe: Recipe, fold: int, folder: Path, check: Check) -> None:
    with atomic.scratch_folder() as scratch:
        answer = scratch / "probabilities.npy"
        job = Job(
            name=f"{recipe.name} fold {fold}, loaded again",
            target="compete.oof.kept:run_check",
            payload={
                "workspace": str(workspace.root),
                "size": workspace.size,
                "model": recipe.name,
                "folder": str(folder),
                "labels": list(check.labels),
                "threads": check.threads,
                "texts": list(check.texts),
                "answer": str(answer),
                "spread": bool(getattr(recipe.settings, "spread", False)),
            },
            log=workspace.oof / recipe.name / "logs" / f"fold_{fold}_loaded_again.log",
        )
        for event in LocalExecutor(1, check.threads).run([job]):
            if isinstance(event, Failed):
                raise ParityError(f"the saved model cannot be loaded again: {event.error}: {event.message}")
        again = np.load(answer, allow_pickle=False)
    difference = np.abs(again - check.probabilities)
    if not difference.max() <= TOLERANCE:  # NaN fails too
        row, column = divmod(int(np.argmax(difference)), difference.shape[1])
        raise ParityError(
            f"the saved model, loaded again, gives other probabilities: {check.labels[column]} "
            f"{check.probabilities[row, column]:.4f}, then {again[row, column]:.4f}. --no-parity skips this check."
        )
