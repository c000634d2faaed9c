"""Which members a pack has, in which order they are predicted, and a stack for whatever of them is done.

Worth per hour: what the stack gains by a member (its honest score less that without it) by the seconds that its
prediction takes. Members without a gain come behind, by their own honest score. Beforehand there is a stack of all, of
the first so many, of all but one, and every member alone: what is left when time runs out, or when a model fails. Each
is fitted on out-of-fold predictions and decided for itself, and its honest score is the one to be expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compete.code_competitions.manifest import Step
from compete.code_competitions.stored_steps import StoredStep
from compete.competition.planned import Planned
from compete.oof.honest_scores import Score
from compete.oof.results import Result
from compete.progress import Progress, unseen
from compete.stacking.building import REFERENCES, label_shift, mean_rates
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.inventory import Inventory, present
from compete.stacking.members import read_members
from compete.stacking.row_inputs import row_inputs
from compete.stacking.scoring import repeated_plans, score_of
from compete.stacking.stack_recipes import StackRecipe, load_stack_recipe, load_with_parts

BY_WORTH = "by what the stack gains by a model (honest score with it less without it) per second of prediction"
BY_SCORE = "by the models' own honest scores, since none was told a gain"


@dataclass(frozen=True)
class Ordered:
    """Members with their stacks."""

    members: list[str]
    gains: dict[str, float | None]
    ordered_by: str
    steps: list[Step]
    stored: list[StoredStep]


def steps_of(planned: Planned, source: Result, seconds: Mapping[str, float], progress: Progress = unseen) -> Ordered:
    """Of a stack or a base model. seconds: of prediction, by member."""
    if not source.is_stack:
        alone = _alone(planned, source.name)
        return Ordered([source.name], {source.name: None}, "one model alone", [alone[0]], [alone[1]])
    return _OfStack(planned, source, progress).ordered(seconds)


class _OfStack:
    """The stacks of some members, each fitted once."""

    def __init__(self, planned: Planned, source: Result, progress: Progress) -> None:
        competition = planned.competition
        self.planned, self.source, self.progress = planned, source, progress
        self.names = [str(name) for name in source.record["models"]]
        self.recipes = load_with_parts(planned.workspace, [source.name])
        self.recipe = load_stack_recipe(planned.workspace, source.name)
        oof, test = read_members(competition, self.names)
        self.oof, self.test = dict(zip(self.names, oof, strict=True)), dict(zip(self.names, test, strict=True))
        train_rows, _ = row_inputs(competition, self.recipes, competition.test_texts, competition.test_features)
        self.materials = Materials(self.oof, competition.train_targets, repeated_plans(planned), train_rows)
        self.fits: dict[tuple[str, ...], tuple[Step, StoredStep]] = {}

    def ordered(self, seconds: Mapping[str, float]) -> Ordered:
        names, sign = self.names, self.planned.competition.metric.sign
        left = [[name for name in names if name != out] for out in names] if len(names) > 1 else []
        for number, members in enumerate([names, *left, *([name] for name in names)]):
            self.progress(number / (3 * len(names)), f"stack of {len(members)} models")
            self.fit(members)
        whole = self.fit(names)[0].honest
        gains = {out: sign * (whole - self.fit(rest)[0].honest) for out, rest in zip(names, left, strict=False)}
        own = {name: sign * self.fit([name])[0].honest for name in names}
        worth = {name: gains[name] / max(seconds[name], 1e-9) for name in names}
        first = sorted((name for name in names if gains[name] > 0), key=lambda name: -worth[name])
        order = [*first, *sorted((name for name in names if name not in first), key=lambda name: -own[name])]
        sets = [order[: number + 1] for number in range(len(order))]
        for members in reversed(sets):
            self.fit(members)
        sets = [*reversed(sets), *([n for n in order if n != out] for out in reversed(order)), *([n] for n in order)]
        unique = {tuple(members): None for members in sets if members}
        found = [self.fit(members) for members in unique]
        steps = [
            (
                step.model_copy(update={"members": list(members)}),
                StoredStep(list(members), stored.stack, stored.shift),
            )
            for members, (step, stored) in zip(unique, found, strict=True)
        ]
        by = f"{BY_WORTH}; then {BY_SCORE.split(',')[0]}" if first else BY_SCORE
        return Ordered(order, dict(gains), by, [step for step, _ in steps], [stored for _, stored in steps])

    def fit(self, members: Sequence[str]) -> tuple[Step, StoredStep]:
        """The stack of some members, in the order that it has in the workspace."""
        key = tuple(name for name in self.names if name in members)
        if key not in self.fits:
            self.fits[key] = _alone(self.planned, key[0]) if len(key) == 1 else self._fitted(list(key))
        return self.fits[key]

    def _fitted(self, members: list[str]) -> tuple[Step, StoredStep]:
        competition = self.planned.competition
        recipes, name = self._recipes_for(members)
        oof = {member: self.oof[member] for member in members}
        materials = Materials(oof, competition.train_targets, self.materials.plans, self.materials.rows)
        bench = Workbench(materials, recipes, competition.metric)
        fitted, fits = bench.fitted(name), bench.cross_fits(name)
        score = self._stored_score(members) or score_of(bench.evaluate(name), competition.labels)
        shift = None
        if recipes[name].declaration.label_shift:
            rates = mean_rates(competition, list(oof.values()), [self.test[member] for member in members])
            shift = label_shift(competition.train_targets, fits[0].outer, rates)
        return _step(members, name, score), StoredStep(members, fitted, shift)

    def _stored_score(self, members: Sequence[str]) -> Score | None:
        """Of all members it is known already."""
        return self.source.score if len(members) == len(self.names) else None

    def _recipes_for(self, members: Sequence[str]) -> tuple[dict[str, StackRecipe], str]:
        """The stack's recipe; the plain mean where a stack of stacks would lack all models of a part."""
        recipes = {recipe.name: recipe for recipe in self.recipes}
        bench = Workbench(
            Materials({m: self.oof[m] for m in members}, self.materials.labels, []),
            recipes,
            self.planned.competition.metric,
        )
        leaves = [recipe for recipe in self.recipes if not recipe.declaration.stacks]
        if all(bench.models_of(recipe) for recipe in leaves):
            return recipes, self.recipe.name
        mean = REFERENCES[0]
        return {mean.name: mean}, mean.name


def _alone(planned: Planned, name: str) -> tuple[Step, StoredStep]:
    score = present(Inventory(planned).base_model(name)).score
    return _step([name], None, score), StoredStep([name], None)


def _step(members: Sequence[str], stack: str | None, score: Score) -> Step:
    numbers = [float(np.float64(value)) for value in (score.honest, score.low, score.high)]
    return Step(
        members=list(members), stack=stack, honest=numbers[0], low=numbers[1], high=numbers[2], decision=score.decision
    )
