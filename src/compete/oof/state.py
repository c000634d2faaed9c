"""What of a base model is there, and whether it still belongs to the competition and the recipe.

Reads JSON and hashes files; parses no table, so that `compete status` answers at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from compete import atomic
from compete.base_models.checkpoint_files import checkpoint_of
from compete.base_models.pretraining import Step
from compete.base_models.recipes import Recipe, has_recipe, load_recipes, recipe_names
from compete.competition.declaration import read_declaration
from compete.competition.names import NAME_RULE, RESERVED_NAMES, is_model_name
from compete.competition.row_fingerprints import hash_of_training_rows, without_features
from compete.competition.workspace import ResultFolder, Workspace
from compete.errors import StoreError, UserError
from compete.fingerprints import differences, digest
from compete.oof import store
from compete.oof.guards import FoldWarning
from compete.oof.identity import changes_since, files_of, hash_of_files
from compete.oof.provenance import Seen, leak_in, seen_by_part
from compete.printable import on_one_line


class State(StrEnum):
    MISSING = "missing"
    FRESH = "fresh"
    STALE = "stale"
    ORPHAN = "recipe gone"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class PartState:
    """One fold of a model, or the model's own files."""

    state: State
    reasons: tuple[str, ...] = ()
    """What makes it stale, or how it is damaged."""
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelState:
    """A base model as it lies in oof/."""

    name: str
    kind: Literal["trained", "imported"]
    whole: PartState
    """The state of the model's own files."""
    parts: tuple[PartState, ...]
    """The state of every fold."""
    unfit: str = ""
    """Why its family is not for this task; empty where it is."""
    tuned_on: tuple[frozenset[int], ...] = ()
    """By fold, whose labels chose the settings as the recipe says now: a later tuning with the same outcome changes
    nothing of what is trained."""

    def seen(self, fold: int) -> Seen | None:
        """What the model of a fold has seen; None where it is not there, or whoever brought it did not tell."""
        if self.kind == "imported":
            told = self.whole.record.get("seen")
            return None if told is None or fold >= len(told) else Seen.read(told[fold])
        part = self.parts[fold]
        if not part.record or part.state is State.DAMAGED:
            return None
        seen = seen_by_part(part.record, fold, len(self.parts))
        return seen.joined([Seen(tuned_on=self.tuned_on[fold])]) if self.tuned_on else seen

    @property
    def flattered(self) -> list[int]:
        """Folds whose own labels chose the settings that they were trained with: their score promises too much."""
        seen = {fold: self.seen(fold) for fold in range(len(self.parts))}
        return [fold for fold, each in seen.items() if each is not None and fold in each.tuned_on]

    @property
    def flattery(self) -> str:
        """What to say of a score that promises too much; empty where none does."""
        if not self.flattered:
            return ""
        return (
            f"{self.name}: its settings were chosen by labels of the rows that score it (folds "
            f"{', '.join(map(str, self.flattered))}), so its score promises a little too much; `compete tune --nested` "
            "does not"
        )

    @property
    def folds_done(self) -> int:
        if self.whole.state is State.FRESH:
            return len(self.parts)
        return sum(part.state is State.FRESH for part in self.parts)

    @property
    def how_far(self) -> str:
        """How much of it is trained, in words."""
        if not self.folds_done:
            return f"not for this task: {self.unfit}" if self.unfit else "not trained yet"
        return f"{self.folds_done} of {len(self.parts)} folds trained"

    @property
    def state(self) -> State:
        """The model's state in one word: damaged before stale before missing before fresh."""
        if self.whole.state in (State.FRESH, State.DAMAGED, State.ORPHAN):
            return self.whole.state
        states = {self.whole.state, *(part.state for part in self.parts)}
        return next(s for s in (State.DAMAGED, State.STALE, State.MISSING, State.FRESH) if s in states)

    @property
    def reasons(self) -> list[str]:
        """Why it is stale or damaged, each reason once; of several damaged files the first, and how many more."""
        parts = [part for part in (self.whole, *self.parts) if part.state is self.state]
        reasons = list(dict.fromkeys(reason for part in parts for reason in part.reasons))
        if self.state is State.DAMAGED and len(reasons) > 1:
            return [f"{reasons[0]} ({len(reasons) - 1} more of its files are damaged)"]
        return reasons

    @property
    def warnings(self) -> dict[FoldWarning, list[int]]:
        """What the folds that are there were warned of, and in which folds."""
        found: dict[FoldWarning, list[int]] = {}
        for fold, part in enumerate(self.parts):
            for warning in part.record.get("warnings", []) if part.state is State.FRESH else []:
                found.setdefault(FoldWarning.read(warning), []).append(fold)
        return found

    @property
    def seconds(self) -> float:
        """Training time of the folds that are there, summed."""
        records = [self.whole.record] if self.whole.state is State.FRESH else [p.record for p in self.parts]
        return float(sum(record.get("seconds", 0.0) for record in records))


