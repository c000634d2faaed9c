"""Train base models under the shared fold plan: out-of-fold and test probabilities."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from compete.base_models.recipes import Recipe
from compete.base_models.trackers import refuse_missing
from compete.competition.data import Competition
from compete.competition.workspace import Workspace
from compete.errors import JobsFailedError, UserError
from compete.execution.executor import Executor
from compete.execution.jobs import Event, Failed, Finished, Job, Left
from compete.experiments.run_log import Run, note_runs
from compete.oof.fold_plan import with_plan
from compete.oof.lock import claim, fold_claimed
from compete.oof.state import ModelState, State
from compete.oof.teachers import in_waves, untaught
from compete.oof.work import Work, choose_recipes, find_work, train
from compete.times import seconds_of
from compete.workflows.away import on_cluster
from compete.workflows.executors import Crew, crew_on
from compete.workflows.session import Say, load, locked, silent, stopping_said
from compete.workflows.status import Status, status
from compete.workflows.watching import Watch, unwatched


@dataclass(frozen=True)
class Trained:
    """What a call of train-base left."""

    status: Status
    """Of the models it was to train."""
    failed: JobsFailedError | None
    """What became of the jobs that failed; what the others made is kept."""
    left: Sequence[str] = ()
    """Names of the jobs that there was no time for."""


def train_base(
    workspace: Workspace,
    names: Sequence[str] = (),
    *,
    folds: Sequence[int] = (),
    force: bool = False,
    replace_stale: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    as_published: bool = False,
    parity: bool = True,
    stop_after: str | None = None,
    on: str | None = None,
    address: str | None = None,
    say: Say = silent,
    watch: Watch = unwatched,
) -> Trained:
    """Train what is missing or stale of the named recipes, or for no names of all (`oof.work.find_work`).

    workers: jobs at once, 0 for this process; threads: of one job. parity: what was trained is read again, and has to
    give the same probabilities. stop_after: as "11h"; default: what competition.toml says. Folds that another command
    is training are waited for. on, address: in place of what [execution] in competition.toml says: "local", or "ray"
    and where the cluster is.
    """
    began = time.monotonic()
    asked = None if stop_after is None else _asked_seconds(stop_after)
    with stopping_said(say), contextlib.ExitStack() as open_:
        with locked(workspace, say):
            competition = load(workspace, say)
            recipes = choose_recipes(competition, names, as_published=as_published)
            waves = in_waves(recipes)
        trackers = competition.declaration.tracking.to
        refuse_missing(trackers)
        execution = competition.declaration.execution.model_copy(update=_said(on=on, address=address))
        crew = open_.enter_context(crew_on(execution, recipes, workers, threads, say))
        if trackers and crew.cluster is not None:
            say("[tracking]: trainings on a cluster are not told to trackers")
        declared = competition.declaration.training.stop_after
        seconds = asked if asked is not None or declared is None else seconds_of(declared)
        run = _Run(workspace, crew, None if seconds is None else began + seconds, say, watch)
        wanted = partial(find_work, competition, recipes, folds, replace_stale=replace_stale, parity=parity)
        try:
            for wave in waves:
                names_now = run.ready_now(competition, wave, folds)
                run.train_all(partial(wanted, threads=crew.threads, now=names_now), force)
        except BaseException:  # Ctrl-C, a full disk: what was finished is kept, and written down
            note_runs(workspace, run.cut_off(), say)
            raise
        if run.left:
            say(f"{_left_text(run.left)}; the same command goes on with them")
        with locked(workspace, say):  # it writes scores down
            found = status(workspace, [recipe.name for recipe in recipes], scoring=True)
        note_runs(workspace, run.noted(found), say)
        return Trained(found, run.failed, run.left)


def _asked_seconds(stop_after: str) -> float:
    try:
        return seconds_of(stop_after)
    except ValueError as error:
        raise UserError(f"--stop-after, stop_after: {error}") from None


def _identity(state: ModelState) -> dict[str, str]:
    """What a model was made of, by name; of one that is not whole, what its first fold was."""
    fresh = [part.record for part in (state.whole, *state.parts) if part.state is State.FRESH]
    return next((dict(record["identity"]) for record in fresh), {})


def _said(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}


def _left_text(left: Sequence[str]) -> str:
    jobs = f"{len(left)} job{'s' * (len(left) > 1)}"
    return f"stopped in time, as asked: {jobs} left ({', '.join(left[:5])}{', ...' * (len(left) > 5)})"


@dataclass
class _Run:
    """One call of train-base, and what came of its jobs."""

    workspace: Workspace
    crew: Crew
    ends: float | None
    """As time.monotonic() tells it."""
    say: Say
    watch: Watch
    left: list[str] = field(default_factory=list)
    failures: list[JobsFailedError] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Of the jobs that were done, by model."""
    unsuccessful: set[str] = field(default_factory=set)
    """Models of which a job failed."""
    before: dict[str, State] = field(default_factory=dict)
    """In which state the models were found."""

    def noted(self, found: Status) -> list[Run]:
        """A line of the log for every model that this run changed."""
        models = {*self.seconds, *self.unsuccessful}
        models |= {
            name
            for name, state in found.states.items()  # put together of folds that an earlier run had finished
            if state.state is State.FRESH and self.before.get(name, State.FRESH) is not State.FRESH
        }
        return [
            Run(
                "train-base",
                "base model",
                name,
                ended="failed" if name in self.unsuccessful else "stopped" if self._is_left(name) else "done",
                seconds=self.seconds.get(name, 0.0),
                identity=_identity(state),
                note="" if state.state is State.FRESH else state.how_far,
            ).scored(found.scores.get(name))
            for name, state in found.states.items()
            if name in models
        ]

    def cut_off(self) -> list[Run]:
        """The same of a run that ended before its time: what became of its models is told by the next."""
        return [
            Run("train-base", "base model", name, ended="stopped", seconds=seconds)
            for name, seconds in self.seconds.items()
        ]

    def _is_left(self, model: str) -> bool:
        return any(job.startswith(f"{model} ") for job in self.left)

    @property
    def failed(self) -> JobsFailedError | None:
        return JobsFailedError("\n".join(map(str, self.failures))) if self.failures else None

    def ready_now(self, competition: Competition, wave: Sequence[Recipe], folds: Sequence[int]) -> list[str]:
        """Names of the recipes of a wave; without students whose teachers failed, or that there was no time for."""
        if not (self.failures or self.left):  # what else a teacher lacks, `find_work` refuses by name
            return [recipe.name for recipe in wave]
        with locked(self.workspace, self.say):
            planned = with_plan(competition)
            chosen = folds or range(planned.plan.k)
            lacking = {recipe.name: untaught(planned, recipe, chosen) for recipe in wave}
        for student, teachers in lacking.items():
            if teachers:
                self.say(f"{student} is left for now: its teacher {teachers[0]} is not trained")
        return [student for student, teachers in lacking.items() if not teachers]

    def train_all(self, wanted: Callable[..., Work], force: bool) -> None:
        """Train what no other command is at, then wait for the others: what they leave undone is done here."""
        tried: set[str] = set()
        while True:
            with contextlib.ExitStack() as claims:
                with locked(self.workspace, self.say):
                    work = wanted(force=force and not tried)
                    jobs = [job for job in work.jobs if job.name not in tried]
                    mine, others = claim(self.workspace, jobs, claims)
                for notice in work.notices if mine or not tried else ():
                    self.say(notice)
                if mine:
                    self.say(f"{len(mine)} jobs, {self.crew.at_once} at once, {self.crew.threads} threads each")
                self._train(replace(work, jobs=mine))
            tried |= {job.name for job in mine}
            if not others:
                return
            if not self._waited_for(others[0]):
                self.left += [job.name for job in others]
                return

    def _train(self, work: Work) -> None:
        for name, state in work.states.items():
            self.before.setdefault(name, state.state)
        with self.watch(work, self.crew.at_once) as on_event:

            def seen(event: Event) -> None:
                self.left.extend([event.job.name] if isinstance(event, Left) else [])
                model = event.job.payload["model"]
                if isinstance(event, Finished) and "identity" in event.job.payload:  # else it checked what was trained
                    self.seconds[model] = self.seconds.get(model, 0.0) + event.seconds
                elif isinstance(event, Failed):
                    self.unsuccessful.add(model)
                on_event(event)

            try:
                train(work, self._executor(work), seen, self.ends)
            except JobsFailedError as error:  # what was trained is shown all the same
                self.failures.append(error)

    def _executor(self, work: Work) -> Executor:
        crew = self.crew
        return (
            crew.executor
            if crew.cluster is None
            else on_cluster(crew.cluster, work, crew.executor, crew.at_once, crew.gpus)
        )

    def _waited_for(self, job: Job) -> bool:
        """Whether another command has let go of the job's fold, in time."""
        self.say(f"another compete command is training {job.name}: waiting until it has ended (Ctrl-C gives up)")
        seconds = -1.0 if self.ends is None else max(0.0, self.ends - time.monotonic())
        with fold_claimed(self.workspace, job.payload["model"], job.payload["fold"], wait=seconds) as is_free:
            return is_free
