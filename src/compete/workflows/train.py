"""Train base models under the shared fold plan: out-of-fold and test probabilities."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from compete.competition.workspace import Workspace
from compete.errors import JobsFailedError
from compete.execution.jobs import Event
from compete.oof.work import Work, choose_recipes, find_work, train
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
    say: Say = silent,
    watch: Watch = unwatched,
) -> Trained:
    """Train what is missing or stale of the named recipes, or for no names of all (`oof.work.find_work`).

    workers: jobs at once, 0 for this process; threads: of one job. parity: what was trained is read again, and has to
    give the same probabilities.
    """
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
        failed: JobsFailedError | None = None
        with watch(work, crew.at_once) as on_event:
            try:
                train(work, crew.executor, on_event)
            except JobsFailedError as error:  # what was trained is shown all the same
                failed = error
        return Trained(status(workspace, [recipe.name for recipe in recipes]), failed)