def recipes_in_force(workspace: Workspace) -> dict[str, Recipe]:
    """Every recipe by name, and those as published that were trained so."""
    names = recipe_names(workspace)
    as_published = [name for name in stored_models(workspace) if name not in names and has_recipe(workspace, name)]
    return {recipe.name: recipe for recipe in load_recipes(workspace, [*names, *as_published])}


def every_model_state(
    workspace: Workspace, recipes: Mapping[str, Recipe], rows: Mapping[str, str], k: int
) -> dict[str, ModelState]:
    """The state of every base model that has a recipe or lies in oof/."""
    names = [*recipes, *(name for name in stored_models(workspace) if name not in recipes)]
    return {name: model_state(workspace, name, recipes.get(name), rows, k) for name in names}


def model_state(workspace: Workspace, name: str, recipe: Recipe | None, rows: Mapping[str, str], k: int) -> ModelState:
    """The state of one model; `recipe` is None for an imported one or one whose recipe is gone."""
    if not is_model_name(name):  # a folder that somebody laid there, and that no command can name
        why = f"oof/{on_one_line(name)} cannot be a model's ({NAME_RULE}): rename it, or move it away"
        return ModelState(name, "trained", PartState(State.ORPHAN, (why,)), (PartState(State.MISSING),) * k)
    folder = workspace.base_model(name)
    identity = recipe.identity_on(rows) if recipe else without_features(rows)
    checkpoint = checkpoint_in_force(workspace, name, recipe, k)
    whole = _part_state(folder, identity, recipe, checkpoint)
    if whole.record.get("kind") == "imported":
        return ModelState(name, "imported", whole, (whole,) * k)  # it has no folds: the whole stands for each
    if recipe is None and whole.state in (State.FRESH, State.STALE):
        why = f"there is no base_models/{name}.toml: put the recipe back, or move oof/{name} away"
        whole = PartState(State.ORPHAN, (why,), whole.record)
    others = None if recipe is None else _OtherRows(workspace, recipe)
    of_folds = [(None, identity) if recipe is None else _of_fold(recipe, fold, rows) for fold in range(k)]
    parts = [
        _learnt_of_others(others, fold, _part_state(folder.part(fold), own, told, checkpoint))
        for fold, (told, own) in enumerate(of_folds)
    ]
    # What is put together is worth what its folds are.
    worse = [part for part in parts if part.state is State.STALE or leak_in(part.record)]
    if whole.state is State.FRESH and worse:
        whole = worse[0]
    tuned = None if recipe is None else recipe.declaration.tuned
    tuned_on = () if tuned is None else tuple(tuned.folds_seen(fold, k) for fold in range(k))
    return ModelState(name, "trained", whole, tuple(parts), recipe.unfit if recipe else "", tuned_on)


def _of_fold(recipe: Recipe, fold: int, rows: Mapping[str, str]) -> tuple[Recipe, dict[str, str]]:
    """The recipe as the fold is trained with it, and the identity of what comes of that."""
    own = recipe.of_fold(fold)
    return own, own.identity_on(rows)


def stored_models(workspace: Workspace) -> list[str]:
    """Names of the folders in oof/ that hold, or should hold, a base model; sorted."""
    if not workspace.oof.is_dir():
        return []
    # What holds nothing but logs or kept models is none: a fold that fails leaves its log, and what a fold learnt is
    # written before its part.
    folders = (path for path in workspace.oof.iterdir() if path.is_dir() and not path.name.startswith("."))
    beside = [(folder, (ResultFolder(folder).logs, ResultFolder(folder).all_kept)) for folder in folders]
    results = (folder for folder, others in beside if any(entry not in others for entry in folder.iterdir()))
    return sorted(path.name for path in results if path.name not in RESERVED_NAMES)


def changed_by_competition(state: ModelState, rows: Mapping[str, str], size: str = "full") -> list[str]:
    """What changed in the competition (not in the recipe) since a stale model was trained, its size included."""
    changes: list[str] = []
    for part in (state.whole, *state.parts):
        if part.state is State.STALE:
            identity = part.record["identity"]
            then = {name: value for name, value in identity.items() if name in rows}
            changes += differences(then, rows)
            changes += differences({"size": identity.get("size", "full")}, {"size": size})
    return list(dict.fromkeys(changes))


def checkpoint_in_force(workspace: Workspace, name: str, recipe: Recipe | None, k: int) -> str:
    """Hash of the files that all folds of a model have to have started from; empty where nothing tells.

    Of a checkpoint that is not here, the first fold that knows it does.
    """
    found = hash_of_files(checkpoint_of(workspace, recipe) if recipe else None)
    return found or _first_known(workspace.base_model(name), k)


