"""A workspace that hostile input comes into, and what every command has to keep to there.

Every case is a command in a copy of one workspace, trained, stacked and submitted from. Whatever it meets: no
traceback, nothing that acts on the terminal, nothing written or removed beside the workspace, an answer within seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.printable import printable
from compete.workflows.jobs import export_jobs, run_job
from support.hostile import JOB, Case, put, snapshot, within
from support.in_process import in_process
from support.lived_in import copied, send

LONGEST = 20
"""Seconds, on a busy machine of two cores; most take hundredths."""
MOST_MEMORY = 2**30
"""Bytes beyond what the tests themselves have mapped."""


@pytest.fixture(scope="session")
def used(stacked_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Trained, stacked, submitted from; a job and its result lie in there/."""
    workspace = copied(stacked_once, tmp_path_factory.mktemp("used"))
    send(workspace, ["words", "logistic"])
    put(workspace.stacks / "choice.json", '{"stack": "logistic"}')
    put(workspace.stack_recipes / "other.toml", 'method = "blend"\n')
    export_jobs(workspace, workspace.root / "there", ["words"], folds=[0], force=True, threads=1)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("compete.workflows.executors.LocalExecutor", lambda *crew: InlineExecutor())
        run_job(workspace.root / JOB)
    return workspace


@pytest.fixture
def hosted(used: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it, beside what is none of its business."""
    put(tmp_path / "elsewhere" / "mean.toml", 'method = "mean"\n')
    put(tmp_path / "elsewhere" / "secret.txt", "nobody's business")
    put(tmp_path / "elsewhere" / "train.csv", (used.root / "train.csv").read_bytes())
    put(tmp_path / "x.py", "raise SystemExit('this ran')\n")
    put(tmp_path / "families.py", "raise SystemExit('this ran')\n")
    return copied(used, tmp_path / "workspace")


@pytest.fixture
def play(
    hosted: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Case], None]:
    """Refused by name, or dealt with as if nothing were special about it."""

    def played(case: Case) -> None:
        case.arrange(hosted)
        parent = hosted.root.parent
        before = snapshot(parent, hosted.root)

        with within(LONGEST, MOST_MEMORY):
            ran = in_process(hosted.root, monkeypatch, capsys)(*case.command)

        assert ran.code == case.code, ran.stderr
        for part in case.said:
            assert part in ran.stderr, ran.stderr
        assert "Traceback" not in ran.stderr
        for shown in (ran.stdout, ran.stderr):
            assert printable(shown) == shown
            assert len(shown) < 200_000
        assert snapshot(parent, hosted.root) == before
        if case.code == 2:
            assert ran.stderr.startswith(("error: ", "warning: ")) or "\nerror: " in ran.stderr

    return played
