"""What of a base model is there, and whether it still belongs to the competition and the recipe.

Reads JSON and hashes files; parses no table, so that `compete status` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compete.base_models.recipes import RESERVED_NAMES, Recipe, has_recipe, load_recipes, recipe_names
from compete.competition.folds import FoldPlan, made_from
from compete.competition.workspace import Workspace
from compete.errors import StoreError
from compete.fingerprints import differences
from compete.oof import store

if TYPE_CHECKING:  # data.py imports pandas, which `compete status` has no time for
    from compete.competition.data import Competition


class State(StrEnum):
    MISSING = "missing"
    FRESH = "fresh"
    STALE = "stale"
    ORPHAN = "recipe gone"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class PartState:
    """One fold of a model. reasons: what makes it stale, or how it is damaged."""

    state: State
    reasons: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelState:
    """A base model as it lies in oof/.

    whole: the state of the model's own files; parts: of every fold. kind: "trained" or "imported".
    """

    name: str
    kind: str
    whole: PartState
    parts: tuple[PartState, ...]

    @property
    def folds_done(self) -> int:
        if self.whole.state is State.FRESH:
            return len(self.parts)
        return sum(part.state is State.FRESH for part in self.parts)

    @property
    def how_far(self) -> str:
        """How much of it is trained, in words."""
        return f"{self.folds_done} of {len(self.parts)} folds trained" if self.folds_done else "not trained yet"

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
    def warnings(self) -> dict[str, list[int]]:
        """What the folds that are there were warned of, and in which folds."""
        found: dict[str, list[int]] = {}
        for fold, part in enumerate(self.parts):
            for warning in part.record.get("warnings", []) if part.state is State.FRESH else []:
                found.setdefault(warning, []).append(fold)
        return found

    @property
    def seconds(self) -> float:
        """Training time of the folds that are there, summed."""
        records = [self.whole.record] if self.whole.state is State.FRESH else [p.record for p in self.parts]
        return float(sum(record.get("seconds", 0.0) for record in records))


def rows_identity(fingerprints: Mapping[str, str], plan_fingerprint: str, origin: Mapping[str, str]) -> dict[str, str]:
    """What every OOF depends on besides its recipe; `origin` is what the fold plan is made from."""
    test = {name: fingerprints[name] for name in ("test ids", "test texts")}
    return {**origin, "fold plan": plan_fingerprint, **test}


def competition_rows(competition: Competition, plan: FoldPlan) -> dict[str, str]:
    """The identity of the competition's rows under the plan; part of every OOF's identity."""
    origin = made_from(competition.fingerprints, competition.declaration.folds)
    return rows_identity(competition.fingerprints, plan.fingerprint, origin)


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
    folder = workspace.oof / name
    identity = {**rows, **recipe.identity()} if recipe else dict(rows)
    whole = _part_state(folder, store.MANIFEST, identity, recipe is None)
    kind = str(whole.record.get("kind", "trained"))
    if kind == "imported":
        return ModelState(name, kind, whole, (whole,) * k)
    if recipe is None and whole.state in (State.FRESH, State.STALE):
        why = f"there is no base_models/{name}.toml: put the recipe back, or move oof/{name} away"
        whole = PartState(State.ORPHAN, (why,), whole.record)
    parts = [_part_state(store.part_folder(folder, fold), store.PART, identity, recipe is None) for fold in range(k)]
    return ModelState(name, kind, whole, tuple(parts))


def stored_models(workspace: Workspace) -> list[str]:
    """Names of the folders in oof/ that hold, or should hold, a base model; sorted."""
    if not workspace.oof.is_dir():
        return []
    folders = (path for path in workspace.oof.iterdir() if path.is_dir() and not path.name.startswith("."))
    results = (path for path in folders if any(entry.name not in ("logs", "kept") for entry in path.iterdir()))
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


def _part_state(folder: Path, record_name: str, identity: Mapping[str, str], rows_only: bool) -> PartState:
    """Compare what lies in `folder` with what it should have been made from."""
    tables = [folder / store.OOF, folder / store.TEST]
    path = folder / record_name
    if store.was_interrupted(folder):
        return PartState(State.MISSING)
    if not path.exists() and not any(table.exists() for table in tables):
        return PartState(State.MISSING)
    try:
        record = store.read_record(path)
        store.check_hashes(folder, record)
    except StoreError as error:
        return PartState(State.DAMAGED, (str(error),))
    then = record["identity"]
    if rows_only:
        then = {name: value for name, value in then.items() if name in identity}
    else:  # the full size goes without saying
        then, identity = {"size": "full", **then}, {"size": "full", **identity}
    changes = differences(then, identity)
    return PartState(State.STALE if changes else State.FRESH, tuple(_without_echo(changes)), record)


def _without_echo(changes: Sequence[str]) -> list[str]:
    """The fold plan's own hash changes with anything it is made from; say so only when nothing else explains it."""
    others = [change for change in changes if change != "fold plan changed"]
    return others or list(changes)
