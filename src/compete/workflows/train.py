"""Train base models under the shared fold plan: out-of-fold and test probabilities."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from compete.competition.workspace import Workspace
from compete.errors import JobsFailedError, UserError
from compete.execution.jobs import Event, Left
from compete.oof.work import Work, choose_recipes, find_work, train
from compete.times import seconds_of
from compete.workflows.executors import crew_for
from compete.workflows.session import Say, exclusively, load, silent
from compete.workflows.status import Status, status

Watch = Callable[[Work, int], AbstractContextManager[Callable[[Event], None]]]
"""Given the work and how many jobs run at once, shows the events that it is then called with."""


@dataclass(frozen=True)
class Trained:
    """What a call of train-base left."""

    status: Status
    """Of the models it was to train."""
    failed: JobsFailedError | None
    """What became of the jobs that failed; what the others made is kept."""
    left: Sequence[str] = ()
    """Names of the jobs that there was no time for."""


@contextlib.contextmanager
def unwatched(work: Work, at_once: int) -> Iterator[Callable[[Event], None]]:
    """Shows nothing."""
    yield lambda event: None


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
    say: Say = silent,
    watch: Watch = unwatched,
) -> Trained:
    """Train what is missing or stale of the named recipes, or for no names of all (`oof.work.find_work`).

    workers: jobs at once, 0 for this process; threads: of one job. parity: what was trained is read again, and has to
    give the same probabilities. stop_after: as "11h"; default: what competition.toml says.
    """
    began = time.monotonic()
    asked = None if stop_after is None else _asked_seconds(stop_after)
    with exclusively(workspace, say):
        competition = load(workspace, say)
        recipes = choose_recipes(competition, names, as_published=as_published)
        crew = crew_for(recipes, workers, threads)
        work = find_work(
            competition,
            recipes,
            folds,
            force=force,
            replace_stale=replace_stale,
            threads=crew.threads,
            parity=parity,
        )
        for notice in work.notices:
            say(notice)
        if work.jobs:
            say(f"{len(work.jobs)} jobs, {crew.at_once} at once, {crew.threads} threads each")
        declared = competition.declaration.training.stop_after
        seconds = asked if asked is not None or declared is None else seconds_of(declared)
        ends = None if seconds is None else began + seconds
        failed: JobsFailedError | None = None
        left: list[str] = []
        with watch(work, crew.at_once) as on_event:

            def seen(event: Event) -> None:
                left.extend([event.job.name] if isinstance(event, Left) else [])
                on_event(event)

            try:
                train(work, crew.executor, seen, ends)
            except JobsFailedError as error:  # what was trained is shown all the same
                failed = error
        if left:
            say(f"{_left_text(left)}; the same command goes on with them")
        return Trained(status(workspace, [recipe.name for recipe in recipes]), failed, left)


def _asked_seconds(stop_after: str) -> float:
    try:
        return seconds_of(stop_after)
    except ValueError as error:
        raise UserError(f"stop_after: {error}") from None


def _left_text(left: Sequence[str]) -> str:
    jobs = f"{len(left)} job{'s' * (len(left) > 1)}"
    return f"stopped in time, as asked: {jobs} left ({', '.join(left[:5])}{', ...' * (len(left) > 5)})"
