"""Tune a recipe: search its settings on rows inside the training folds, and write the best as a recipe beside it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compete.base_models.recipes import Recipe, load_recipe, recipe_names
from compete.competition.declaration import read_declaration
from compete.competition.metrics import Metric
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import UserError
from compete.experiments.run_log import Run, note_runs
from compete.experiments.tuning.default_spaces import SCALES, default_space
from compete.experiments.tuning.proxies import Proxy, proxies
from compete.experiments.tuning.search import Budget, Search, Told, refuse_without_result, untold
from compete.experiments.tuning.space import Space, read_space
from compete.experiments.tuning.stored import About, StudyRecord, read_trials, write_trials
from compete.experiments.tuning.trial import files_behind
from compete.experiments.tuning.trial_rows import FEWEST_FOLDS
from compete.experiments.tuning.tuned_recipe import (
    Best,
    refuse_base,
    refuse_foreign,
    tables_in_force,
    tuned_name,
    write_tuned,
)
from compete.oof.fold_plan import with_plan
from compete.oof.lock import held
from compete.oof.priors import check_steps
from compete.oof.state import model_state
from compete.progress import Progress, unseen
from compete.workflows.executors import Crew, crew_for
from compete.workflows.session import Say, load, locked, silent, stopping_said

if TYPE_CHECKING:
    import pandas as pd

TRIALS = 20  # where nobody says how many, or for how long
MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Tuning:
    """What a call of tune found."""

    recipe: str
    """Of what was tuned."""
    written: str
    """The recipe that was written: its name."""
    metric: Metric = field(repr=False)
    promise: float
    """Score of the best trial on rows that were set aside inside the training folds; nested: mean over folds. The
    highest of several: it promises too much."""
    as_shipped: float | None
    """The same of the recipe's own settings."""
    studies: list[StudyRecord] = field(repr=False)
    """One; of a nested tuning one per fold."""
    proxies: list[Proxy] = field(repr=False)
    """Every cheaper tuning of the recipe in this workspace, and how alike it ranks."""
    left: bool
    """Whether the time was over before the trials were."""

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: fold (nested), number, state, score, seconds, then its settings by name."""
        from compete.reporting.frames import trials_frame

        return trials_frame(self.studies)

    @property
    def best(self) -> dict[int | None, dict[str, Any]]:
        """The best settings by dotted name; of a nested tuning by fold, else under None."""
        return {
            study.about.folds[0] if study.about.nested else None: study.best.settings
            for study in self.studies
            if study.best is not None
        }


def tune(
    workspace: Workspace,
    name: str,
    *,
    trials: int | None = None,
    hours: float | None = None,
    seed: int = 0,
    nested: bool = False,
    rows: float = 1.0,
    folds: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    say: Say = silent,
    progress: Progress = unseen,
    told: Told = untold,
) -> Tuning:
    """Search what [tune] of the recipe says, or its family's default, and write NAME_tuned (or NAME_tuned_nested).

    trials: in all, with those of earlier calls; hours: of this call. nested: every fold has settings of its own, which
    no label of the fold chose. rows: share of the rows that trials are fitted on; folds: in how many they are tried; a
    workspace of another size is a proxy too. workers: jobs at once, 0 for this process. told: called with every trial
    that ends.
    """
    began = time.monotonic()
    _refuse_numbers(trials, hours, seed, rows)
    budget = Budget(
        TRIALS if trials is None and hours is None else trials, None if hours is None else began + 3600 * hours
    )
    with stopping_said(say), contextlib.ExitStack() as open_:
        with locked(workspace, say):
            planned = with_plan(load(workspace, say))
        recipe = _recipe(workspace, name)
        chosen = _folds(planned, folds, nested=nested)
        space = read_space(recipe, recipe.declaration.tune or default_space(recipe, is_nested=nested))
        if nested and (scales := sorted(SCALES & space.dimensions.keys())):
            say(
                f"warning: tune.{scales[0]}: folds that differ in it give probabilities on other scales, which "
                "thresholds that the other folds choose need not fit: leave it out of a nested tuning"
            )
        refuse_foreign(workspace, recipe.name, tuned_name(recipe.name, is_nested=nested))
        check_steps(workspace, recipe)
        crew = crew_for([recipe], workers, threads)
        abouts = [_about(planned, recipe, space, each, nested=nested, rows=rows, seed=seed) for each in chosen]
        _refuse_too_little(planned, recipe, abouts, crew, hours)
        folder = workspace.tuning(recipe.name)
        waiting = f"another compete command is tuning {recipe.name}: waiting until it has ended (Ctrl-C gives up)"
        open_.enter_context(held(folder.lock, lambda: say(waiting)))
        studies, left, new = _searched(planned, recipe, space, abouts, crew, budget, say, progress, told)
        best = Best(
            studies, _tables(workspace, recipe), _command(recipe.name, trials, hours, seed, nested, rows, folds)
        )
        with locked(workspace, say):
            written = write_tuned(workspace, recipe, best)
        run = Run(
            "tune",
            "tuning",
            recipe.name,
            ended="stopped" if left else "done",
            metric=planned.competition.metric.name,
            seconds=time.monotonic() - began,
            note=f"{new} new trials, the best {best.promise:.4f} inside the training folds; wrote {written}",
        )
        note_runs(workspace, [run] if new else [], say)
        shipped = [study.as_shipped.score for study in studies if study.as_shipped is not None]
        by_size = {"laptop": recipe.declaration.laptop, "miniature": recipe.declaration.miniature}
        return Tuning(
            recipe.name,
            written,
            planned.competition.metric,
            best.promise,
            _mean([score for score in shipped if score is not None]) if len(shipped) == len(studies) else None,
            studies,
            proxies(read_trials(folder), _declared_size(workspace, recipe.name), by_size),
            left,
        )


def _searched(
    planned: Planned,
    recipe: Recipe,
    space: Space,
    abouts: Sequence[About],
    crew: Crew,
    budget: Budget,
    say: Say,
    progress: Progress,
    told: Told,
) -> tuple[list[StudyRecord], bool, int]:
    """What is known of every study once the budget is spent; whether the time was over before; how many trials ended
    in this call."""
    from compete.experiments.tuning.study import Study, every_study, open_storage

    folder = planned.workspace.tuning(recipe.name)
    shipped = space.as_shipped(recipe)
    if shipped is None:
        say("the recipe's own settings lie outside of what is searched, and are not among the trials")
    with open_storage(folder) as storage:
        studies = [Study(storage, about, space, shipped) for about in abouts]
        there = sum(study.ended for study in studies)
        if there:
            say(f"{there} trials are there already")
        search = Search(
            planned,
            recipe,
            studies,
            crew.executor,
            crew.threads,
            budget,
            progress,
            told,
            lambda: write_trials(folder, every_study(storage)),
        )
        try:
            search.run()
        finally:
            write_trials(folder, every_study(storage))
        refuse_without_result(search)
        if search.left or (budget.is_over and budget.trials is not None):
            say("stopped in time, as asked; the same command goes on with the trials that are left")
        return [study.record for study in studies], search.left, sum(study.ended for study in studies) - there


def _recipe(workspace: Workspace, name: str) -> Recipe:
    """The recipe to tune; raises UserError for one that cannot be."""
    known = recipe_names(workspace)
    if name not in known:
        raise UserError(f"no recipe base_models/{name}.toml; {unknown_name(name, known)}")
    recipe = load_recipe(workspace, name)
    refuse_base(workspace, recipe)
    recipe.refuse_unopenable()
    return recipe.ready()


def _refuse_numbers(trials: int | None, hours: float | None, seed: int, rows: float) -> None:
    if trials is not None and not 1 <= trials <= MOST_TRIALS:
        raise UserError(f"--trials {trials}: a tuning takes at least one trial, and at most {MOST_TRIALS:,}")
    if hours is not None and not (math.isfinite(hours) and hours > 0):
        raise UserError(f"--hours {hours:g}: there is no time for a single trial; it is greater than 0")
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed {seed}: it is a whole number from 0 on, below 2^32")
    if not 0 < rows <= 1:
        raise UserError(f"--rows {rows:g}: it is a share of the rows, greater than 0 and at most 1")


def _folds(planned: Planned, folds: int | None, *, nested: bool) -> list[tuple[int, ...]]:
    """The folds of every study."""
    k = planned.plan.k
    if k < FEWEST_FOLDS:
        raise UserError(
            f"folds.k = {k}: tuning takes {FEWEST_FOLDS} folds at least: one whose labels are not read, one to score "
            "trials on, and one to train them on"
        )
    if nested and folds is not None:
        raise UserError(
            "--folds is of plain tuning: with --nested every fold is tuned by itself. Leave one of them out"
        )
    if folds is not None and not 1 <= folds <= k:
        raise UserError(f"--folds {folds}: the fold plan has {k}; it is from 1 to {k}")
    return [(fold,) for fold in range(k)] if nested else [tuple(range(k if folds is None else folds))]


def _about(
    planned: Planned, recipe: Recipe, space: Space, folds: tuple[int, ...], *, nested: bool, rows: float, seed: int
) -> About:
    return About(
        recipe=recipe.name,
        identity=recipe.identity() | files_behind(planned.workspace, recipe),
        rows_identity=recipe.looked_at(planned.identity),
        metric=planned.competition.metric.name,
        greater_is_better=planned.competition.metric.greater_is_better,
        space=space.record(),
        folds=folds,
        k=planned.plan.k,
        nested=nested,
        rows=rows,
        size=recipe.size,
        seed=seed,
    )


def _refuse_too_little(
    planned: Planned, recipe: Recipe, abouts: Sequence[About], crew: Crew, hours: float | None
) -> None:
    """Raise UserError where a single trial is known to take longer than there is."""
    if hours is None:
        return
    rows, k = planned.identity, planned.plan.k
    state = model_state(planned.workspace, recipe.name, recipe, rows, k)
    if not state.folds_done:
        return
    about = abouts[0]
    # The rows that are fitted, of those that a fold of the model was; the folds of a trial run beside one another.
    of_fold = state.seconds / state.folds_done * about.rows * (k - 2) / (k - 1)
    seconds = of_fold * math.ceil(len(about.folds) / crew.at_once)
    if seconds > 3600 * hours:
        raise UserError(
            f"--hours {hours:g}: too little for one trial, which takes about {seconds:,.0f} s (as long as the folds of "
            f"{recipe.name} took): give it more, or take --folds 1, --rows or a smaller --size"
        )


def _tables(workspace: Workspace, recipe: Recipe) -> list[tuple[str, ...]]:
    """Where the best settings are put: in force at the size they were tried at, and at the competition's own."""
    declared = load_recipe(Workspace(workspace.root), recipe.name)
    return list(dict.fromkeys([tables_in_force(declared), tables_in_force(recipe)]))


def _declared_size(workspace: Workspace, name: str) -> str:
    """The size that the recipe has without --size."""
    own = Workspace(workspace.root)
    read_declaration(own)
    return load_recipe(own, name).size


def _command(
    name: str,
    trials: int | None,
    hours: float | None,
    seed: int,
    nested: bool,
    rows: float,
    folds: int | None,
) -> str:
    said: Mapping[str, object] = {
        "--trials": trials,
        "--hours": hours,
        "--seed": seed or None,
        "--rows": rows if rows < 1 else None,
        "--folds": folds,
    }
    options = [f"{option} {value}" for option, value in said.items() if value is not None]
    return " ".join(["compete tune", name, *options, *(["--nested"] if nested else [])])


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None
