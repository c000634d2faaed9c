"""Training on Kaggle: the notebook does its jobs, in time, and what it leaves comes home."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

import compete
from compete.code_competitions import journal as journal_module
from compete.code_competitions.training_notebook import INPUT, WORKING, write_training_notebook
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, KaggleError, UserError
from compete.submissions.kaggle.client import KaggleClient
from compete.workflows.jobs import run_job
from compete.workflows.kaggle_notebook import collect_from_kaggle, training_notebook
from conftest import build_workspace
from support.kaggle_client import lasting_client
from support.kaggle_service import Fault, KaggleService
from support.kaggle_toy import toy_competition

pytestmark = pytest.mark.slow
KAGGLE = '[submission]\ntarget = "kaggle"\nkaggle = "toy"\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = build_workspace(tmp_path / "ws")
    text = made.declaration.read_text(encoding="utf-8")
    made.declaration.write_text(text.replace('[submission]\nsolution = "solution.csv"\n', KAGGLE), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def service() -> Iterator[KaggleService]:
    with KaggleService([toy_competition(notebooks_only=True)]) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: KaggleService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KaggleClient]:
    with lasting_client(service, tmp_path_factory.mktemp("home")) as made:
        yield made


def cells(path: Path) -> list[str]:
    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def played(path: Path, inputs: Path, working: Path, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the notebook's cells leave, all but the one that installs; Kaggle's folders are these."""
    names = known if known is not None else {}
    for source in cells(path):
        if '"pip"' not in source:
            exec(source.replace(INPUT, str(inputs)).replace(WORKING, str(working)), names)
    return names


def test_the_notebook_does_its_jobs(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made = training_notebook(workspace, ["words"], folds=[0, 1], out=tmp_path / "out")
    assert made.jobs == ["words-fold-0", "words-fold-1"] and made.version is None
    there = sorted(path.name for path in (made.folder / "dataset").iterdir())
    assert there == [f"compete-{compete.__version__}-py3-none-any.whl", *(f"{job}.job" for job in made.jobs)]
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    shutil.copytree(made.folder / "dataset", tmp_path / "input" / "somewhere" / "deep")
    names = played(made.path, tmp_path / "input", working)
    assert names["failed"] == []
    assert sorted(path.name for path in working.glob("*.result")) == ["words-fold-0.result", "words-fold-1.result"]
    assert "2 of 2 jobs have a result here" in capfd.readouterr().out
    # Run again, in the same session, it does nothing twice.
    before = {path: path.stat().st_mtime_ns for path in working.glob("*.result")}
    played(made.path, tmp_path / "input", working)
    assert {path: path.stat().st_mtime_ns for path in working.glob("*.result")} == before


def test_no_job_is_started_that_would_not_end_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Jobs of 40 seconds, 100 seconds to train in: two of three are done."""
    write_training_notebook(tmp_path / "train.ipynb", ["words"], 3, 100)
    for number in range(3):
        (tmp_path / f"words-fold-{number}.job").write_bytes(b"")
    clock, done = [0.0], list[str]()

    class Running:
        def __init__(self, command: list[str]) -> None:
            done.append(Path(command[3]).stem)

        def wait(self, timeout: float) -> int:
            assert timeout == pytest.approx(100 - clock[0])
            clock[0] += 40
            return 0

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("subprocess.Popen", Running)
    import subprocess

    played(tmp_path / "train.ipynb", tmp_path, tmp_path, {"subprocess": subprocess})
    assert done == ["words-fold-0", "words-fold-1"]
    assert "words-fold-2: left for another session" in capsys.readouterr().out


def test_it_is_pushed_once_and_what_it_left_comes_home(
    service: KaggleService,
    client: KaggleClient,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_module, "SETTLED", 0.05)
    options: dict[str, Any] = {"folds": [0], "stop_after": "2h", "push": True, "client": client}
    with pytest.raises(UserError, match="say --yes"):
        training_notebook(workspace, ["words"], **options)
    assert not service.storage.datasets
    made = training_notebook(workspace, ["words"], folds=[0])
    result = run_job(made.folder / "dataset" / "words-fold-0.job", tmp_path)
    service.storage.run = lambda pushed: {result.name: result.read_bytes(), "other.txt": b"x"}
    service.faults += [Fault("CreateDataset", "cut", counted=True), Fault("SaveKernel", "cut", counted=True)]
    pushed = training_notebook(workspace, ["words"], yes=True, **options)
    assert not service.faults
    assert (pushed.notebook, pushed.version) == ("ann/toy-train", 1)
    again = training_notebook(workspace, ["words"], yes=True, **options)
    assert (again.notebook, again.version) == ("ann/toy-train", 1)
    ((name, dataset),) = service.storage.datasets.items()
    assert (name, len(dataset.versions), dataset.is_private) == ("ann/toy-train-jobs", 1, True)
    (there,) = service.storage.notebooks["ann/toy-train"]
    assert there.request["enableInternet"] and there.request["isPrivate"] and there.inputs[name]
    assert there.request["sessionTimeoutSeconds"] == 2 * 3600 + 1800
    assert "secret" not in json.dumps(there.request)

    there.polls_left = 1
    with pytest.raises(KaggleError, match="has not ended"):
        collect_from_kaggle(workspace, "ann/toy-train", client=client)
    collected = collect_from_kaggle(workspace, "ann/toy-train", client=client)
    assert [(each.model, each.fold) for each in collected.arrivals] == [("words", 0)]
    assert collected.failed is None
    assert workspace.base_model("words").part(0).record.is_file()


def test_what_is_refused(service: KaggleService, client: KaggleClient, workspace: Workspace, tmp_path: Path) -> None:
    def refused(words: str, **options: Any) -> None:
        with pytest.raises(UserError, match=words):
            training_notebook(workspace, **options)

    refused("no length of time", stop_after="long")
    refused("cannot be a notebook's name", notebook="../train")
    refused("one of t4, none", accelerator="v100")
    refused("holds no wheels", names=["words"], wheels=tmp_path)
    for notebook, words in {
        "train": "named OWNER/NOTEBOOK",
        "ann/../../etc": "named OWNER/NOTEBOOK",
        "ann/nothing": "knows no notebook ann/nothing",
    }.items():
        with pytest.raises(UserError, match=words):
            collect_from_kaggle(workspace, notebook, client=client)
    service.storage.run = lambda pushed: {"other.txt": b""}
    pushed = training_notebook(workspace, ["words"], folds=[0], notebook="empty", push=True, yes=True, client=client)
    with pytest.raises(UserError, match="left no result"):
        collect_from_kaggle(workspace, pushed.notebook, client=client)
    service.storage.run = lambda pushed: {"words-fold-0.result": b"damaged"}
    pushed = training_notebook(workspace, ["words"], folds=[0], notebook="damaged", push=True, yes=True, client=client)
    found = collect_from_kaggle(workspace, pushed.notebook, client=client)
    assert isinstance(found.failed, CompeteError) and not found.arrivals
