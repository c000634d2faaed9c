"""Probabilities of new texts, from what every fold's training left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from compete.base_models.memory import release
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.planned import Planned
from compete.errors import StoreError
from compete.oof.kept import load_kept
from compete.oof.state import State, model_state
from compete.progress import Progress, unseen
from compete.stacking.building import label_shift, mean_rates
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.inventory import Inventory, present
from compete.stacking.members import read_members
from compete.stacking.row_inputs import RowInputs, row_inputs
from compete.stacking.stack_recipes import StackRecipe, load_with_parts

Columns = Mapping[str, Sequence[str]]


def predict_base_model(
    planned: Planned,
    name: str,
    texts: Sequence[str],
    threads: int,
    progress: Progress = unseen,
    features: Columns | None = None,
) -> NDArray[np.float32]:
    """Mean over the folds' models, float32 (len(texts), n_labels), as the test set's probabilities are made.

    features: cells of the declared columns; raises UserError where the model wants them and they are missing.
    """
    recipe = _trained(planned, name)
    texts = planned.competition.new_texts_for(recipe.needs.features, texts, features)
    plan, learnt = planned.plan, planned.learnt

    def of_fold(fold: int) -> NDArray[np.float32]:
        own = recipe.of_fold(fold)
        identity = own.identity_on(planned.identity)
        model = load_kept(planned.workspace, own, fold, planned.learnt_task, threads, identity)
        return learnt.whole(model.predict_proba(texts))

    total = np.zeros((len(texts), len(planned.competition.labels)), dtype=np.float64)
    for fold in range(plan.k):
        progress(fold / plan.k, f"{name} fold {fold}")
        total += of_fold(fold)
        release()  # two models need not fit where one does
    return (total / plan.k).astype(np.float32)


def _trained(planned: Planned, name: str) -> Recipe:
    """The recipe of a base model that is whole and fresh; raises StoreError otherwise."""
    workspace, rows, k = planned.workspace, planned.identity, planned.plan.k
    if model_state(workspace, name, None, rows, k).kind == "imported":
        raise StoreError(
            f"{name} was imported: its probabilities are here, its models are not. Predict with another model, or with "
            f"a stack that was built --without {name}."
        )
    recipe = load_recipe(workspace, name).ready()
    state = model_state(workspace, name, recipe, rows, k)
    if state.state is not State.FRESH:
        reasons = f": {'; '.join(state.reasons)}" if state.reasons else ""
        raise StoreError(f"{name} is {state.state}{reasons}; `compete train-base {name}` trains it")
    return recipe


def predict_stack(
    planned: Planned,
    recipe: StackRecipe,
    texts: Sequence[str],
    threads: int,
    progress: Progress = unseen,
    features: Columns | None = None,
) -> NDArray[np.float32]:
    """The stack's meta-learner, fitted on all rows, over its base models' probabilities of the texts.

    features: cells of the declared columns; raises UserError where the stack or one of its base models wants them and
    they are missing.
    """
    members = present(Inventory(planned).stack(recipe.name)).record["models"]
    for name in members:  # all of them, before the first takes its time
        planned.competition.new_texts_for(_trained(planned, name).needs.features, texts, features)
    recipes = load_with_parts(planned.workspace, [recipe.name])
    rows = row_inputs(planned.competition, recipes, texts, features)
    base = {}
    for number, name in enumerate(members):

        def of_all(fraction: float, doing: str, before: int = number) -> None:
            progress((before + fraction) / len(members), doing)

        base[name] = predict_base_model(planned, name, texts, threads, of_all, features)
    progress(1.0, f"stack {recipe.name}")
    return _stacked(planned, recipe, recipes, members, base, *rows).astype(np.float32)


def _stacked(
    planned: Planned,
    recipe: StackRecipe,
    recipes: Sequence[StackRecipe],
    members: Sequence[str],
    base: Mapping[str, NDArray[np.float32]],
    train_rows: RowInputs,
    rows: RowInputs,
) -> NDArray[np.float64]:
    """The stack's probabilities, fitted again as it was when it was built."""
    competition = planned.competition
    oof, test = read_members(competition, members)
    oofs = dict(zip(members, oof, strict=True))
    # Nothing is scored here, and the other plans of folds only serve the score.
    materials = Materials(oofs, competition.train_targets, [planned.plan.folds], train_rows)
    bench = Workbench(materials, {each.name: each for each in recipes}, competition.metric)
    fitted = bench.fitted(recipe.name)
    probabilities = fitted.predict_proba(base, rows)
    if not recipe.declaration.label_shift:
        return probabilities
    rates = mean_rates(competition, list(oof), list(test))
    return label_shift(competition.train_targets, bench.cross_fits(recipe.name)[0].outer, rates).apply(probabilities)
