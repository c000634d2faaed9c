"""Building a stack from the base models in oof/, and keeping it in oof/stacks/<name>/."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from compete.oof.job import made_by
from compete.oof.state import ModelState, State, competition_rows, every_model_state, recipes_in_force
from compete.oof.train import shape_of
from compete.stacking.evaluation import cross_fit, evaluate, evaluate_stack
from compete.stacking.recipes import StackRecipe
from compete.stacking.scores import VERSION, Score, base_model_score, score_from, score_of


@dataclass(frozen=True)
class Members:
    """The base models of a stack. left_out: name and reason of those that were passed over."""

    names: list[str]
    left_out: dict[str, str]


@dataclass(frozen=True)
class Stack:
    """A fitted stack and what it is compared with, all scores honest."""

    name: str
    score: Score
    base_models: dict[str, Score]
    mean: Score


# A model in these states is passed over unless it is asked for by name.
_LEFT_OUT = (State.MISSING, State.ORPHAN)


def stack_folder(workspace: Workspace, name: str) -> Path:
    return workspace.oof / "stacks" / name


def choose_members(
    competition: Competition, plan: FoldPlan, named: Sequence[str] = (), without: Sequence[str] = ()
) -> Members:
    """The named base models, or all that are trained; raises StoreError for stale or damaged ones."""
    states = base_model_states(competition, plan)
    unknown = [
        f"no base model {name!r}; {unknown_name(name, states)}" for name in [*named, *without] if name not in states
    ]
    if unknown:
        raise UserError("\n".join(unknown))
    recipes = recipes_in_force(competition.workspace)
    # What --all does not train is stacked if it was trained all the same, and not missed if it was not.
    unasked = [name for name, recipe in recipes.items() if recipe.declaration.outside_all and not named]
    wanted = named or [
        name for name, s in states.items() if name not in unasked or s.folds_done or s.state is not State.MISSING
    ]
    chosen = {name: s for name, s in states.items() if name in wanted and name not in without}
    _refuse_unusable(chosen, must_be_whole=bool(named))
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


def build_stack(
    competition: Competition,
    plan: FoldPlan,
    recipe: StackRecipe,
    members: Sequence[str],
    progress: Callable[[float], None] = lambda fraction: None,
) -> Stack:
    """Fit, score honestly, compare, predict the test set, and store; returns the scores."""
    oof, test = read_members(competition, members)
    metric, labels = competition.metric, competition.train_labels
    fit = cross_fit(recipe.build(), oof, labels, plan.folds, progress)
    score = score_of(evaluate_stack(metric, labels, plan.folds, oof, fit), metric.name, competition.labels)
    mean = evaluate(metric, labels, plan.folds, oof.mean(axis=0, dtype=np.float64))
    stack = Stack(
        recipe.name,
        score,
        {name: base_model_score(competition, plan, name) for name in members},
        score_of(mean, metric.name, competition.labels),
    )
    probabilities = store.Probabilities(fit.outer.astype(np.float32), fit.on_all.predict_proba(test).astype(np.float32))
    record = {
        "kind": "stack",
        "model": recipe.name,
        "models": list(members),
        "identity": stack_identity(competition, plan, recipe, members),
        "score": score.record(),
        "made_by": made_by(),
    }
    folder = stack_folder(competition.workspace, recipe.name)
    store.write_model(folder, probabilities, shape_of(competition), record)
    return stack


def read_members(competition: Competition, members: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OOF (n_models, n_train, n_labels) and test (n_models, n_test, n_labels) of whole base models."""
    folders = [competition.workspace.oof / name for name in members]
    read = [store.read_model(folder, shape_of(competition)) for folder in folders]
    return np.stack([p.oof for p in read]), np.stack([p.test for p in read])


def stack_identity(
    competition: Competition, plan: FoldPlan, recipe: StackRecipe, members: Sequence[str]
) -> dict[str, str]:
    """What a stack depends on, by name: the rows, the recipe, the metric, and its base models' probabilities."""
    models = {}
    for name in members:
        files = store.read_record(competition.workspace.oof / name / store.MANIFEST)["files"]
        models[f"base model {name}"] = digest([files[store.OOF], files[store.TEST]])
    versions = {"metric": competition.metric.name, "stacking version": str(VERSION)}
    return {**competition_rows(competition, plan), **recipe.identity(), **versions, **models}


def check_stack_fresh(competition: Competition, plan: FoldPlan, recipe: StackRecipe) -> tuple[dict[str, Any], Score]:
    """A stored stack's manifest and score; raises StoreError if it is missing, damaged or stale."""
    folder = stack_folder(competition.workspace, recipe.name)
    if store.was_interrupted(folder) or not (folder / store.MANIFEST).is_file():
        raise StoreError(f"the stack {recipe.name!r} was not built yet: `compete stack {recipe.name}` builds it")
    record = store.read_record(folder / store.MANIFEST)
    store.check_hashes(folder, record)
    if record.get("kind") != "stack":
        raise StoreError(
            f"{folder / store.MANIFEST} is no stack's: `compete stack {recipe.name}` builds the stack again"
        )
    now = stack_identity(competition, plan, recipe, record["models"])
    changes = differences(record["identity"], now)
    if changes:
        raise StoreError(
            f"the stack {recipe.name!r} is stale: {'; '.join(changes)}. Build it again: `compete stack {recipe.name}`"
        )
    return record, score_from(record["score"])


def _refuse_unusable(states: dict[str, ModelState], must_be_whole: bool) -> None:
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
    missing = {name: s for name, s in states.items() if s.state in _LEFT_OUT}
    if must_be_whole and missing:
        raise StoreError(
            "\n".join(f"{name}: {_missing(s)}; `compete train-base {name}`" for name, s in missing.items())
        )


def _missing(state: ModelState) -> str:
    if state.state is State.ORPHAN:
        return state.reasons[0]
    if state.folds_done:
        return f"{state.folds_done} of {len(state.parts)} folds trained"
    return "not trained yet"
