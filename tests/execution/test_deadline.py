"""A run that has to end in time: what it starts, what it stops, and what it says of the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compete.execution.deadline import Deadline
from compete.execution.executor import Executor
from compete.execution.inline import InlineExecutor
from compete.execution.jobs import Finished, Job, Left, Started
from compete.execution.local import LocalExecutor
from support.jobs import MakeJob, names

pytestmark = pytest.mark.slow


def deadline(seconds: float, expected: Callable[[Job], float | None] = lambda job: None) -> Deadline:
    return Deadline(time.monotonic() + seconds, expected)


@pytest.mark.parametrize("executor", [LocalExecutor(2, 1), InlineExecutor()], ids=["processes", "here"])
def test_no_job_is_started_that_will_not_end_in_time(
    executor: Executor, tmp_path: Path, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))  # where the targets lie
    files = {name: tmp_path / name for name in ("short", "long", "unknown")}
    jobs = [job("write", name, file=str(path), content="x") for name, path in files.items()]
    known = {"short": 20.0, "long": 100.0}
    events = list(executor.run(jobs, deadline(60, lambda job: known.get(job.name))))
    assert sorted(names(events, Finished)) == ["short", "unknown"]
    assert names(events, Left) == ["long"]
    assert not files["long"].exists()


def test_a_fold_is_allowed_a_tenth_more_than_those_before_it() -> None:
    job = Job("a", "b:c", {}, Path("log"))
    assert Deadline(111, lambda job: 100, clock=lambda: 0).leaves_time_for(job)
    assert not Deadline(109, lambda job: 100, clock=lambda: 0).leaves_time_for(job)
    assert Deadline(1, lambda job: None, clock=lambda: 0).leaves_time_for(job)
    assert not Deadline(1, lambda job: None, clock=lambda: 1).leaves_time_for(job)


def test_what_still_runs_then_is_stopped_and_left(tmp_path: Path, job: MakeJob) -> None:
    beats = tmp_path / "beats"
    jobs = [job("beat", "long", file=str(beats)), job("write", "next", file=str(tmp_path / "next"), content="x")]
    start = time.monotonic()
    events = list(LocalExecutor(1, 1).run(jobs, deadline(2)))
    assert time.monotonic() - start < 30  # `beat` would go on for longer
    assert names(events, Started) == ["long"]
    assert sorted(names(events, Left)) == ["long", "next"]
    seen = beats.stat().st_size
    time.sleep(0.3)
    assert beats.stat().st_size == seen, "it goes on"
