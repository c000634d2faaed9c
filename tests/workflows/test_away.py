"""What travels to a cluster and back, without one (tests/journeys/test_ray.py has one)."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.execution.jobs import Failed, Job
from compete.execution.ray_executor import Cluster
from compete.oof.lock import claim
from compete.oof.work import Work, choose_recipes, find_work
from compete.workflows.away import Away, on_cluster, run_packed
from support.one_model import edit, state_of

pytestmark = pytest.mark.slow


@pytest.fixture
def work(workspace: Workspace) -> Work:
    competition = load_competition(workspace)
    return find_work(competition, choose_recipes(competition, ["words"]), [0], threads=1)


def away(work: Work) -> Away:
    none: Any = None
    return on_cluster(Cluster(none, "", ()), work, InlineExecutor(), 1, None)


def do(work: Work, job: Job) -> tuple[str, str, bytes]:
    told: list[tuple[float, str]] = []
    outcome = run_packed(
        away(work).cluster.pack(job),
        str(work.planned.workspace.root),
        lambda fraction, doing="": told.append((fraction, doing)),
    )
    assert outcome[0] or told == [(1.0, "")]
    return outcome


def test_a_job_goes_out_and_its_result_comes_in(work: Work) -> None:
    [job] = work.jobs
    error, message, content = do(work, job)
    assert (error, message) == ("", "")
    assert away(work).cluster.store(job, content) is None
    assert state_of(work.planned.competition).folds_done == 1
    # The command that sent it holds the fold's lock, and may have been told to train again what is there.
    with contextlib.ExitStack() as held:
        claim(work.planned.workspace, work.jobs, held)
        assert away(work).cluster.store(job, content) is None


def test_a_job_that_fails_there_is_a_failure_here_with_its_log(work: Work) -> None:
    [job] = work.jobs
    edit(work.planned.workspace.root / "families.py", "        time.sleep(self.settings.seconds)\n", "        1 / 0\n")
    competition = load_competition(work.planned.workspace)
    broken = find_work(competition, choose_recipes(competition, ["words"]), [0], threads=1)
    _, _, content = do(broken, broken.jobs[0])
    failed = away(broken).cluster.store(broken.jobs[0], content)
    assert failed == Failed(broken.jobs[0], "ZeroDivisionError", "division by zero")
    assert "division by zero" in job.log.read_text(encoding="utf-8")


def test_a_disk_that_fills_on_a_node_is_said(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def full(descriptor: int) -> None:
        if "packed.result" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("names open files through /proc")
    monkeypatch.setattr(os, "fsync", full)
    error, message, content = do(work, work.jobs[0])
    assert (error, content) == ("DiskFullError", b"")
    assert "no space left on the disk" in message
