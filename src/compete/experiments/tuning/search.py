"""Trying settings until the budget is spent: batches of trials as jobs, remembered as soon as they end."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from compete.base_models.recipes import Recipe
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import DeclarationError, DiskFullError, UserError
from compete.execution.deadline import Deadline
from compete.execution.executor import Executor
from compete.execution.jobs import Failed, Finished, Job, Left
from compete.experiments.tuning.stored import StudyRecord, Trial
from compete.experiments.tuning.study import Study
from compete.experiments.tuning.trial import Outcome, files_behind, read_outcome, trial_job
from compete.printable import on_one_line
from compete.progress import Progress, unseen

Told = Callable[[StudyRecord, Trial], None]
"""Given a study and the trial in it that has just ended."""


def untold(study: StudyRecord, trial: Trial) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Budget:
    """How long settings are tried."""

    trials: int | None
    """Of every study, in all runs together; None: as many as there is time for."""
    ends: float | None
    """As time.monotonic() tells it."""

    @property
    def is_over(self) -> bool:
        return self.ends is not None and time.monotonic() >= self.ends


_NO_END = 10**9


@dataclass
class Search:
    """Studies of one recipe that are gone on with together: one, or one per fold of a nested tuning."""

    planned: Planned
    recipe: Recipe
    studies: list[Study]
    executor: Executor
    threads: int
    budget: Budget
    progress: Progress = unseen
    told: Told = untold
    after_batch: Callable[[], None] = lambda: None
    """Called when something new is to be written down for those who look."""
    seconds: float | None = None
    """Of the longest job so far; None while none has ended."""
    left: bool = False
    """Whether the time was over before the trials were."""
    _open: dict[tuple[str, int], _Open] = field(default_factory=dict)

    @cached_property
    def _behind(self) -> dict[str, str]:
        return files_behind(self.workspace, self.recipe)

    @property
    def workspace(self) -> Workspace:
        return self.planned.workspace

    def run(self) -> None:
        """Go on until every study has its trials, or the time is over. Raises DiskFullError at once."""
        try:
            while not (self.budget.is_over or self.left):
                before = sum(study.ended for study in self.studies)
                jobs = [job for study in self.studies for job in self._begin(study)]
                self._work(jobs)
                self.after_batch()
                if not jobs and before == sum(study.ended for study in self.studies):
                    return
        finally:
            for trial in self._open.values():  # stopped: it is the first of the next run
                trial.study.wait(trial.number)
            shutil.rmtree(self.workspace.tuning(self.recipe.name).hidden_states, ignore_errors=True)

    def _begin(self, study: Study) -> list[Job]:
        """The jobs of a study's next batch; of a trial that was cut off only those that had not ended."""
        jobs = []
        for number in study.batch(_NO_END if self.budget.trials is None else self.budget.trials):
            trial = self._open[study.key, number] = _Open(study, number, study.params(number))
            for fold in study.about.folds:
                known = read_outcome(self._file(study, number, fold), trial.params)
                if known is not None:
                    trial.outcomes[fold] = known
            missing = [fold for fold in study.about.folds if fold not in trial.outcomes]
            if not missing:
                self._close(trial)
                continue
            try:
                jobs += [self._job(trial, fold) for fold in missing]
            except DeclarationError as error:  # a combination that is no recipe, and was not among those validated
                study.failed(number, on_one_line(str(error)))
                self._say(trial)
        return jobs

    def _job(self, trial: _Open, fold: int) -> Job:
        study, number = trial.study, trial.number
        change = study.space.change(trial.params)
        told = {
            "params": trial.params,
            "change": change,
            "identity": self.recipe.identity_on(self.planned.identity) | self._behind,
            "rows": study.about.rows,
            "medians": {str(epoch): loss for epoch, loss in study.medians_for(number).items()},
        }
        recipe = self.recipe.changed("tune", change)
        return trial_job(self.workspace, recipe, study.key, number, fold, told, self.threads)

    def _file(self, study: Study, number: int, fold: int) -> Path:
        return self.workspace.tuning(self.recipe.name).job(study.key, number, fold)

    def _work(self, jobs: Sequence[Job]) -> None:
        ends = self.budget.ends
        deadline = None if ends is None else Deadline(ends, lambda job: self.seconds)
        with contextlib.closing(self.executor.run(jobs, deadline)) as events:
            for event in events:
                if isinstance(event, Finished):
                    self._finished(event)
                elif isinstance(event, Failed):
                    if event.error == DiskFullError.__name__:
                        raise DiskFullError(event.message)
                    self._failed(event)
                elif isinstance(event, Left):
                    self.left = True

    def _finished(self, event: Finished) -> None:
        self.seconds = max(event.seconds, self.seconds or 0.0)
        trial = self._open.get(_key(event.job))
        if trial is None:  # another fold of it failed
            return
        fold = event.job.payload["fold"]
        outcome = read_outcome(self._file(trial.study, trial.number, fold), trial.params)
        if outcome is None:
            trial.study.failed(trial.number, f"fold {fold}: its job ended and left no score")
            self._say(trial)
            return
        trial.outcomes[fold] = outcome
        if len(trial.outcomes) == len(trial.study.about.folds):
            self._close(trial)

    def _failed(self, event: Failed) -> None:
        trial = self._open.get(_key(event.job))
        if trial is None:
            return
        log = self.workspace.shown(event.job.log)
        what = on_one_line(f"{event.error}: {event.message}")
        trial.study.failed(trial.number, f"fold {event.job.payload['fold']}: {what} (log: {log})")
        self._say(trial)

    def _close(self, trial: _Open) -> None:
        trial.study.tell(trial.number, trial.outcomes)
        self._say(trial)

    def _say(self, trial: _Open) -> None:
        del self._open[trial.study.key, trial.number]
        record = trial.study.record
        self.told(record, record.trials[trial.number])
        ended = sum(study.ended for study in self.studies)
        wanted = None if self.budget.trials is None else self.budget.trials * len(self.studies)
        self.progress(ended / wanted if wanted else 0.0, f"{ended} trials" if wanted is None else f"{ended}/{wanted}")


@dataclass
class _Open:
    """A trial whose jobs have not all ended."""

    study: Study
    number: int
    params: dict[str, object]
    outcomes: dict[int, Outcome] = field(default_factory=dict)


def _key(job: Job) -> tuple[str, int]:
    return job.payload["study"], job.payload["trial"]


def refuse_without_result(search: Search) -> None:
    """Raise UserError where a study has no trial that was scored: the budget was too small, or all of them failed."""
    for study in search.studies:
        if study.record.best is not None:
            continue
        errors = [trial.error for trial in study.record.trials if trial.error]
        if errors:
            raise UserError(f"{search.recipe.shown}: every trial failed; the first: {errors[0]}")
        raise UserError(
            f"{search.recipe.shown}: the time was too short for a single trial; what had begun is gone on with by the "
            "same command with more --hours"
        )
