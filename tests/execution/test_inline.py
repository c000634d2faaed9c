from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compete.execution.inline import InlineExecutor
from compete.execution.jobs import Event, Failed, Finished, Job, Started

calls: list[tuple[int, Any]] = []


def note(payload: dict[str, Any], report: Callable[[float], None]) -> None:
    report(0.5)
    calls.append((os.getpid(), payload["number"]))


def fail(payload: dict[str, Any], report: Callable[[float], None]) -> None:
    raise ValueError("fold 3 has no rows")


def interrupt(payload: dict[str, Any], report: Callable[[float], None]) -> None:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _no_calls_yet() -> None:
    calls.clear()


def make(folder: Path, target: str, number: int = 0) -> Job:
    return Job(f"{target} {number}", f"{__name__}:{target}", {"number": number}, folder / "logs" / f"{target}.log")


def kinds(events: list[Event]) -> list[tuple[type[Event], str]]:
    return [(type(event), event.job.name) for event in events]


def test_every_job_runs_once_here_in_the_order_given(tmp_path: Path) -> None:
    events = list(InlineExecutor().run([make(tmp_path, "note", number) for number in (2, 1)]))
    assert calls == [(os.getpid(), 2), (os.getpid(), 1)]
    assert kinds(events) == [(Started, "note 2"), (Finished, "note 2"), (Started, "note 1"), (Finished, "note 1")]


def test_a_failing_job_fails_alone_and_leaves_its_traceback_in_the_log(tmp_path: Path) -> None:
    jobs = [make(tmp_path, "note", 1), make(tmp_path, "fail"), make(tmp_path, "note", 2)]
    events = list(InlineExecutor().run(jobs))
    [failed] = [event for event in events if isinstance(event, Failed)]
    assert (failed.job, failed.error, failed.message) == (jobs[1], "ValueError", "fold 3 has no rows")
    assert [number for _, number in calls] == [1, 2]
    assert "in fail" in jobs[1].log.read_text(encoding="utf-8")
    assert [name for kind, name in kinds(events) if kind is Finished] == ["note 1", "note 2"]


@pytest.mark.parametrize(
    ("target", "error"), [("no_such_module_x:f", "ModuleNotFoundError"), (f"{__name__}:nothing", "AttributeError")]
)
def test_a_target_that_is_not_there_is_a_failed_job(tmp_path: Path, target: str, error: str) -> None:
    job = Job("lost", target, {}, tmp_path / "lost.log")
    _, failed = InlineExecutor().run([job])
    assert isinstance(failed, Failed)
    assert failed.error == error


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    events = InlineExecutor().run([make(tmp_path, "interrupt"), make(tmp_path, "note")])
    with pytest.raises(KeyboardInterrupt):
        list(events)
    assert calls == []


def test_closing_starts_nothing_more(tmp_path: Path) -> None:
    events = InlineExecutor().run([make(tmp_path, "note", 1), make(tmp_path, "note", 2)])
    assert isinstance(next(events), Started)
    events.close()
    assert calls == []


def test_an_executor_may_be_used_again(tmp_path: Path) -> None:
    executor = InlineExecutor()
    for _ in range(2):
        assert [type(event) for event in executor.run([make(tmp_path, "note")])] == [Started, Finished]
