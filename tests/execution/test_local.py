from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from compete.execution.jobs import Failed, Finished, Job, Progressed, Started
from compete.execution.local import LocalExecutor, gpu_ids
from support.jobs import MakeJob, names, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("either_way")]


def test_every_job_runs_once_and_gets_its_payload(tmp_path: Path, job: MakeJob) -> None:
    jobs = [job("write", f"job {n}", file=str(tmp_path / str(n)), content=f'"{n}é\n') for n in range(5)]
    events = run(jobs)
    assert run([]) == []
    assert [(tmp_path / str(n)).read_text(encoding="utf-8") for n in range(5)] == [f'"{n}é\n' for n in range(5)]
    for kind in (Started, Finished):
        assert sorted(names(events, kind)) == [j.name for j in jobs]
    assert len(events) == 10
    assert all(event.seconds > 0 for event in events if isinstance(event, Finished))


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("raise_error", "ValueError", "fold 3 has no rows"),
        ("leave", "ProcessDied", "exit code 3"),
        ("leave_politely", "ProcessDied", "exit code 1"),
        ("be_killed", "SIGKILL", "out of memory"),
        ("no_such_function", "AttributeError", "no_such_function"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_job_fails_alone(
    tmp_path: Path, job: MakeJob, workers: int, target: str, error: str, message: str
) -> None:
    file = str(tmp_path / "done")
    jobs = [job("write", "first", file=file, content="1"), job(target), job("write", "last", file=file, content="2")]
    events = run(jobs, workers)
    [failed] = [event for event in events if isinstance(event, Failed)]
    assert (failed.job.name, failed.error) == (target, error)
    assert message in failed.message
    assert sorted(names(events, Finished)) == ["first", "last"]
    assert sorted(Path(file).read_text()) == ["1", "2"]


def test_a_traceback_goes_to_the_log(job: MakeJob) -> None:
    failing = job("raise_error")
    run([failing])
    assert "in raise_error" in failing.log.read_text(encoding="utf-8")


def test_progress_arrives_in_order_between_start_and_end(job: MakeJob) -> None:
    started, *progressed, finished = run([job("steps")])
    assert isinstance(started, Started)
    assert [event.fraction for event in progressed if isinstance(event, Progressed)] == [0.25, 0.5, 1.0]
    assert [event.doing for event in progressed if isinstance(event, Progressed)] == ["", "loss 0.31, é", ""]
    assert len(progressed) == 3
    assert isinstance(finished, Finished)


def test_what_a_job_prints_goes_to_its_log_and_nowhere_else(
    job: MakeJob, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUTF8", "1")
    talking = job("chatter")
    events = run([talking])
    assert names(events, Finished) == ["chatter"]
    assert capfd.readouterr() == ("", "")
    lines = talking.log.read_text(encoding="utf-8").splitlines()
    expected = ["printed: é", "an error", "from a child of the child", '{"finished": true}']
    assert sorted(lines) == sorted(expected)


def test_a_log_holds_the_last_run_only(job: MakeJob) -> None:
    talking = job("chatter")
    run([talking])
    once = talking.log.read_text(encoding="utf-8")
    run([talking])
    assert talking.log.read_text(encoding="utf-8") == once


def test_a_child_is_told_its_threads_and_a_fixed_hash_seed(
    tmp_path: Path, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv("PYTHONHASHSEED", "12")
    monkeypatch.setenv("SOMETHING_OF_THE_USER", "stays")
    run([job("environment", file=str(tmp_path / "environment.json"))], threads=3)
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "3"
    assert environment["PYTHONHASHSEED"] == "0"
    assert environment["SOMETHING_OF_THE_USER"] == "stays"


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_jobs_than_workers_at_once(tmp_path: Path, job: MakeJob, workers: int) -> None:
    files = [tmp_path / f"{number}.json" for number in range(4)]
    run([job("span", file.stem, file=str(file)) for file in files], workers)
    spans = [json.loads(file.read_text()) for file in files]
    at_once = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(at_once) <= workers


def test_two_workers_run_two_jobs_at_once(tmp_path: Path, job: MakeJob) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    events = run([job("meet", "a", mine=a, other=b), job("meet", "b", mine=b, other=a)])
    assert sorted(names(events, Finished)) == ["a", "b"]


def test_an_executor_may_be_used_again(tmp_path: Path, job: MakeJob) -> None:
    executor = LocalExecutor(1, 1)
    for _ in range(2):
        events = list(executor.run([job("write", file=str(tmp_path / "out"), content="x")]))
        assert [type(event) for event in events] == [Started, Finished]
    assert (tmp_path / "out").read_text(encoding="utf-8") == "xx"


def test_a_job_that_cannot_be_handed_over_fails(tmp_path: Path) -> None:
    unwritable = Job("a", "local_targets:write", {"file": tmp_path}, tmp_path / "log")  # a path is no JSON
    events = run([unwritable])
    assert [type(event) for event in events] == [Started, Failed]


def test_every_job_sees_one_gpu_of_its_own_and_a_spread_one_all(
    tmp_path: Path, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert gpu_ids() == ("3", "5")
    jobs = [job("tell_gpus", f"job {n}", file=str(tmp_path / str(n))) for n in range(4)]
    list(LocalExecutor(2, 1, gpu_ids()).run(jobs))
    assert sorted((tmp_path / str(n)).read_text(encoding="utf-8") for n in range(4)) == ["3", "3", "5", "5"]
    spread = job("tell_gpus", file=str(tmp_path / "spread"))
    list(LocalExecutor(1, 1, gpu_ids()).run([replace(spread, all_gpus=True)]))
    assert (tmp_path / "spread").read_text(encoding="utf-8") == "3,5"


@pytest.mark.parametrize("workers", [2, 3])
def test_a_job_on_all_gpus_has_them_to_itself_and_the_others_run_side_by_side(
    tmp_path: Path, job: MakeJob, workers: int
) -> None:
    files = {name: tmp_path / f"{name}.json" for name in ("a", "b", "spread", "c", "d")}
    jobs = [replace(job("span", n, file=str(f)), all_gpus=n == "spread") for n, f in files.items()]
    assert len(names(list(LocalExecutor(workers, 1, ("0", "1")).run(jobs)), Finished)) == 5
    spans = {name: json.loads(file.read_text()) for name, file in files.items()}
    start, end = spans.pop("spread")
    assert all(other_end <= start or end <= other_start for other_start, other_end in spans.values())
    pairs = [(spans[x], spans[y]) for x, y in (("a", "b"), ("c", "d"))]
    assert any(max(x[0], y[0]) < min(x[1], y[1]) for x, y in pairs), "one job after the other"


def test_who_waits_for_all_gpus_is_stopped_with_the_rest(tmp_path: Path, job: MakeJob) -> None:
    first = job("span", "first", file=str(tmp_path / "first.json"))
    waits = replace(job("span", "waits", file=str(tmp_path / "waits.json")), all_gpus=True)
    events = LocalExecutor(2, 1, ("0", "1")).run([first, waits])
    assert isinstance(next(events), Started)
    events.close()  # returns although a GPU was still taken
    assert not (tmp_path / "waits.json").exists()


@pytest.mark.parametrize("name", ["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"])
def test_a_child_lets_pieces_of_memory_grow_unless_the_user_says_otherwise(
    tmp_path: Path, job: MakeJob, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    told = tmp_path / "environment.json"
    for variable in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(variable, raising=False)
    run([job("environment", file=str(told))])
    assert json.loads(told.read_text())["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    monkeypatch.setenv(name, "max_split_size_mb:64")
    run([job("environment", file=str(told))])
    environment = json.loads(told.read_text())
    assert [environment.get(v) for v in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")] == [
        "max_split_size_mb:64" if v == name else None for v in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
    ]


@pytest.mark.parametrize(
    ("visible", "found"), [("", ()), ("-1", ()), ("0", ("0",)), ("GPU-8f3a, 1", ("GPU-8f3a", "1"))]
)
def test_gpus_that_are_hidden_are_not_used(
    visible: str, found: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_ids() == found


def test_the_drivers_command_tells_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpu_ids() == ("0", "1")
    command.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    assert gpu_ids() == ()


def test_what_comes_afterwards_has_a_process_of_its_own_and_the_same_log(tmp_path: Path, job: MakeJob) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    both = replace(job("ids", file=str(first)), afterwards=job("ids", "check", file=str(second)))
    events = run([both], workers=1)
    assert [(type(event), event.job.name) for event in events] == [(Started, "ids"), (Finished, "ids")]
    process, again = (json.loads(path.read_text()) for path in (first, second))
    assert process["process"] != again["process"]
    assert both.log.read_text(encoding="utf-8") == f"in {process['process']}\nin {again['process']}\n"


def test_what_fails_afterwards_fails_the_job_and_nothing_comes_after_a_failure(tmp_path: Path, job: MakeJob) -> None:
    file = tmp_path / "file"
    bad_check = replace(job("steps"), afterwards=job("raise_error"))
    bad_job = replace(job("raise_error", "bad"), afterwards=job("write", file=str(file), content="x"))
    events = run([bad_check, bad_job], workers=1)
    assert [(type(event), event.job.name) for event in events if not isinstance(event, Progressed)] == [
        (Started, "steps"),
        (Failed, "steps"),
        (Started, "bad"),
        (Failed, "bad"),
    ]
    assert not file.exists()
