"""What a call of `compete stack` found: stacks beside what they are made of, and what each base model adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Metric
from compete.oof.honest_scores import Score
from compete.oof.store import read_record
from compete.progress import Progress, unseen
from compete.stacking.building import Built, Stacking, references
from compete.stacking.choosing import best_of
from compete.stacking.leave_one_out import (
    Contribution,
    error_correlation,
    keep_contributions,
    kept_contributions,
    leave_one_out,
)
from compete.stacking.scoring import base_model_score


@dataclass(frozen=True)
class Comparison:
    """The stacks of one call beside what they are made of."""

    metric: Metric
    built: Sequence[Built]
    """Every stack of the call."""
    contenders: Sequence[Built]
    """Those of which one was chosen."""
    chosen: Built
    references: Mapping[str, Score]
    """The plain stacks that were not built."""
    base_models: Mapping[str, Score]
    """The best first."""
    left_out: Mapping[str, str]
    """Base models that were passed over, and why."""
    label_rates: Mapping[str, float]
    """Of the training rows."""

    @property
    def best(self) -> Built:
        """The contender with the best honest score, which a simpler one may be preferred to."""
        return best_of(self.metric, self.contenders)

    @property
    def told_by(self) -> Built:
        """The stack that is fitted again without each base model: the chosen one, or the best that is quick to fit."""
        quick = [each for each in self.contenders if each.recipe.quick]
        return self.chosen if self.chosen.recipe.quick or not quick else best_of(self.metric, quick)

    @property
    def best_base_model(self) -> str:
        return next(iter(self.base_models))

    @property
    def gain(self) -> float:
        """How much better the chosen stack is than the best base model; below 0 where it is worse."""
        return self.metric.sign * (self.chosen.score.honest - self.base_models[self.best_base_model].honest)

    @property
    def test_rates(self) -> dict[str, dict[str, float] | None]:
        """Every label's rate in the test set as it is estimated, with the ends of its 95 % interval; None: not told."""
        return dict(zip(self.label_rates, self.chosen.rates.record(), strict=True))


@dataclass(frozen=True)
class Contributions:
    """What each base model adds to a stack."""

    stack: str
    """The name of the stack it is told of."""
    found: Sequence[Contribution]
    """The most valuable first."""
    seconds: Mapping[str, float]
    """Of training, 0 where nobody knows."""
    models: Sequence[str]
    correlation: NDArray[np.float64]
    """Of the errors of `models`, (n_models, n_models)."""


def compare(
    stacking: Stacking,
    built: Sequence[Built],
    contenders: Sequence[Built],
    chosen: Built,
    left_out: Mapping[str, str],
) -> Comparison:
    """Lay the stacks beside the plain mean, a blend, and every base model they may use."""
    competition, metric = stacking.competition, stacking.competition.metric
    scores = {name: base_model_score(stacking.planned, name) for name in stacking.test}
    order = sorted(scores, key=lambda name: -metric.sign * scores[name].honest)
    return Comparison(
        metric=metric,
        built=built,
        contenders=contenders,
        chosen=chosen,
        references=references(stacking, besides=[each.recipe.name for each in built]),
        base_models={name: scores[name] for name in order},
        left_out=left_out,
        label_rates=competition.label_rates,
    )


def contributions(
    stacking: Stacking, stack: Built, progress: Progress = unseen, *, force: bool = False
) -> Contributions | None:
    """Fit a stack without each of its base models, and keep what was found; None if it has only one.

    What was found of just this stack before is not fitted again, unless `force`.
    """
    models, name = stack.members, stack.recipe.name
    if len(models) < 2:
        return None
    competition, bench, workspace = stacking.competition, stacking.bench, stacking.competition.workspace
    folder = workspace.stack(name)
    manifest = read_record(folder)
    found = None if force else kept_contributions(folder, manifest)
    if found is None:
        found = leave_one_out(bench, name, stack.score.honest, stack.draws, progress)
        keep_contributions(folder, manifest, found)
    seconds = {model: float(read_record(workspace.base_model(model)).get("seconds", 0)) for model in models}
    correlation = error_correlation(bench.materials.stacked(models), competition.train_targets)
    return Contributions(name, found, seconds, models, correlation)
