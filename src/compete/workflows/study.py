"""Studies: number of folds, one setting at a time, seeds. What is trained stays in studies/, and is never stacked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from compete import atomic
from compete.base_models.recipes import Recipe, has_recipe, load_recipe
from compete.competition.data import Competition
from compete.competition.declaration import MOST_FOLDS
from compete.competition.names import is_model_name
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import DiskFullError, JobsFailedError, UserError
from compete.execution.jobs import Failed, Finished
from compete.experiments.run_log import Run, note_runs
from compete.experiments.studies import settings
from compete.experiments.studies.parts import identity_of, is_there, make_job, parts_of, read_part
from compete.experiments.studies.scoring import TrialScore, score_trial
from compete.experiments.studies.study import Study, reference_of
from compete.experiments.studies.trials import STRATEGIES, Arm, Folds, Trial, dealt, refuse_too_rare, trial_from
from compete.oof.fold_plan import with_plan
from compete.oof.lock import held
from compete.progress import Progress, unseen
from compete.stacking.ensemble.resampling import resampled_scores
from compete.workflows.executors import crew_for
from compete.workflows.session import Say, load, locked, silent, stopping_said

_LONGEST_NOTE = 2000


def study_folds(
    workspace: Workspace,
    model: str,
    k: Sequence[int] = (3, 5, 10, 15),
    *,
    repeats: int = 5,
    aside: float = 0.2,
    strategies: Sequence[str] = ("grouped",),
    workers: int | None = None,
    threads: int | None = None,
    say: Say = silent,
    progress: Progress = unseen,
) -> Study:
    """How well the honest score of every K tells what its models score on rows set aside, and how well they score.

    repeats: how often rows are set aside and the others dealt, each with another seed. aside: share of the rows.
    strategies: of "plain", "stratified", "grouped". workers, threads: as of `train_base`. Raises UserError for what
    cannot be studied.
    """
    began = time.monotonic()
    arms = _arms_of_folds(k, strategies)
    if not 0.05 <= aside <= 0.5:
        raise UserError(f"aside = {aside}: from 0.05 to 0.5 of the training rows can be set aside")
    if not 1 <= repeats <= 1000:
        raise UserError(f"repeats = {repeats}: from 1 to 1000")
    with stopping_said(say):
        with locked(workspace, say):
            recipe, competition = _recipe(workspace, model), load(workspace, say)
            if recipe.declaration.tuned is not None:
                raise UserError(
                    f"{recipe.shown}: its settings were chosen by labels of rows that this study would set aside "
                    "([tuned]), whose score would promise too much. Study the recipe that was tuned"
                )
            folds = competition.declaration.folds
            if folds.column is not None or folds.time is not None:
                raise UserError(
                    "folds.column and folds.time say which rows belong together in ways that no other number of folds "
                    "keeps: there is nothing to compare"
                )
            trials = [Trial(arm, repeat, aside) for repeat in range(repeats) for arm in arms]
        name = f"{model}_folds"[:100]
        plans, is_new = _trained(competition, recipe, name, trials, workers, threads, say, progress)
        scores: dict[str, list[TrialScore]] = {arm.name: [] for arm in arms}
        for trial, plan in plans:
            parts = parts_of(competition, name, recipe, trial, plan)
            scores[trial.arm.name].append(score_trial(competition.metric, competition.train_targets, plan, parts)[0])
        found = Study(
            name=name,
            kind="folds",
            model=model,
            metric=competition.metric,
            outputs=competition.labels,
            arms=tuple(arms),
            scores=scores,
            reference=reference_of(arms, folds.k),
            aside=aside,
        )
        _keep(competition, found)
        if is_new:
            note_runs(workspace, [_run(found, time.monotonic() - began)], say)
        return found


def study_setting(
    workspace: Workspace,
    model: str,
    setting: str,
    values: Sequence[Any] = (),
    *,
    seeds: int = 2,
    workers: int | None = None,
    threads: int | None = None,
    say: Say = silent,
    progress: Progress = unseen,
) -> Study:
    """One setting at a time under the workspace's fold plan, every value with the same seeds.

    setting: of the recipe's [settings], as "scheduler" or "lora.r"; values: default: where there are few choices all of
    them. Raises UserError for a setting that the family has not, a value it refuses, fewer than two values.
    """
    setting = setting.removeprefix("settings.")  # or a study of each spelling would be trained
    if not 1 <= seeds <= 20:
        raise UserError(f"seeds = {seeds}: from 1 to 20")
    with locked(workspace, say):
        recipe = _recipe(workspace, model)
        arms = settings.arms_of(recipe, setting, values)
        now = settings.current(recipe, setting)
    _say_where_tuned(recipe, say)
    reference = next((arm for arm in arms if arm.title == settings.title_of(now)), arms[0])
    name = f"{model}_{setting.replace('.', '_')}"[:100]
    return _under_the_plan(
        workspace, recipe, name, "setting", arms, reference, setting, seeds, workers, threads, say, progress
    )


def study_seeds(
    workspace: Workspace,
    model: str,
    *,
    seeds: int = 5,
    workers: int | None = None,
    threads: int | None = None,
    say: Say = silent,
    progress: Progress = unseen,
) -> Study:
    """How much of a score is the seed's, under the workspace's fold plan."""
    if not 2 <= seeds <= 100:
        raise UserError(f"seeds = {seeds}: from 2 to 100")
    with locked(workspace, say):
        recipe = _recipe(workspace, model)
    _say_where_tuned(recipe, say)
    arm, name = Arm("as_it_is", "as it is"), f"{model}_seeds"[:100]
    return _under_the_plan(workspace, recipe, name, "seeds", [arm], arm, "", seeds, workers, threads, say, progress)


def _under_the_plan(
    workspace: Workspace,
    recipe: Recipe,
    name: str,
    kind: Literal["setting", "seeds"],
    arms: Sequence[Arm],
    reference: Arm,
    setting: str,
    seeds: int,
    workers: int | None,
    threads: int | None,
    say: Say,
    progress: Progress,
) -> Study:
    began = time.monotonic()
    with stopping_said(say):
        with locked(workspace, say):
            competition = load(workspace, say)
            with_plan(competition)
        trials = [Trial(arm, seed) for seed in range(seeds) for arm in arms]
        plans, is_new = _trained(competition, recipe, name, trials, workers, threads, say, progress)
        scores: dict[str, list[TrialScore]] = {arm.name: [] for arm in arms}
        scored: dict[str, list[NDArray[Any]]] = {arm.name: [] for arm in arms}
        for trial, plan in plans:
            parts = parts_of(competition, name, recipe, trial, plan)
            score, said = score_trial(competition.metric, competition.train_targets, plan, parts)
            scores[trial.arm.name].append(score)
            scored[trial.arm.name].append(said)
        drawn = {
            arm.name: resampled_scores(competition.metric, competition.train_targets, scored[arm.name]).mean(axis=0)
            for arm in arms
        }
        found = Study(
            name=name,
            kind=kind,
            model=recipe.name,
            metric=competition.metric,
            outputs=competition.labels,
            arms=tuple(arms),
            scores=scores,
            reference=reference,
            setting=setting,
            drawn=drawn,
        )
        _keep(competition, found)
        if is_new:
            note_runs(workspace, [_run(found, time.monotonic() - began)], say)
        return found


def _arms_of_folds(k: Sequence[int], strategies: Sequence[str]) -> list[Arm]:
    for each in k:
        if not 2 <= each <= MOST_FOLDS:
            raise UserError(f"K = {each}: from 2 to {MOST_FOLDS} folds")
    for strategy in strategies:
        if strategy not in STRATEGIES:
            raise UserError(f"strategy {strategy}: {unknown_name(strategy, STRATEGIES)}")
    arms = [
        Arm(
            f"k{each}_{strategy}",
            f"K = {each}" + (f", {strategy}" if len(strategies) > 1 or strategy != "grouped" else ""),
            each,
            strategy,  # type: ignore[arg-type]  # checked above
        )
        for each in k
        for strategy in strategies
    ]
    if len(set(arms_names := [arm.name for arm in arms])) < len(arms_names):
        raise UserError("a number of folds, or a strategy, is there twice")
    if len(arms) < 2:
        raise UserError("one number of folds compares with nothing: name two or more, as --k 3,5,10")
    return arms


def _recipe(workspace: Workspace, model: str) -> Recipe:
    """The recipe, if it is one that can be trained on any rows; raises UserError if not."""
    if not has_recipe(workspace, model) and is_model_name(model) and workspace.base_model(model).record.is_file():
        raise UserError(f"{model} was imported, or its recipe is gone: there is nothing to train it from")
    recipe = load_recipe(workspace, model).ready()
    recipe.refuse_unopenable()
    if recipe.declaration.pseudo_labels is not None or recipe.declaration.pretrain_on:
        raise UserError(
            f"{recipe.shown}: what it learns from besides its rows ([pseudo_labels], [[pretrain_on]]) is made under "
            "the workspace's own folds, and may have seen rows that a study sets aside. Study the recipe without it"
        )
    if recipe.declaration.settings_of_fold:
        raise UserError(
            f"{recipe.shown}: its folds have settings of their own ([settings_of_fold]), and a study deals other "
            "folds. Study the recipe that was tuned"
        )
    return recipe


def _say_where_tuned(recipe: Recipe, say: Say) -> None:
    if recipe.declaration.tuned is not None:
        say(f"{recipe.name}: its settings were chosen by labels of these rows, which favours them over others")


def _trained(
    competition: Competition,
    recipe: Recipe,
    name: str,
    trials: Sequence[Trial],
    workers: int | None,
    threads: int | None,
    say: Say,
    progress: Progress,
) -> tuple[list[tuple[Trial, Folds]], bool]:
    """Train what is missing; the trials with their folds, and whether any was missing.

    Raises JobsFailedError if a job failed.
    """
    workspace = competition.workspace

    def waiting() -> None:
        say(f"another command is at the study {name}: waiting until it has ended (Ctrl-C gives up)")

    plans = [(trial, dealt(competition, trial)) for trial in trials]
    for trial, folds in plans:
        refuse_too_rare(competition, trial, folds)
    crew = crew_for([recipe], workers, threads)
    with held(workspace.study_lock(name), waiting):
        atomic.sweep(workspace.study(name))
        missing, stale = _missing(competition, recipe, name, plans)
        parts = sum(int(folds.max()) + 1 for _, folds in plans)
        if stale:
            say(f"{stale} trainings of other rows or settings are made again")
        done = parts - sum(missing.values())
        say(f"{parts} trainings, {done} are there already")
        jobs = [make_job(workspace, name, recipe, trial, crew.threads) for trial, _ in plans if missing[trial.name]]
        failures = list[Failed]()
        with contextlib.closing(crew.executor.run(jobs)) as events:
            for event in events:
                if isinstance(event, Failed):
                    if event.error == DiskFullError.__name__:
                        raise DiskFullError(event.message)
                    failures.append(event)
                elif isinstance(event, Finished):
                    done += missing[trial_from(event.job.payload["trial"]).name]
                    progress(done / parts, event.job.name)
    if failures:
        lines = [f"{len(failures)} of {len(jobs)} jobs failed; what was finished is kept"]
        for each in failures:
            log = workspace.shown(each.job.log)
            lines.append(f"  {each.job.name}: {each.error}: {each.message} (log: {log})")
        raise JobsFailedError("\n".join(lines))
    return plans, bool(jobs)


def _missing(
    competition: Competition, recipe: Recipe, name: str, plans: Sequence[tuple[Trial, Folds]]
) -> tuple[dict[str, int], int]:
    """How many trainings every trial lacks, by name; and how many are there that were made from something else."""
    lacking, stale = {}, 0
    for trial, folds in plans:
        own, count = trial.recipe(recipe), 0
        for fold in range(int(folds.max()) + 1):
            folder = competition.workspace.study_part(name, trial.part(fold))
            identity = identity_of(competition, own, folds, fold)
            if read_part(folder, identity, len(folds), len(competition.labels)) is None:
                count += 1
                stale += is_there(folder)
        lacking[trial.name] = count
    return lacking, stale


def _keep(competition: Competition, found: Study) -> None:
    from compete.reporting.records import plain

    record = {**plain(found.record()), "rows": competition.fingerprints}
    atomic.write_json(competition.workspace.study_record(found.name), record)


def _run(found: Study, seconds: float) -> Run:
    """The log's line on a study."""
    note = "; ".join(found.conclusion)[:_LONGEST_NOTE]
    return Run("study", "study", found.name, metric=found.metric.name, seconds=seconds, note=note)


def study_names(workspace: Workspace) -> list[str]:
    """Names of the studies that are there, sorted."""
    return sorted(path.parent.name for path in Path(workspace.studies).glob("*/study.json"))
