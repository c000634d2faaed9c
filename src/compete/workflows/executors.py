"""Who does the jobs: processes on this machine, as many as it can take, or this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compete.base_models.recipes import Recipe
from compete.errors import UserError
from compete.execution.executor import Executor
from compete.execution.inline import InlineExecutor
from compete.execution.local import LocalExecutor, gpu_ids, usable_cores
from compete.oof.work import default_workers


@dataclass(frozen=True)
class Crew:
    """An executor, and what it was told."""

    executor: Executor
    at_once: int
    threads: int
    """Of one job."""


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
