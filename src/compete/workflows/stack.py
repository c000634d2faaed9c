"""Stack the base models: meta-learners, thresholds, and an honest score beside the naive one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compete.competition.planned import Planned
from compete.competition.rare_labels import rare_sentence
from compete.competition.task import Kind
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.experiments.run_log import Run, note_runs
from compete.oof.fold_plan import with_plan
from compete.oof.store import read_record
from compete.progress import Progress, unseen
from compete.stacking.building import Built, Stacking, as_it_was_built, build, open_stacking
from compete.stacking.choosing import choose, remember_choice
from compete.stacking.comparison import Comparison, Contributions, compare, contributions
from compete.stacking.ensemble.cross_fitting import MANY_ROWS
from compete.stacking.ensemble.resampling import FEW_POSITIVES
from compete.stacking.inventory import Inventory
from compete.stacking.members import choose_members
from compete.stacking.stack_recipes import StackRecipe, load_with_parts, methods_for, parts_of, stack_names
from compete.workflows.session import Say, exclusively, load, silent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Stacked:
    """What a call of stack found."""

    comparison: Comparison = field(repr=False)
    contributions: Contributions | None = field(repr=False)
    """What each base model adds, where that was asked for."""

    @property
    def chosen(self) -> str:
        """The stack that `submit` sends."""
        return self.comparison.chosen.recipe.name

    @property
    def table(self) -> pd.DataFrame:
        """Stacks, references and base models by name: honest score with its interval, naive score, optimism."""
        from compete.reporting.frames import comparison_frame

        return comparison_frame(self.comparison)

    @property
    def labels(self) -> pd.DataFrame:
        """Of the chosen stack by label or class: rates in train and test, precision, recall, F1, threshold, gain."""
        from compete.reporting.frames import labels_frame

        return labels_frame(self.comparison)

    @property
    def targets(self) -> pd.DataFrame:
        """Of the chosen stack by target: RMSE, MAE, Pearson correlation, bias, share of right grades; of numbers and
        grades."""
        from compete.reporting.frames import targets_frame

        return targets_frame(self.comparison)

    @property
    def left_one_out(self) -> pd.DataFrame:
        """By base model: the honest score without it, what it adds with its interval, and its training time."""
        from compete.reporting.frames import contributions_frame

        return contributions_frame(self.contributions)

    @property
    def error_correlation(self) -> pd.DataFrame:
        """Of the base models' errors, by model, where each was left out once."""
        from compete.reporting.frames import correlation_frame

        return correlation_frame(self.contributions)


def stack(
    workspace: Workspace,
    names: Sequence[str] = (),
    *,
    without: Sequence[str] = (),
    allow: Sequence[str] = (),
    leave_one_out: bool = False,
    force: bool = False,
    say: Say = silent,
    progress: Progress = unseen,
    compared: Callable[[Comparison], None] = lambda found: None,
) -> Stacked:
    """Build the named stack recipes, or all of them, and choose one. What has not changed since is as it was built.

    without: base models to leave out; allow: those to stack in spite of an alarm. leave_one_out: fit the chosen stack,
    or the best that is quick to fit, again without each base model. force: fit again what has not changed. compared:
    told as soon as the stacks are there.
    """
    recipes = _recipes(workspace, names)
    with exclusively(workspace, say):
        planned = with_plan(load(workspace, say))
        recipes = recipes if names else suitable(recipes, planned.competition.task.kind, say)
        stacking, left_out = _open(planned, recipes, without, allow, say)
        built = build_all(stacking, recipes, progress, force=force, say=say)
        contenders = [each for each in built if not names or each.recipe.name in names]
        chosen = choose_and_remember(stacking, contenders)
        found = compare(stacking, built, contenders, chosen, left_out)
        compared(found)
        told = contributions(stacking, found.told_by, progress, force=force) if leave_one_out else None
        return Stacked(found, told)


def build_all(
    stacking: Stacking,
    recipes: Sequence[StackRecipe],
    progress: Progress = unseen,
    *,
    force: bool = False,
    say: Say = silent,
) -> list[Built]:
    """Every recipe, fitted and stored; as it was built before where nothing has changed since, unless `force`.

    Each is in the log as soon as it is built: the next one may take an hour, and may fail.
    """
    built = []
    for number, recipe in enumerate(recipes):
        title = f"{number + 1}/{len(recipes)} {recipe.name}"

        def of_all(fraction: float, doing: str, before: int = number, title: str = title) -> None:
            progress((before + fraction) / len(recipes), f"{title} {fraction:.0%}")

        progress(number / len(recipes), title)
        earlier = None if force else as_it_was_built(stacking, recipe.name)
        built.append(earlier or build(stacking, recipe.name, of_all))
        note_runs(stacking.competition.workspace, _runs(stacking, built[-1]), say)
    return built


