"""Processes of jobs, forked or started anew: none outlives what it was started for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compete.execution.jobs import Failed, Started
from compete.execution.local import LocalExecutor
from support.jobs import MakeJob, is_still, run, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("either_way")]

PARENT = """
import sys
from pathlib import Path
from compete.execution.jobs import Job
from compete.execution.local import LocalExecutor, gpu_ids

folder = Path(sys.argv[1])
job = Job("beat", "local_targets:beat", {"file": str(folder / "heart")}, folder / "beat.log")
list(LocalExecutor(workers=1, threads=1).run([job]))
"""


def test_closing_kills_what_runs_and_starts_nothing_more(tmp_path: Path, job: MakeJob) -> None:
    heart, never = tmp_path / "heart", tmp_path / "never"
    events = LocalExecutor(1, 1).run([job("beat", file=str(heart)), job("write", file=str(never), content="x")])
    assert isinstance(next(events), Started)
    wait_until(heart.exists)
    events.close()
    assert is_still(heart)
    assert heart.stat().st_size < 1000, "it was waited for"
    assert not never.exists()


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, job: MakeJob) -> None:
    heart = tmp_path / "heart"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        try:
            wait_until(heart.exists)
            assert not is_still(heart)
        finally:
            parent.send_signal(signal.SIGKILL)
    wait_until(lambda: is_still(heart), seconds=10)
    assert heart.stat().st_size < 1000, "it was left to its end"


@pytest.mark.parametrize("attempt", range(4))
def test_closing_while_another_job_is_starting_ends_that_too(tmp_path: Path, job: MakeJob, attempt: int) -> None:
    hearts = [tmp_path / name for name in ("a", "b")]
    events = LocalExecutor(2, 1).run([job("beat", heart.name, file=str(heart)) for heart in hearts])
    next(events)
    events.close()
    for heart in hearts:
        assert not heart.exists() or (is_still(heart) and heart.stat().st_size < 1000)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_dead_job_forked_is_ended_with_it(tmp_path: Path, job: MakeJob) -> None:
    heart = tmp_path / "heart"
    events = run([job("leave_a_worker_behind", file=str(heart))])
    assert [type(event) for event in events] == [Started, Failed]
    assert is_still(heart)
    assert heart.stat().st_size < 1000, "it was waited for"


def test_closing_leaves_no_process(tmp_path: Path, job: MakeJob) -> None:
    file = tmp_path / "ids.json"
    run([job("ids", file=str(file))])
    parent = json.loads(file.read_text())["parent"]
    assert parent == os.getpid() or not _is_alive(parent)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
