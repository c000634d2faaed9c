"""What can be told of Ray without Ray; a real cluster is in tests/journeys/test_ray.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compete.competition.workspace import Workspace
from compete.errors import ClusterError
from compete.execution.jobs import Failed, Finished, Job, Resources
from compete.execution.ray_executor import Cluster, Node, RayExecutor, _was_lost
from support.in_process import in_process

JOB = Job("words fold 0", "module:function", {}, Path("log"))


def executor(*nodes: Resources, gpus: int | None = None) -> RayExecutor:
    class Ray:
        @staticmethod
        def available_resources() -> dict[str, float]:
            return {"CPU": 2.0, "node:10.0.0.1": 1.0}

    found = tuple(Node(str(number), f"10.0.0.{number}", each) for number, each in enumerate(nodes, start=1))
    unused: Any = None
    return RayExecutor(Cluster(Ray, "10.0.0.1:6379", found), unused, unused, "", "", 1, gpus)


def job(needs: Resources, *, all_gpus: bool = False) -> Job:
    return Job("words fold 0", "module:function", {}, Path("log"), needs=needs, all_gpus=all_gpus)


@pytest.mark.slow
def test_nothing_of_ray_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, compete, compete.opened, compete.workflows.train; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ray_that_is_not_installed_is_said(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = in_process(workspace.root, monkeypatch, capsys)("train-base", "--all", "--on", "ray")
    assert ran.code == 2 and "pip install 'compete[ray]'" in ran.stderr
    ran = in_process(workspace.root, monkeypatch, capsys)("train-base", "--all", "--on", "rey")
    assert ran.code == 2 and "--on rey: did you mean 'ray'?" in ran.stderr


@pytest.mark.parametrize(
    ("needs", "fits"),
    [
        (Resources(0, 4, 0), True),
        (Resources(1, 2, 10**9), True),
        (Resources(2, 1, 0), False),
        (Resources(0, 5, 0), False),
        (Resources(1, 4, 0), False),  # one node has the cores, the other the GPU
        (Resources(0, 1, 10**11), False),
    ],
)
def test_a_job_has_to_fit_on_a_single_node(needs: Resources, fits: bool) -> None:
    cluster = executor(Resources(0, 4, 10**10), Resources(1, 2, 10**10))
    if fits:
        cluster._refuse_too_large(job(needs), needs)
        return
    with pytest.raises(ClusterError, match=r"words fold 0 needs .* 10\.0\.0\.1 \(4 CPUs, 0 GPUs"):
        cluster._refuse_too_large(job(needs), needs)


def test_memory_is_asked_for_as_far_as_there_is_any() -> None:
    nodes = (Resources(0, 4, 10**9), Resources(0, 4, 2 * 10**9))
    assert executor(*nodes)._needs(job(Resources(0, 1, 8 * 10**9))).memory == 2 * 10**9
    assert executor(*nodes)._needs(job(Resources(0, 1, 10**8))).memory == 10**8


def test_gpus_are_those_that_a_job_needs_unless_somebody_says_otherwise() -> None:
    nodes = (Resources(4, 8, 10), Resources(1, 8, 10))
    assert executor(*nodes)._needs(job(Resources(1, 2, 5))) == Resources(1, 2, 5)
    assert executor(*nodes, gpus=0)._needs(job(Resources(1, 2, 5))) == Resources(0, 2, 5)
    assert executor(*nodes)._needs(job(Resources(1, 2, 5), all_gpus=True)) == Resources(4, 2, 5)
    assert executor(Resources(0, 8, 10))._needs(job(Resources(1, 2, 5), all_gpus=True)).gpus == 1


def test_what_is_done_again_is_what_a_machine_did_and_not_the_user() -> None:
    lost = [Failed(JOB, error, "") for error in ("NodeLost", "NodeDiskFull", "ProcessDied", "SIGKILL", "SIGSEGV")]
    own = [Failed(JOB, error, "") for error in ("UserError", "ValueError", "ParityError", "FamilyError")]
    assert all(_was_lost(each) for each in lost)
    assert not any(_was_lost(each) for each in own)
    assert not _was_lost(Finished(JOB, 1.0))


def test_a_cluster_does_as_many_at_once_as_its_nodes_have_cores_for() -> None:
    assert executor(Resources(0, 4, 0), Resources(0, 3, 0)).cluster.at_once(2) == 3
    assert executor(Resources(0, 1, 0)).cluster.at_once(2) == 1
