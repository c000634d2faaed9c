"""Which base models are stacked, and whether a stack that lies in oof/stacks/<name>/ still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import StoreError, UserError
from compete.fingerprints import differences, digest
from compete.oof import store
from compete.oof.state import ModelState, State, competition_rows, every_model_state, recipes_in_force
from compete.oof.train import shape_of
from compete.stacking.recipes import StackRecipe, load_with_parts, parts_of
from compete.stacking.scores import VERSION, Score, score_from


@dataclass(frozen=True)
class Members:
    """The base models of a stack. left_out: name and reason of those that were passed over."""

    names: list[str]
    left_out: dict[str, str]


# A model in these states is passed over unless it is asked for by name.
_LEFT_OUT = (State.MISSING, State.ORPHAN)


def stack_folder(workspace: Workspace, name: str) -> Path:
    return workspace.oof / "stacks" / name


def choose_members(
    competition: Competition,
    plan: FoldPlan,
    named: Sequence[str] = (),
    without: Sequence[str] = (),
    *,
    everything: bool | None = None,
    named_in: Mapping[str, str] | None = None,
) -> Members:
    """The named base models, all that are trained (`everything`; default: if none is named), or both together.

    Raises StoreError for stale or damaged ones, and for named ones that are not whole. named_in: the files that name
    them, for the messages.
    """
    everything = not named if everything is None else everything
    states = base_model_states(competition, plan)
    files = named_in or {}
    unknown = [
        f"{f'{files[name]}: ' if name in files else ''}no base model {name!r}; {unknown_name(name, states)}"
        for name in [*named, *without]
        if name not in states
    ]
    if unknown:
        raise UserError("\n".join(unknown))
    recipes = recipes_in_force(competition.workspace)
    # What --all does not train is stacked if it was trained all the same, and not missed if it was not.
    unasked = [name for name, recipe in recipes.items() if recipe.declaration.outside_all]
    found = [n for n, s in states.items() if n not in unasked or s.folds_done or s.state is not State.MISSING]
    wanted = [*named, *(found if everything else [])]
    chosen = {name: s for name, s in states.items() if name in wanted and name not in without}
    _refuse_unusable(chosen, named, files)
    missing = {name: _missing(state) for name, state in chosen.items() if state.state in _LEFT_OUT}
    names = [name for name in chosen if name not in missing]
    if len(names) < 2:
        raise UserError(
            f"a stack needs at least two base models, and there {'is one' if names else 'is none'}"
            + (f" ({names[0]}: `compete submit {names[0]}` sends it alone)" if names else "")
            + "".join(f"\n  {name}: {reason}" for name, reason in missing.items())
            + "\nTrain more with `compete train-base --all`, or bring some with `compete import`."
        )
    return Members(names, {**missing, **dict.fromkeys(without, "left out as asked")})


def base_model_states(competition: Competition, plan: FoldPlan) -> dict[str, ModelState]:
    """The state of every base model that has a recipe or lies in oof/."""
    recipes = recipes_in_force(competition.workspace)
    return every_model_state(competition.workspace, recipes, competition_rows(competition, plan), plan.k)


def read_members(competition: Competition, members: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OOF (n_models, n_train, n_labels) and test (n_models, n_test, n_labels) of whole base models."""
    folders = [competition.workspace.oof / name for name in members]
    read = [store.read_model(folder, shape_of(competition)) for folder in folders]
    return np.stack([p.oof for p in read]), np.stack([p.test for p in read])


def stack_identity(
    competition: Competition,
    plan: FoldPlan,
    recipe: StackRecipe,
    members: Sequence[str],
    recipes: Mapping[str, StackRecipe],
) -> dict[str, str]:
    """What a stack depends on, by name: rows, recipes, metric, its base models' probabilities.

    recipes: by name, those of the stacks it is made of among them.
    """
    models = {}
    for name in members:
        files = store.read_record(competition.workspace.oof / name / store.MANIFEST)["files"]
        models[f"base model {name}"] = digest([files[store.OOF], files[store.TEST]])
    parts = {
        f"stack {part}: {key}": value
        for part in parts_of(recipe, recipes)
        for key, value in recipes[part].identity().items()
    }
    versions = {"metric": competition.metric.name, "stacking version": str(VERSION)}
    return {**competition_rows(competition, plan), **recipe.identity(), **versions, **parts, **models}


def check_stack_fresh(
    competition: Competition,
    plan: FoldPlan,
    recipe: StackRecipe,
    states: Mapping[str, ModelState] | None = None,
) -> tuple[dict[str, Any], Score]:
    """A stored stack's manifest and score; raises StoreError if it is missing, damaged or stale, or a base model stale.

    states: of the base models, where they are known already.
    """
    folder = stack_folder(competition.workspace, recipe.name)
    if store.was_interrupted(folder) or not (folder / store.MANIFEST).is_file():
        raise StoreError(f"the stack {recipe.name!r} was not built yet: `compete stack {recipe.name}` builds it")
    record = store.read_record(folder / store.MANIFEST)
    store.check_hashes(folder, record)
    if record.get("kind") != "stack":
        raise StoreError(
            f"{folder / store.MANIFEST} is no stack's: `compete stack {recipe.name}` builds the stack again"
        )
    recipes = {each.name: each for each in load_with_parts(competition.workspace, [recipe.name])}
    now = stack_identity(competition, plan, recipe, record["models"], recipes)
    changes = differences(record["identity"], now)
    if changes:
        raise StoreError(
            f"the stack {recipe.name!r} is stale: {'; '.join(changes)}. Build it again: `compete stack {recipe.name}`"
        )
    states = base_model_states(competition, plan) if states is None else states
    for name in record["models"]:  # its files are those of the stack, but its recipe may be another by now
        if name in states and states[name].state is State.STALE:
            why = "; ".join(states[name].reasons)
            raise StoreError(
                f"the stack {recipe.name!r} is stale: its base model {name} is stale ({why}). "
                f"First `compete train-base {name}`, then `compete stack {recipe.name}`"
            )
    return record, score_from(record["score"])


def _refuse_unusable(states: dict[str, ModelState], named: Sequence[str], files: Mapping[str, str]) -> None:
    damaged = [reason for s in states.values() if s.state is State.DAMAGED for reason in s.reasons]
    if damaged:
        raise StoreError("\n".join(damaged))
    stale = {name: s for name, s in states.items() if s.state is State.STALE}
    if stale:
        raise StoreError(
            "stale base models are not stacked\n"
            + "\n".join(f"  {name}: {'; '.join(s.reasons)}" for name, s in stale.items())
            + "\nTrain them again with `compete train-base` (after an edit of the competition with --replace-stale), "
            + "or leave them out with "
            + " ".join(f"--without {name}" for name in stale)
        )
    missing = {name: s for name, s in states.items() if name in named and s.state in _LEFT_OUT}
    if missing:
        raise StoreError(
            "\n".join(
                f"{name}{f', which {files[name]} names' if name in files else ''}: {_missing(s)}; "
                f"`compete train-base {name}`"
                for name, s in missing.items()
            )
        )


def _missing(state: ModelState) -> str:
    if state.state is State.ORPHAN:
        return state.reasons[0]
    return state.how_far
