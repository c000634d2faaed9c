"""Pretraining on other labelled rows, once for all folds: what the folds of such a recipe start from.

oof/.priors/<hash>/   the checkpoint after it, without a head, and prior.json: what it is and what it has seen

A step is a competition of its own (another workspace), with its own labels and its own head, which is thrown away. No
label of this competition is in it, so every fold may start from it. Rows whose text is nearly one of ours, in train or
in test, are left out and counted: who has seen their labels has seen ours.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.checkpoint_files import checkpoint_of
from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.families import FitContext
from compete.base_models.pretraining import Step
from compete.base_models.recipes import Recipe
from compete.competition.data import Competition, load_competition
from compete.competition.declaration import read_declaration
from compete.competition.near_identical import near_identical_key
from compete.competition.workspace import DECLARATION, Workspace
from compete.declarations import Problem
from compete.errors import UserError
from compete.execution.local import usable_cores
from compete.fingerprints import digest
from compete.oof import store
from compete.oof.provenance import Seen
from compete.progress import Report

_RECORD = "prior.json"
_FEWEST = 20  # rows to pretrain on
_ASK = 5.0  # seconds between two looks at whether another job has finished


@dataclass(frozen=True)
class Prior:
    """A checkpoint that was trained on other rows."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Hash of all it was made from."""
        return self.folder.name

    @property
    def seen(self) -> Seen:
        """No label of this competition."""
        seen = Seen.read(self.record["seen"])
        return replace(seen, through=(*seen.through, f"pretraining on {self.record['pretrained_on']}"))


def prior_of(recipe: Recipe, competition: Competition, report: Report) -> Prior | None:
    """What the recipe's folds start from in place of its checkpoint; None for a recipe without [[pretrain_on]].

    Trained here if it is not there yet, while other folds' jobs wait. Raises UserError for a step that cannot be.
    """
    prior, start = None, None
    for step in recipe.declaration.pretrain_on:
        prior = _step(recipe, step, competition, start, report)
        start = prior.folder
    return prior


def stored_prior(workspace: Workspace, name: str) -> Prior:
    """One that is there; raises UserError if it is not."""
    folder = workspace.prior(name)
    record = _record(folder)
    if record is None:
        raise UserError(
            f"{workspace.shown(folder)} is not there: what the folds started from. Bring it from where they were "
            "trained, or train them again with --force"
        )
    return Prior(folder, record)