def _first_known(folder: ResultFolder, k: int) -> str:
    for fold in range(k):
        with contextlib.suppress(FileNotFoundError):
            known = files_of(store.intact_record(folder.part(fold).record) or {})
            if known:
                return known
    return ""


def _part_state(folder: ResultFolder, identity: Mapping[str, str], recipe: Recipe | None, checkpoint: str) -> PartState:
    """Compare what lies in `folder` with what it should have been made from; without a recipe, the rows alone."""
    if store.was_interrupted(folder):
        return PartState(State.MISSING)
    if not any(path.exists() for path in (folder.record, folder.oof, folder.test)):
        return PartState(State.MISSING)
    try:
        record = store.read_record(folder)
        store.check_hashes(folder, record)
    except StoreError as error:
        return PartState(State.DAMAGED, (str(error),))
    if leak := leak_in(record):
        return PartState(State.DAMAGED, (f"{leak}. {store.remedy(folder)}",), record)
    if recipe is None:
        changes = differences({n: value for n, value in record["identity"].items() if n in identity}, identity)
    else:
        then = {**record, "identity": recipe.looked_at(record["identity"])}
        changes = changes_since(then, identity, checkpoint)
    return PartState(State.STALE if changes else State.FRESH, tuple(_without_echo(changes)), record)


@dataclass(frozen=True)
class _OtherRows:
    """Hashes of what a recipe's folds learn from besides the competition's rows; each is made once, if asked for."""

    workspace: Workspace
    recipe: Recipe

    @cached_property
    def pretraining(self) -> list[str]:
        return pretraining_rows(self.workspace, self.recipe)

    @cached_property
    def unlabelled(self) -> str:
        declared = self.recipe.declaration.pseudo_labels
        path = None if declared is None or declared.rows == "test" else self.workspace.root / declared.rows
        return atomic.sha256_file(path) if path is not None and path.is_file() else ""


def _learnt_of_others(others: _OtherRows | None, fold: int, part: PartState) -> PartState:
    """A fold is stale if what it learnt from besides its rows is another than there is now; what is not there any more,
    or not on this machine, makes nothing stale."""
    if others is None or part.state is not State.FRESH:
        return part
    changes = [*_taught_since(others, fold, part.record), *_pretrained_since(others, part.record)]
    return replace(part, state=State.STALE, reasons=tuple(changes)) if changes else part


def _taught_since(others: _OtherRows, fold: int, record: Mapping[str, Any]) -> list[str]:
    """Which teachers were trained again since."""
    workspace, declared = others.workspace, others.recipe.declaration.pseudo_labels
    taught_by, changes = record.get("taught_by", {}), list[str]()
    for teacher in declared.teachers if declared else ():
        of_teacher = workspace.base_model(teacher).part(fold)
        with contextlib.suppress(StoreError):
            if taught_by.get(teacher) != store.hash_of(store.read_record(of_teacher), of_teacher.oof):
                changes.append(f"its teacher {teacher} was trained again")
    if declared and others.unlabelled and record.get("unlabelled") != others.unlabelled:
        changes.append(f"{declared.rows} changed")
    return changes


def _pretrained_since(others: _OtherRows, record: Mapping[str, Any]) -> list[str]:
    """What of the rows that came first is another now."""
    then = record.get("pretrained_on", [])
    return [
        f"{what_of(step)}, which it was pretrained on, changed"
        for step, hash_then, hash_now in zip(
            others.recipe.declaration.pretrain_on, then, others.pretraining, strict=False
        )
        if hash_now and hash_then != hash_now
    ]


def pretraining_rows(workspace: Workspace, recipe: Recipe) -> list[str]:
    """A hash of the rows of every [[pretrain_on]]; empty for what is not on this machine, and for our own texts."""
    found = []
    for step in recipe.declaration.pretrain_on:
        if step.workspace is None:
            files = [workspace.root / name for name in step.files]
            found.append(
                digest(map(atomic.sha256_file, files)) if files and all(file.is_file() for file in files) else ""
            )
            continue
        other = Workspace((workspace.root / step.workspace).resolve())
        now = ""
        if other.declaration.is_file():
            with contextlib.suppress(UserError):  # what is wrong with it hinders who wants to train
                now = hash_of_training_rows(other, read_declaration(other))
        found.append(now)
    return found


def what_of(step: Step) -> str:
    """What a step learns from, in words."""
    return f"the rows of {step.workspace}" if step.workspace else f"the texts of {', '.join(step.texts or ())}"


def _without_echo(changes: Sequence[str]) -> list[str]:
    """The fold plan's own hash changes with anything it is made from; say so only when nothing else explains it."""
    others = [change for change in changes if change != "fold plan changed"]
    return others or list(changes)
