"""Building stacks from the base models in oof/, keeping them in oof/stacks/<name>/, and choosing one."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.metrics import Labels, Probabilities
from compete.competition.planned import Planned
from compete.declarations import unknown_name
from compete.errors import StoreError, UserError
from compete.oof import store
from compete.oof.honest_scores import Score
from compete.oof.job import made_by
from compete.oof.results import Missing
from compete.progress import Progress, unseen
from compete.stacking.ensemble.alarms import Alarm, find_alarms
from compete.stacking.ensemble.calibration import fit_calibration
from compete.stacking.ensemble.decision_rules import rules_for
from compete.stacking.ensemble.evaluation import score_where_worth
from compete.stacking.ensemble.label_rates import LabelRates, LabelShift, estimate_rates, rates_from, shifted_rates
from compete.stacking.ensemble.number_alarms import find_number_alarms
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.inventory import Inventory, stack_identity
from compete.stacking.members import read_members
from compete.stacking.row_inputs import RowInputs, row_inputs
from compete.stacking.scoring import repeated_plans, score_of
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe

# What every stack is compared with, whether or not there are recipes for it.
REFERENCES = (
    StackRecipe("mean", StackDeclaration(method="mean")),
    StackRecipe("blend", StackDeclaration(method="blend")),
)


@dataclass(frozen=True)
class Built:
    """A stack that was fitted and stored, now or before."""

    recipe: StackRecipe
    members: Sequence[str]
    """Its base models, in the order they were fitted in."""
    score: Score
    draws: NDArray[np.float64]
    """Its honest score on resampled rows, (1000,): the same rows for every stack, so that two can be compared."""
    rates: LabelRates
    """Of the labels in the test set, estimated from its base models."""
    where_worth: float | None = None
    """The honest score with 0.5 for the labels whose thresholds are not worth tuning, told inside; None where all are,
    or where its rule has no threshold per label."""
    seconds: float | None = None
    """That it took to fit; None where it is as it was built before."""

    @property
    def honest(self) -> float:
        return self.score.honest


@dataclass(frozen=True)
class Stacking:
    """Everything that stacks of one call share."""

    planned: Planned
    bench: Workbench
    test: Mapping[str, NDArray[np.float32]]
    """Probabilities of the test set, by base model."""
    test_rows: RowInputs
    """What else is known of the rows of the test set, where a recipe wants that."""
    warnings: Sequence[Alarm] = ()
    """Alarms of models that compete trained itself."""

    @property
    def competition(self) -> Competition:
        return self.planned.competition


def open_stacking(
    planned: Planned,
    recipes: Sequence[StackRecipe],
    members: Sequence[str],
    allowed: Collection[str] = (),
) -> Stacking:
    """Read the base models; raises StoreError if an imported one raises an alarm that is not allowed by name.

    What compete trained itself never saw the rows that it predicted: its alarms are warnings.
    """
    competition = planned.competition
    for recipe in recipes:
        recipe.rule(competition.metric)  # refuses what the metric has no use for
    for model in set(allowed).difference(members):
        raise UserError(f"--allow {model}: no base model of that name is stacked; {unknown_name(model, members)}")
    oof, test = read_members(competition, members)
    labels, folds = competition.train_targets, planned.plan.folds
    if competition.task.gives_probabilities:
        nouns, learnt = competition.task.kind, planned.learnt.mask
        alarms = find_alarms(members, oof, test, labels, folds, competition.labels, learnt, nouns)
    else:
        alarms = find_number_alarms(members, oof, test, labels, folds, competition.labels)
    trained = [name for name in members if _was_trained(competition, name)]
    refuse_alarmed([alarm for alarm in alarms if alarm.model not in {*allowed, *trained}])
    train_rows, test_rows = row_inputs(competition, recipes, competition.test_texts, competition.test_features)
    materials = Materials(
        dict(zip(members, oof, strict=True)),
        competition.train_targets,
        repeated_plans(planned),
        train_rows,
    )
    bench = Workbench(materials, {recipe.name: recipe for recipe in recipes}, competition.metric)
    for recipe in recipes:
        models = bench.models_of(recipe)
        if not recipe.declaration.stacks and len(models) < 2:
            raise UserError(
                f"stacking/{recipe.name}.toml: of its base models only {', '.join(models) or 'none'} is left"
            )
    return Stacking(
        planned,
        bench,
        dict(zip(members, test, strict=True)),
        test_rows,
        [alarm for alarm in alarms if alarm.model in trained],
    )


def _was_trained(competition: Competition, model: str) -> bool:
    return bool(store.read_record(competition.workspace.base_model(model)).get("kind") == "trained")


def refuse_alarmed(alarms: Sequence[Alarm]) -> None:
    if not alarms:
        return
    models = list(dict.fromkeys(alarm.model for alarm in alarms))
    raise StoreError(
        "\n".join(f"alarm: {alarm}" for alarm in alarms)
        + "\nLook at the model before you stack it. Leave it out with "
        + " ".join(f"--without {model}" for model in models)
        + ", or stack it all the same with "
        + " ".join(f"--allow {model}" for model in models)
        + "."
    )


def build(stacking: Stacking, name: str, progress: Progress = unseen) -> Built:
    """Fit a recipe, score it honestly, predict the test set, and store it."""
    began = time.monotonic()
    competition, bench = stacking.competition, stacking.bench
    recipe = bench.recipes[name]
    bench.progress = progress
    fits, fitted = bench.cross_fits(name), bench.fitted(name)
    evaluation = bench.evaluate(name)
    score = score_of(evaluation, competition.labels)
    test = fitted.predict_proba(stacking.test, stacking.test_rows)
    members = bench.members_of(name)
    of_members = [[cells[model] for model in members] for cells in (bench.materials.oof, stacking.test)]
    rates = mean_rates(competition, *of_members)
    where_worth = _where_worth(bench, recipe, score)
    if recipe.declaration.label_shift:
        test = label_shift(competition.train_targets, fits[0].outer, rates).apply(test)
    record = {
        "kind": "stack",
        "model": name,
        "models": members,
        "identity": stack_identity(stacking.planned, recipe, members, bench.recipes),
        "score": score.record(),
        "draws": evaluation.draws.tolist(),
        "where worth": where_worth,
        "state": fitted.state(),
        "test rates": rates.record(),
        "made_by": made_by(),
    }
    # The first plan of folds is that of the base models; the others only serve the score.
    probabilities = store.Predictions(np.asarray(fits[0].outer, dtype=np.float32), test.astype(np.float32))
    store.write_model(competition.workspace.stack(name), probabilities, competition.shape, record)
    return Built(recipe, members, score, evaluation.draws, rates, where_worth, time.monotonic() - began)


def as_it_was_built(stacking: Stacking, name: str) -> Built | None:
    """The stack as it lies in oof/, if it was made of just what it would be made of now."""
    recipe, found = stacking.bench.recipes[name], Inventory(stacking.planned).stack(name)
    if isinstance(found, Missing) or list(found.record["models"]) != stacking.bench.members_of(name):
        return None
    if "draws" not in found.record:  # stored before it was kept there
        return None
    record = found.record
    try:
        draws, rates = np.array(record["draws"], dtype=np.float64), rates_from(record["test rates"])
        worth = None if record["where worth"] is None else float(record["where worth"])
    except (KeyError, TypeError, ValueError):  # not what compete writes there: it is built anew
        return None
    return Built(recipe, record["models"], found.score, draws, rates, worth)


def _where_worth(bench: Workbench, recipe: StackRecipe, score: Score) -> float | None:
    some = any(not label.worth_tuning for label in score.labels.values())
    possible = "where_worth" in rules_for(bench.metric)
    if not some or not possible or recipe.rule(bench.metric) in ("where_worth", "half"):
        return None
    return score_where_worth(bench.metric, bench.materials.labels, bench.cross_fits(recipe.name))


def references(stacking: Stacking, besides: Collection[str]) -> dict[str, Score]:
    """Honest scores of the plain mean and a greedy blend of the same base models, those named `besides` left out."""
    competition, materials = stacking.competition, stacking.bench.materials
    scores = {}
    for recipe in REFERENCES:
        if recipe.name not in besides:
            evaluation = Workbench(materials, {recipe.name: recipe}, competition.metric).evaluate(recipe.name)
            scores[recipe.name] = score_of(evaluation, competition.labels)
    return scores


def mean_rates(competition: Competition, oof: Sequence[Probabilities], test: Sequence[Probabilities]) -> LabelRates:
    """Label rates of the test set, told by the mean of base models: a stack's own probabilities may be no mean.

    Of numbers and grades there are none.
    """
    if not competition.task.gives_probabilities:
        return LabelRates(*[np.empty(0)] * 3)
    return estimate_rates(
        competition.train_targets, np.asarray(np.mean(oof, axis=0)), np.asarray(np.mean(test, axis=0))
    )


def label_shift(labels: Labels, outer: Probabilities, rates: LabelRates) -> LabelShift:
    """How a stack with the out-of-fold probabilities `outer` is corrected for the label rates of the test set."""
    before = labels.mean(axis=0)
    return LabelShift(fit_calibration(labels, outer), before, shifted_rates(before, rates))
