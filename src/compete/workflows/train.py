"""Train base models under the shared fold plan: out-of-fold and test probabilities."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from compete.competition.workspace import Workspace
from compete.errors import JobsFailedError
from compete.oof.lock import claim, fold_claimed
from compete.oof.work import Work, choose_recipes, find_work, train
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
    on: str | None = None,
    address: str | None = None,
    say: Say = silent,
    watch: Watch = unwatched,
) -> Trained:
    """Train what is missing or stale of the named recipes, or for no names of all (`oof.work.find_work`).

    workers: jobs at once, 0 for this process; threads: of one job. parity: what was trained is read again, and has to
    give the same probabilities. Folds that another command is training are waited for. on, address: in place
    of what [execution] in competition.toml says: "local", or "ray" and where the cluster is.
    """
    with stopping_said(say), contextlib.ExitStack() as open_:
        with locked(workspace, say):
            competition = load(workspace, say)
            recipes = choose_recipes(competition, names, as_published=as_published)
        execution = competition.declaration.execution.model_copy(update=_said(on=on, address=address))
        crew = open_.enter_context(crew_on(execution, recipes, workers, threads, say))
        wanted = partial(find_work, competition, recipes, folds, replace_stale=replace_stale, parity=parity)
        failed = _train_all(workspace, partial(wanted, threads=crew.threads), force, crew, say, watch)
        with locked(workspace, say):  # it writes scores down
            return Trained(status(workspace, [recipe.name for recipe in recipes]), failed)


def _said(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}


def _train_all(
    workspace: Workspace, wanted: Callable[..., Work], force: bool, crew: Crew, say: Say, watch: Watch
) -> JobsFailedError | None:
    """Train what no other command is at, then wait for the others: what they leave undone is done here."""
    failures, tried = list[JobsFailedError](), set[str]()
    while True:
        with contextlib.ExitStack() as claims:
            with locked(workspace, say):
                work = wanted(force=force and not tried)
                jobs = [job for job in work.jobs if job.name not in tried]
                mine, others = claim(workspace, jobs, claims)
            for notice in work.notices if mine else ():
                say(notice)
            if mine:
                say(f"{len(mine)} jobs, {crew.at_once} at once, {crew.threads} threads each")
            failures += _train(replace(work, jobs=mine), crew, watch)
        tried |= {job.name for job in mine}
        if not others:
            break
        say(f"another compete command is training {others[0].name}: waiting until it has ended (Ctrl-C gives up)")
        with fold_claimed(workspace, others[0].payload["model"], others[0].payload["fold"], wait=True):
            pass
    return JobsFailedError("\n".join(map(str, failures))) if failures else None


def _train(work: Work, crew: Crew, watch: Watch) -> list[JobsFailedError]:
    executor = crew.executor
    if crew.cluster is not None:
        executor = on_cluster(crew.cluster, work, crew.executor, crew.at_once, crew.gpus)
    with watch(work, crew.at_once) as on_event:
        try:
            train(work, executor, on_event)
        except JobsFailedError as error:  # what was trained is shown all the same
            return [error]
    return []
