"""The process that jobs are forked from: what it imports is there in every job, and nothing else is different."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from compete.execution.jobs import Failed, Finished, Job
from compete.execution.local import LocalExecutor
from compete.execution.processes import Forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux alone")

TARGETS = """
import json, os, signal, sys
from pathlib import Path


def tell(payload, report):
    import heavy

    content = {"process": os.getpid(), "imported": heavy.IMPORTED_IN, "hash": hash("compete"), "numbers": sys.argv}
    Path(payload["file"]).write_text(json.dumps(content))


def end_the_parent(payload, report):
    os.kill(os.getppid(), signal.SIGKILL)
    while True:
        pass


def gpu(payload, report):
    import torch

    gpu = {"bad": torch.cuda._is_in_bad_fork(), "open": torch.cuda.is_initialized()}
    total = float(torch.ones(2000, 2000).matmul(torch.ones(2000, 1)).sum())
    Path(payload["file"]).write_text(json.dumps({**gpu, "threads": torch.get_num_threads(), "sum": total}))
"""


@pytest.fixture(autouse=True)
def _targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "warm_targets.py").write_text(TARGETS, encoding="utf-8")
    (tmp_path / "heavy.py").write_text("import os\nIMPORTED_IN = os.getpid()\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def told(folder: Path, imports: tuple[str, ...], target: str = "tell", jobs: int = 3) -> list[dict[str, object]]:
    files = [folder / f"{number}.json" for number in range(jobs)]
    made = [
        Job(f"job {file.stem}", f"warm_targets:{target}", {"file": str(file)}, folder / f"{file.stem}.log", imports)
        for file in files
    ]
    events = list(LocalExecutor(2, 2).run(made))
    assert [event for event in events if isinstance(event, Failed)] == []
    return [json.loads(file.read_text()) for file in files]


def test_what_jobs_need_is_imported_once(tmp_path: Path) -> None:
    found = told(tmp_path, ("heavy",))
    assert len({each["process"] for each in found}) == 3
    assert len({each["imported"] for each in found}) == 1
    assert all(each["imported"] != each["process"] for each in found)
    assert len({each["hash"] for each in found}) == 1  # of the fixed seed


def test_what_no_job_names_each_imports_for_itself(tmp_path: Path) -> None:
    assert all(each["imported"] == each["process"] for each in told(tmp_path, ()))


def test_what_cannot_be_imported_ahead_fails_nothing_by_itself(tmp_path: Path) -> None:
    assert len(told(tmp_path, ("no_such_module_x", "heavy"))) == 3


def test_torch_imported_ahead_computes_with_its_threads_and_has_opened_no_gpu(tmp_path: Path) -> None:
    for each in told(tmp_path, ("torch",), "gpu", jobs=2):
        assert each == {"bad": False, "open": False, "threads": 2, "sum": 4e6}


def test_jobs_whose_warm_process_dies_fail_and_are_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [Job("one", "warm_targets:end_the_parent", {}, log), Job("two", "warm_targets:tell", {"file": "x"}, log)]
    events = list(LocalExecutor(1, 1).run(jobs))
    assert [event.job.name for event in events if isinstance(event, Failed)] == ["one", "two"]
    assert not any(isinstance(event, Finished) for event in events)


def test_closing_twice_is_no_mistake() -> None:
    forked = Forked(os.environ)
    forked.close()
    forked.close()


def test_nobody_waits_for_an_import_when_all_is_stopped(tmp_path: Path) -> None:
    imported = tmp_path / "imported"
    slow = f"import pathlib, time\ntime.sleep(120)\npathlib.Path({str(imported)!r}).touch()\n"
    (tmp_path / "endless.py").write_text(slow, encoding="utf-8")
    jobs = [Job(name, "warm_targets:tell", {"file": "x"}, tmp_path / "log", ("endless",)) for name in ("a", "b", "c")]
    events = LocalExecutor(2, 1).run(jobs)
    next(events)
    events.close()
    assert not imported.exists(), "it was waited for"
