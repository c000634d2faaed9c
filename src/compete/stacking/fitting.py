"""Fitting a stack recipe: cross-fitted for its honest score, then once on all rows for new texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Metric, Probabilities
from compete.competition.shape import Targets
from compete.competition.task import are_probabilities
from compete.progress import Progress, unseen
from compete.stacking.ensemble.blend import FittedBlend
from compete.stacking.ensemble.cross_fitting import CrossFit, Folds, Loss, cross_fit, cross_fit_second_level
from compete.stacking.ensemble.evaluation import Evaluation, evaluate
from compete.stacking.ensemble.meta_learners import FittedMetaLearner
from compete.stacking.row_inputs import NOTHING, RowInputs
from compete.stacking.stack_recipes import StackRecipe

Cells = NDArray[np.float32]


@dataclass(frozen=True)
class Materials:
    """What stacks are made of."""

    oof: Mapping[str, Cells]
    """Out-of-fold probabilities of base models by name, each (n_rows, n_labels)."""
    labels: Targets
    plans: Sequence[Folds]
    """Fold plans, (n_rows,) each, one per repeat; the first is that of the base models."""
    rows: RowInputs = NOTHING
    """What else is known of the rows, for recipes that want it."""

    def stacked(self, models: Sequence[str]) -> NDArray[np.float32]:
        """(n_models, n_rows, n_labels)"""
        return np.stack([self.oof[name] for name in models])

    def without(self, model: str) -> Materials:
        """The same without one base model."""
        rest = {name: cells for name, cells in self.oof.items() if name != model}
        return Materials(rest, self.labels, self.plans, self.rows)


@dataclass(frozen=True)
class FittedStack:
    """A stack recipe fitted on all rows."""

    recipe: StackRecipe
    models: list[str]
    """Names of the base models it combines itself."""
    parts: list[FittedStack]
    """The stacks it combines."""
    candidate: int
    """Which of the recipe's meta-learners was taken."""
    fitted: FittedMetaLearner

    def predict_proba(self, base: Mapping[str, Cells], rows: RowInputs = NOTHING) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_labels) from those of the base models, by name."""
        if self.parts:
            return self.fitted.predict_proba(np.stack([part.predict_proba(base, rows) for part in self.parts]))
        used = rows.wanted_by(self.recipe.declaration)
        return self.fitted.predict_proba(np.stack([base[name] for name in self.models]), used)

    def state(self) -> dict[str, Any]:
        """What was chosen in fitting, for the manifest: which C, which weights."""
        state: dict[str, Any] = {"candidate": self.candidate}
        if isinstance(self.fitted, FittedBlend):
            names = [part.recipe.name for part in self.parts] or self.models
            state["weights"] = dict(zip(names, self.fitted.weights.tolist(), strict=True))
        return state


def loss_of(metric: Metric, recipe: StackRecipe) -> Loss:
    """What several settings of a meta-learner are told apart by: a proper score of its predictions."""
    if not are_probabilities(metric.kind):
        return METRICS["mcrmse"].compute
    if recipe.declaration.method == "ridge":  # cut to [0, 1]: one row that is surely wrong would decide a log loss
        return _squared_error
    return METRICS["log_loss" if metric.kind == "labels" else "multiclass_log_loss"].compute


def _squared_error(truth: Targets, predicted: Probabilities) -> float:
    return float(np.mean((np.asarray(predicted, dtype=np.float64) - truth) ** 2))


@dataclass
class Workbench:
    """Fits recipes on the same materials; what a stack of stacks shares with its parts is fitted once."""

    materials: Materials
    recipes: Mapping[str, StackRecipe]
    metric: Metric
    """What stacks are scored by, and blends selected."""
    progress: Progress = unseen
    _cross_fits: dict[str, list[CrossFit]] = field(default_factory=dict)
    _fitted: dict[str, FittedStack] = field(default_factory=dict)

    def models_of(self, recipe: StackRecipe) -> list[str]:
        """Base models that the recipe combines itself, in the order of the materials."""
        named = recipe.declaration.models
        return [] if recipe.declaration.stacks else [n for n in self.materials.oof if named is None or n in named]

    def members_of(self, name: str) -> list[str]:
        """Base models that a recipe combines, itself or through its parts, in the order of the materials."""
        recipe = self.recipes[name]
        used = {model for part in recipe.declaration.stacks or [] for model in self.members_of(part)}
        return [model for model in self.materials.oof if model in {*used, *self.models_of(recipe)}]

    def cross_fits(self, name: str) -> list[CrossFit]:
        """Out-of-fold probabilities of a recipe, one CrossFit per plan."""
        if name not in self._cross_fits:
            plans = self.materials.plans
            self._cross_fits[name] = [self._cross_fit(self.recipes[name], number) for number in range(len(plans))]
        return self._cross_fits[name]

    def _cross_fit(self, recipe: StackRecipe, repeat: int) -> CrossFit:
        if recipe.declaration.stacks:
            parts = [self.cross_fits(part)[repeat] for part in recipe.declaration.stacks]
            return cross_fit_second_level(recipe.candidates(self.metric)[0], parts, self.materials.labels)
        repeats = len(self.materials.plans)
        return cross_fit(
            recipe.candidates(self.metric),
            self.materials.stacked(self.models_of(recipe)),
            self.materials.labels,
            self.materials.plans[repeat],
            self.materials.rows.wanted_by(recipe.declaration),
            lambda fraction, doing: self.progress((repeat + fraction) / repeats, doing),
            loss_of(self.metric, recipe),
        )

    def fitted(self, name: str) -> FittedStack:
        """A recipe fitted on all rows: the stack that predicts new texts."""
        if name not in self._fitted:
            self._fitted[name] = self._fit(self.recipes[name])
        return self._fitted[name]

    def evaluate(self, name: str) -> Evaluation:
        """A recipe's honest score beside the naive one, decided by the recipe's own rule."""
        naive = self.fitted(name).predict_proba(self.materials.oof, self.materials.rows)
        rule = self.recipes[name].rule(self.metric)
        return evaluate(self.metric, self.materials.labels, self.cross_fits(name), naive, rule)

    def _fit(self, recipe: StackRecipe) -> FittedStack:
        labels = self.materials.labels
        candidates = recipe.candidates(self.metric)
        best = self.cross_fits(recipe.name)[0].best if len(candidates) > 1 else 0
        learner = candidates[best]
        if recipe.declaration.stacks:
            # The weights are fitted on what the parts give for rows they did not see.
            outer: Cells = np.stack([self.cross_fits(part)[0].outer for part in recipe.declaration.stacks])
            parts = [self.fitted(part) for part in recipe.declaration.stacks]
            return FittedStack(recipe, [], parts, best, learner.fit(outer, labels))
        models = self.models_of(recipe)
        rows = self.materials.rows.wanted_by(recipe.declaration)
        return FittedStack(recipe, models, [], best, learner.fit(self.materials.stacked(models), labels, rows))
