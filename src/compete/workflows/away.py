"""Training on a cluster: jobs go there as archives, and their results come back as archives."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compete import atomic
from compete.errors import CompeteError
from compete.execution.deadline import Deadline
from compete.execution.executor import Executor
from compete.execution.jobs import Event, Failed, Job, Progressed
from compete.execution.ray_executor import Cluster, RayExecutor
from compete.oof.job_archives import JOB, pack_job
from compete.oof.job_results import RESULT, bring_in, open_result
from compete.oof.work import Work
from compete.progress import Report
from compete.workflows.jobs import run_job


@dataclass(frozen=True)
class Away:
    """Trains on a cluster; what needs files of this machine, as a check of a kept model does, is done here."""

    cluster: RayExecutor
    here: Executor

    def run(self, jobs: Sequence[Job], deadline: Deadline | None = None) -> Generator[Event, None, None]:
        packable = [job for job in jobs if "identity" in job.payload]
        checks = [job for job in jobs if "identity" not in job.payload]
        for executor, mine in ((self.here, checks), (self.cluster, packable)):
            if mine:
                yield from executor.run(mine, deadline)


def on_cluster(cluster: Cluster, work: Work, here: Executor, at_once: int, gpus: int | None) -> Away:
    """Trains the jobs of `work` on a cluster; gpus: of every job, in place of what it says it needs."""
    recipes = {recipe.name: recipe for recipe in work.recipes}

    def pack(job: Job) -> bytes:
        with atomic.scratch_folder() as folder:
            path = folder / f"packed{JOB}"
            pack_job(work.planned, recipes[job.payload["model"]], job, path)
            return path.read_bytes()

    def store(job: Job, content: bytes) -> Failed | None:
        with atomic.scratch_folder() as folder:
            path = folder / f"came{RESULT}"
            path.write_bytes(content)
            result = open_result(path)
            bring_in(work.planned, result, claimed=True)
            failed = result.manifest["failed"]
            return None if failed is None else Failed(job, failed["error"], failed["message"])

    root = str(work.planned.workspace.root)
    executor = RayExecutor(cluster, pack, store, "compete.workflows.away:run_packed", root, at_once, gpus)
    return Away(executor, here)


def run_packed(packed: bytes, here: str, report: Report) -> tuple[str, str, bytes]:
    """On a node: do a job; the class name and message of an error, and the result where there is one.

    here: the workspace on the machine that sent it, where a local checkpoint lies if the nodes share its disk.
    """
    folder_of_checkpoints = Path(here) if Path(here).is_dir() else Path.home()
    with atomic.scratch_folder() as folder:
        path, error = folder / f"packed{JOB}", ("", "")
        path.write_bytes(packed)
        try:
            run_job(path, here=folder_of_checkpoints, watch=_telling(report))
        except CompeteError as raised:
            error = (type(raised).__name__, str(raised))
        result = path.with_suffix(RESULT)
        return *error, result.read_bytes() if result.is_file() else b""


def _telling(report: Report) -> Callable[[Work, int], contextlib.AbstractContextManager[Callable[[Event], None]]]:
    @contextlib.contextmanager
    def watch(work: Work, at_once: int) -> Iterator[Callable[[Event], None]]:
        yield lambda event: report(event.fraction, event.doing) if isinstance(event, Progressed) else None

    return watch
