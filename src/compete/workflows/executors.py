"""Who does the jobs: processes on this machine, as many as it can take, this process, or a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compete.base_models.recipes import Recipe
from compete.competition.declaration import Execution
from compete.declarations import unknown_name
from compete.errors import UserError
from compete.execution.executor import Executor
from compete.execution.inline import InlineExecutor
from compete.execution.local import LocalExecutor, gpu_ids, usable_cores
from compete.execution.ray_executor import Cluster, connected
from compete.oof.work import default_workers
from compete.workflows.session import Say, silent


@dataclass(frozen=True)
class Crew:
    """An executor, and what it was told."""

    executor: Executor
    at_once: int
    threads: int
    """Of one job."""
    cluster: Cluster | None = None
    """What trains in place of `executor`, which then checks what is kept here."""
    gpus: int | None = None
    """Of one job on a cluster, in place of what it says it needs."""


def crew_for(recipes: Sequence[Recipe], workers: int | None, threads: int | None = None) -> Crew:
    """workers: jobs at once, 0 for this process; None: one per GPU, else as many as cores and memory take.

    Raises UserError for less than that.
    """
    if workers is not None and workers < 0:
        raise UserError(f"workers = {workers}: it is 0 (in this process) or more")
    if threads is not None and threads < 1:
        raise UserError(f"threads = {threads}: it is 1 or more")
    gpus = gpu_ids()
    at_once = default_workers(recipes, gpus) if workers is None else workers
    threads = threads or max(1, usable_cores() // max(at_once, 1))
    executor = LocalExecutor(at_once, threads, gpus) if at_once else InlineExecutor()
    return Crew(executor, max(at_once, 1), threads)


@contextlib.contextmanager
def crew_on(
    execution: Execution, recipes: Sequence[Recipe], workers: int | None, threads: int | None, say: Say = silent
) -> Iterator[Crew]:
    """The crew that [execution] means; a cluster is let go of at the end. Raises UserError if it means none."""
    if execution.on == "local":
        yield crew_for(recipes, workers, threads)
        return
    if execution.on != "ray":
        raise UserError(f"--on {execution.on}: {unknown_name(execution.on, ['local', 'ray'])}")
    if workers == 0:
        raise UserError("--workers 0 is in this process, and not on a cluster: leave it out")
    here = crew_for(recipes, None, threads)  # as many threads as here, or the bytes would be others
    with connected(execution.address, "compete.oof.job:versions") as (cluster, differences):
        for sentence in differences:
            say(sentence)
        say(f"on {len(cluster.nodes)} nodes of the Ray cluster: {', '.join(map(str, cluster.nodes))}")
        at_once = cluster.at_once(here.threads) if workers is None else workers
        yield replace(here, at_once=at_once, cluster=cluster, gpus=execution.gpus)