def _step(recipe: Recipe, step: Step, competition: Competition, start: Path | None, report: Report) -> Prior:
    workspace = competition.workspace
    other = load_competition(_other(workspace, recipe, step))
    rows, left_out = _rows_unlike(competition, other)
    if len(rows) < _FEWEST:
        raise UserError(
            f"{recipe.shown}: pretrain_on: {step.workspace} has {len(rows)} rows whose text is not in train or test "
            f"of this competition; at least {_FEWEST} are needed"
        )
    name = _name(recipe, step, competition, other, start)
    folder = workspace.prior(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    while True:
        try:
            with lock.acquire(timeout=_ASK):
                if _record(folder) is None:
                    _train(recipe, step, competition, other, rows, left_out, start, folder, report)
                record = _record(folder)
                assert record is not None
                return Prior(folder, record)
        except Timeout:
            report(0.0, f"another job is pretraining on {other.declaration.name}")


def check_steps(workspace: Workspace, recipe: Recipe) -> None:
    """Raise UserError for steps that cannot be gone through, as far as that can be told without reading rows."""
    for number, step in enumerate(recipe.declaration.pretrain_on):
        task = read_declaration(_other(workspace, recipe, step)).task
        _refuse(recipe, step.classifier(_settings(recipe, step, is_first=number == 0), task)[1])


def _refuse(recipe: Recipe, problems: Sequence[Problem]) -> None:
    if problems:
        raise UserError("\n".join(f"{recipe.shown}: pretrain_on.{it.key}: {it.message}" for it in problems))


def _other(workspace: Workspace, recipe: Recipe, step: Step) -> Workspace:
    root = (workspace.root / step.workspace).resolve()
    if root == workspace.root.resolve():
        raise UserError(f"{recipe.shown}: pretrain_on: {step.workspace} is this workspace; name another one")
    if not (root / DECLARATION).is_file():
        raise UserError(
            f"{recipe.shown}: pretrain_on: there is no {DECLARATION} in {step.workspace}: make a workspace of the "
            "labelled file with `compete init`, and name its folder"
        )
    return Workspace(root)


def _rows_unlike(competition: Competition, other: Competition) -> tuple[NDArray[np.intp], int]:
    """Rows of the other competition whose text is none of this one's, and how many are left out."""
    ours = {near_identical_key(text) for text in (*competition.train_texts, *competition.test_texts)}
    unlike = [row for row, text in enumerate(other.train_texts) if near_identical_key(text) not in ours]
    return np.array(unlike, dtype=np.intp), len(other.train_texts) - len(unlike)


def _name(recipe: Recipe, step: Step, competition: Competition, other: Competition, start: Path | None) -> str:
    """Hash of everything that the result depends on.

    Of a checkpoint of the hub its name and revision, which are among the settings: its files may be fetched only by
    the first fold's training, and the other folds are to start from the same.
    """
    checkpoint = checkpoint_of(competition.workspace, recipe) if recipe.folder is not None else None
    ours, theirs = competition.fingerprints, other.fingerprints
    return digest(
        [
            start.name if start else checkpoint.files if checkpoint else recipe.needs.checkpoint,
            json.dumps(_settings(recipe, step, is_first=start is None), sort_keys=True),
            str(recipe.declaration.seed),
            str(SequenceClassifier.version),
            other.task.name,
            *(theirs[part] for part in ("label names", "train texts", "train labels")),
            *(ours[part] for part in ("train texts", "test texts")),  # which rows are left out
        ]
    )


def _settings(recipe: Recipe, step: Step, *, is_first: bool) -> dict[str, Any]:
    """What the classifier of the step is told, but for where its checkpoint lies."""
    own = recipe.settings.model_dump(mode="json")
    shared = ("checkpoint", "revision", "remote_code", "max_length", "prompt", "attention", "pooling")
    same: dict[str, Any] = {name: own[name] for name in shared if own.get(name) is not None}
    if same.get("pooling") == "last":  # as the classifier calls a decoder's last token, too
        same["pooling"] = "first"
    return {**same, **step.settings, **({} if is_first else {"revision": None, "remote_code": False})}


def _train(
    recipe: Recipe,
    step: Step,
    competition: Competition,
    other: Competition,
    rows: NDArray[np.intp],
    left_out: int,
    start: Path | None,
    folder: Path,
    report: Report,
) -> None:
    from compete.base_models.classifier.training import train

    where, about = start or recipe.folder, f"pretraining on {other.declaration.name}"
    told, problems = step.classifier(_settings(recipe, step, is_first=start is None), other.task.name)
    _refuse(recipe, problems)
    settings = told.model_copy(update={"checkpoint": str(where)} if where else {})
    context = FitContext(
        labels=other.task.outputs,
        task=other.task.name,
        grades=other.task.grades,
        seed=recipe.declaration.seed,
        threads=usable_cores(),  # the jobs beside this one wait for it
        progress=lambda fraction, doing="": report(0.0, f"{about}: {fraction:.0%} {doing}"),
        state=folder.with_suffix(".state"),
    )
    settled = SequenceClassifier.settled(settings, other.task.name)
    texts = [other.train_texts[row] for row in rows]
    model = train(settled, texts, other.train_targets[rows], context)
    record = {
        "kind": "prior",
        "pretrained_on": other.declaration.name,
        "rows": len(rows),
        "left_out": left_out,
        "seen": Seen().record(),
        "curves": context.curves,
        "warnings": context.warnings,
    }
    with atomic.new_folder(folder) as path:
        model.save_body(path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        hashes = {file.relative_to(path).as_posix(): atomic.sha256_file(file) for file in files}
        store.write_record(path / _RECORD, {**record, "files": hashes})
    shutil.rmtree(folder.with_suffix(".state"), ignore_errors=True)


def _record(folder: Path) -> dict[str, Any] | None:
    """prior.json; None where it is not there, or a file beside it is not what it says."""
    try:
        record = store.intact_record(folder / _RECORD)
    except FileNotFoundError:
        return None
    return record if record is not None and store.changed_file(folder, record) is None else None


def started_from(recipe: Recipe, prior: Prior | None) -> Recipe:
    """The recipe with the prior in place of its checkpoint: for training and loading, never for its identity."""
    return recipe if prior is None else replace(recipe, folder=prior.folder, absent="", remote_code_allowed=True)


def sentence(prior: Prior) -> str:
    """What the user should know of rows that were left out."""
    return (
        f"pretrained on {prior.record['rows']:,} rows of {prior.record['pretrained_on']}; {prior.record['left_out']:,} "
        "were left out, for their text is in train or test here"
    )
