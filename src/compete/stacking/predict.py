"""Probabilities of new texts, from what every fold's training left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.errors import StoreError
from compete.oof.kept import load_kept
from compete.oof.rare_labels import learnt_labels
from compete.oof.state import State, competition_rows, model_state
from compete.stacking.building import label_shift, mean_rates
from compete.stacking.ensemble.meta_learners import RowFeatures
from compete.stacking.ensemble.row_features import row_features
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.recipes import StackRecipe, count_rows, load_with_parts
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
    learnt = learnt_labels(competition, plan.k)
    total = np.zeros((len(texts), len(competition.labels)), dtype=np.float64)
    for fold in range(plan.k):
        progress(f"{name} fold {fold}")
        model = load_kept(competition.workspace, recipe, fold, learnt.names, threads, identity)
        total += learnt.whole(model.predict_proba(texts))
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
    recipe = load_recipe(workspace, name).ready()
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
    base = {name: predict_base_model(competition, plan, name, texts, threads, progress) for name in members}
    progress(f"stack {recipe.name}")
    return _stacked(competition, plan, recipe, members, base, texts).astype(np.float32)


def _stacked(
    competition: Competition,
    plan: FoldPlan,
    recipe: StackRecipe,
    members: Sequence[str],
    base: Mapping[str, NDArray[np.float32]],
    texts: Sequence[str],
) -> NDArray[np.float64]:
    """The stack's probabilities, fitted again as it was when it was built."""
    oof, test = read_members(competition, members)
    recipes = load_with_parts(competition.workspace, [recipe.name])

    def counted(texts: Sequence[str]) -> RowFeatures | None:
        return row_features(texts) if count_rows(recipes) else None

    oofs = dict(zip(members, oof, strict=True))
    materials = Materials(oofs, competition.train_labels, [plan.folds], counted(competition.train_texts))
    bench = Workbench(materials, {each.name: each for each in recipes}, competition.metric)
    fitted = bench.fitted(recipe.name)
    probabilities = fitted.predict_proba(base, counted(texts))
    if not recipe.declaration.label_shift:
        return probabilities
    rates = mean_rates(competition.train_labels, list(oof), list(test))
    return label_shift(competition.train_labels, bench.cross_fits(recipe.name)[0].outer, rates).apply(probabilities)
