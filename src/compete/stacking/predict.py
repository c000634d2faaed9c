"""Probabilities of new texts, from what every fold's training left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.errors import StoreError
from compete.oof.kept import load_kept
from compete.oof.state import State, competition_rows, model_state
from compete.stacking.recipes import StackRecipe
from compete.stacking.stack import check_stack_fresh, read_members

Progress = Callable[[str], None]


def predict_base_model(
    competition: Competition,
    plan: FoldPlan,
    name: str,
    texts: Sequence[str],
    threads: int,
    progress: Progress = lambda what: None,
) -> NDArray[np.float32]:
    """Mean over the folds' models, float32 (len(texts), n_labels), as the test set's probabilities are made."""
    recipe, identity = _trained(competition, plan, name)
    total = np.zeros((len(texts), len(competition.labels)), dtype=np.float64)
    for fold in range(plan.k):
        progress(f"{name} fold {fold}")
        model = load_kept(competition.workspace, recipe, fold, competition.labels, threads, identity)
        total += model.predict_proba(texts)
    return (total / plan.k).astype(np.float32)


def _trained(competition: Competition, plan: FoldPlan, name: str) -> tuple[Recipe, dict[str, str]]:
    """The recipe and identity of a base model that is whole and fresh; raises StoreError otherwise."""
    workspace = competition.workspace
    rows = competition_rows(competition, plan)
    if model_state(workspace, name, None, rows, plan.k).kind == "imported":
        raise StoreError(
            f"{name} was imported: its probabilities are here, its models are not. Predict with another model, or with "
            f"a stack that was built --without {name}."
        )
    recipe = load_recipe(workspace, name)
    state = model_state(workspace, name, recipe, rows, plan.k)
    if state.state is not State.FRESH:
        reasons = f": {'; '.join(state.reasons)}" if state.reasons else ""
        raise StoreError(f"{name} is {state.state}{reasons}; `compete train-base {name}` trains it")
    return recipe, {**rows, **recipe.identity()}


def predict_stack(
    competition: Competition,
    plan: FoldPlan,
    recipe: StackRecipe,
    texts: Sequence[str],
    threads: int,
    progress: Progress = lambda what: None,
) -> NDArray[np.float32]:
    """The stack's meta-learner, fitted on all rows, over its base models' probabilities of the texts."""
    record, _ = check_stack_fresh(competition, plan, recipe)
    members = record["models"]
    for name in members:  # all of them, before the first takes its time
        _trained(competition, plan, name)
    base = [predict_base_model(competition, plan, name, texts, threads, progress) for name in members]
    oof, _ = read_members(competition, members)
    fitted = recipe.build().fit(oof, competition.train_labels)
    return fitted.predict_proba(np.stack(base)).astype(np.float32)