def _runs(stacking: Stacking, built: Built) -> list[Run]:
    """The log's line on a stack; none where it is as it was."""
    if built.seconds is None:
        return []
    name = built.recipe.name
    identity = read_record(stacking.competition.workspace.stack(name))["identity"]
    return [Run("stack", "stack", name, seconds=built.seconds, identity=identity).scored(built.score)]


def choose_and_remember(stacking: Stacking, contenders: Sequence[Built]) -> Built:
    """The stack that is submitted if none is named."""
    chosen = choose(stacking.competition.metric, contenders)
    remember_choice(stacking.competition.workspace, chosen.recipe.name)
    return chosen


def suitable(recipes: Sequence[StackRecipe], kind: Kind, say: Say) -> list[StackRecipe]:
    """Of recipes that nobody named, those whose method, and that of all stacks they are made of, is for that kind of
    outputs; raises UserError if none is.
    """
    by_name = {recipe.name: recipe for recipe in recipes}
    kept = []
    for recipe in recipes:
        of = [part for part in [recipe.name, *parts_of(recipe, by_name)] if not by_name[part].suits(kind)]
        if not of:
            kept.append(recipe)
            continue
        method = by_name[of[0]].declaration.method
        made_of = "" if of[0] == recipe.name else f"made of {of[0]}, whose "
        say(f'stack {recipe.name} is left out: {made_of}method = "{method}" is not for {kind}')
    if not kept:
        raise UserError(f"no recipe in stacking/ is for {kind}; method may be {', '.join(methods_for(kind))}")
    return kept


def _recipes(workspace: Workspace, names: Sequence[str]) -> list[StackRecipe]:
    recipes = load_with_parts(workspace, names or stack_names(workspace))
    if not recipes:
        raise UserError("stacking/ holds no recipe: `compete init DIR` makes a workspace with some to start from")
    return sorted(recipes, key=lambda recipe: recipe.simplicity())


def _open(
    planned: Planned, recipes: Sequence[StackRecipe], without: Sequence[str], allow: Collection[str], say: Say
) -> tuple[Stacking, dict[str, str]]:
    """The base models, read; and those that were left out, with the reason."""
    # A recipe that names neither models nor stacks is made of every base model.
    everything = any(not recipe.declaration.models and not recipe.declaration.stacks for recipe in recipes)
    files = {name: f"stacking/{recipe.name}.toml" for recipe in recipes for name in recipe.declaration.models or []}
    inventory = Inventory(planned)
    members = choose_members(inventory, list(files), without, everything=everything, named_in=files)
    for model, reason in members.left_out.items():
        say(f"{model}: {reason}, not stacked")
    stacking = open_stacking(planned, recipes, members.names, allow)
    for alarm in stacking.warnings:
        say(f"warning: {alarm}")
    for model in members.names:
        if flattery := inventory.states[model].flattery:
            say(f"{flattery}. That of a stack with it does, too")
    _say_limits(planned, say)
    return stacking, members.left_out


def _say_limits(planned: Planned, say: Say) -> None:
    """What the rows and their labels do not allow."""
    competition, learnt = planned.competition, planned.learnt
    if len(competition.train_ids) > MANY_ROWS:
        penalty = "C" if competition.task.gives_probabilities else "alpha"
        say(f"more than {MANY_ROWS:,} rows: scored under one plan of folds, with the middle one of several {penalty}")
    positives = competition.strata.sum(axis=0)
    positives = positives[learnt.mask] if competition.task.gives_probabilities else positives[:0]
    if len(positives) and (positives < FEW_POSITIVES).mean() > 0.5:
        classes = competition.task.kind == "classes"
        rows = (
            f"classes have fewer than {FEW_POSITIVES} rows"
            if classes
            else (f"labels have fewer than {FEW_POSITIVES} positive rows")
        )
        measured = "" if classes else " (82 were measured at 40 positive rows)"
        say(f"most {rows}: the scores' intervals hold less often than 95 times in 100{measured}")
    if (rare := rare_sentence(learnt, planned.plan.k)) is not None:
        say(rare)
