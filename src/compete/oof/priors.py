"""Pretraining on other labelled rows or on texts, once for all folds: what the folds of such a recipe start from.

oof/.priors/<hash>/   the checkpoint after it, without a head, and prior.json: what it is and what it has seen

A step is a competition of its own (another workspace), with its own labels and its own head, which is thrown away. No
label of this competition is in it, so every fold may start from it. Rows whose text is nearly one of ours, in train or
in test, are left out and counted: who has seen their labels has seen ours. A step on texts sees no label at all, and
says whether it has seen those of the test set.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pydantic import BaseModel

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
from compete.oof.unlabelled import has_test_texts, unlabelled_texts
from compete.progress import Report

Told = TypeVar("Told", bound=BaseModel)
_RECORD = "prior.json"
_TEXTS = "texts of "
_LANGUAGE = "language modelling 1"  # another number once it gives other weights
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


@dataclass(frozen=True)
class _Step:
    """One step, before it is trained."""

    name: str
    """Hash of everything that the result depends on."""
    title: str
    """What is learnt from, in words."""
    seen: Seen
    rows: int
    left_out: int
    train: Callable[[FitContext], Callable[[Path], None]]
    """Trains; what it returns writes the checkpoint into a folder."""
    context: FitContext


def _step(recipe: Recipe, step: Step, competition: Competition, start: Path | None, report: Report) -> Prior:
    make = _on_labels if step.workspace is not None else _on_texts
    found = make(recipe, step, competition, start)
    folder = competition.workspace.prior(found.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    while True:
        try:
            with lock.acquire(timeout=_ASK):
                if _record(folder) is None:
                    _train(found, folder, report)
                record = _record(folder)
                assert record is not None
                return Prior(folder, record)
        except Timeout:
            report(0.0, f"another job is pretraining on {found.title}")


def _on_labels(recipe: Recipe, step: Step, competition: Competition, start: Path | None) -> _Step:
    other = load_competition(_other(competition.workspace, recipe, step))
    rows, left_out = _rows_unlike(competition, other)
    if len(rows) < _FEWEST:
        raise UserError(
            f"{recipe.shown}: pretrain_on: {step.workspace} has {len(rows)} rows whose text is not in train or test "
            f"of this competition; at least {_FEWEST} are needed"
        )
    told, problems = step.classifier(_settings(recipe, step, is_first=start is None), other.task.name)
    _refuse(recipe, problems)

    def train(context: FitContext) -> Callable[[Path], None]:
        from compete.base_models.classifier.training import train

        settings = SequenceClassifier.settled(_placed(told, recipe, start), other.task.name)
        return train(settings, [other.train_texts[row] for row in rows], other.train_targets[rows], context).save_body

    context = FitContext(other.task.outputs, recipe.declaration.seed, task=other.task.name, grades=other.task.grades)
    name = _labelled_name(recipe, step, competition, other, start)
    return _Step(name, other.declaration.name, Seen(), len(rows), left_out, train, context)


def _on_texts(recipe: Recipe, step: Step, competition: Competition, start: Path | None) -> _Step:
    assert step.texts is not None
    own = {"train": competition.train_texts, "test": competition.test_texts}
    where, texts = f"{recipe.shown}: pretrain_on.texts:", list[str]()
    for name in step.texts:
        texts += own[name] if name in own else unlabelled_texts(competition, name, where, '"train", "test", or ')
    texts = list(dict.fromkeys(texts))
    if len(texts) < _FEWEST:
        raise UserError(f"{where} {len(texts)} texts; at least {_FEWEST} are needed")
    told, problems = step.language_modeling()
    _refuse(recipe, problems)
    settings = told.training(_settings(recipe, step, is_first=start is None))
    prompt = getattr(recipe.settings, "prompt", None) or ""

    def train(context: FitContext) -> Callable[[Path], None]:
        from compete.base_models.pretrained.language_modeling import adapt

        return adapt(_placed(settings, recipe, start), told.masked, prompt, texts, context)

    described = [json.dumps(settings.model_dump(mode="json"), sort_keys=True), str(told.masked), prompt, digest(texts)]
    name = digest([_begun_from(recipe, competition, start), *described, str(recipe.declaration.seed), _LANGUAGE])
    seen = Seen(test_texts=has_test_texts(competition, texts))
    title, context = f"{_TEXTS}{', '.join(step.texts)}", FitContext((), recipe.declaration.seed)
    return _Step(name, title, seen, len(texts), 0, train, context)


def _placed(settings: Told, recipe: Recipe, start: Path | None) -> Told:
    """The same with the folder that the checkpoint lies in, where it is one."""
    where = start or recipe.folder
    return settings.model_copy(update={"checkpoint": str(where)}) if where else settings


def check_steps(workspace: Workspace, recipe: Recipe) -> None:
    """Raise UserError for steps that cannot be gone through, as far as that can be told without reading rows."""
    for number, step in enumerate(recipe.declaration.pretrain_on):
        if step.workspace is None:
            _refuse(recipe, step.language_modeling()[1])
            _refuse_texts(workspace, recipe, step)
            continue
        task = read_declaration(_other(workspace, recipe, step)).task
        _refuse(recipe, step.classifier(_settings(recipe, step, is_first=number == 0), task)[1])


def _refuse_texts(workspace: Workspace, recipe: Recipe, step: Step) -> None:
    absent = [name for name in step.files if not (workspace.root / name).is_file()]
    if absent:
        raise UserError(
            f'{recipe.shown}: pretrain_on.texts: {absent[0]} does not exist; take "train", "test", or a file of rows '
            "without labels"
        )
    if getattr(recipe.settings, "attention", None) == "bidirectional":
        raise UserError(
            f'{recipe.shown}: pretrain_on.texts: with attention = "bidirectional" tokens see those behind them, and '
            "there is nothing to predict. Pretrain on labelled rows (`workspace`)"
        )


def _refuse(recipe: Recipe, problems: Sequence[Problem]) -> None:
    if problems:
        raise UserError("\n".join(f"{recipe.shown}: pretrain_on.{it.key}: {it.message}" for it in problems))


def _other(workspace: Workspace, recipe: Recipe, step: Step) -> Workspace:
    assert step.workspace is not None
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


def _begun_from(recipe: Recipe, competition: Competition, start: Path | None) -> str:
    """What a step starts from.

    Of a checkpoint of the hub its name and revision, which are among the settings: its files may be fetched only by
    the first fold's training, and the other folds are to start from the same.
    """
    checkpoint = checkpoint_of(competition.workspace, recipe) if recipe.folder is not None else None
    return start.name if start else checkpoint.files if checkpoint else recipe.needs.checkpoint


def _labelled_name(recipe: Recipe, step: Step, competition: Competition, other: Competition, start: Path | None) -> str:
    ours, theirs = competition.fingerprints, other.fingerprints
    return digest(
        [
            _begun_from(recipe, competition, start),
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


def _train(step: _Step, folder: Path, report: Report) -> None:
    about = f"pretraining on {step.title}"
    context = replace(
        step.context,
        threads=usable_cores(),  # the jobs beside this one wait for it
        progress=lambda fraction, doing="": report(0.0, f"{about}: {fraction:.0%} {doing}"),
        state=folder.with_suffix(".state"),
    )
    save = step.train(context)
    record = {
        "kind": "prior",
        "pretrained_on": step.title,
        "rows": step.rows,
        "left_out": step.left_out,
        "seen": step.seen.record(),
        "curves": context.curves,
        "warnings": context.warnings,
    }
    with atomic.new_folder(folder) as path:
        save(path)
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
    """What the user should know of what the folds start from, and of rows that were left out."""
    if str(prior.record["pretrained_on"]).startswith(_TEXTS):
        return f"pretrained on {prior.record['rows']:,} {prior.record['pretrained_on']}"
    return (
        f"pretrained on {prior.record['rows']:,} rows of {prior.record['pretrained_on']}; {prior.record['left_out']:,} "
        "were left out, for their text is in train or test here"
    )
