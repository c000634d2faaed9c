"""`kill -9` at any moment costs at most the jobs that were running, and changes no byte of the result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from compete.competition.workspace import Workspace

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "compete.cli.main", "train-base", "--all", "--workers", "2", "--threads", "1"]
FOLDS = 3
MODELS = ("words", "words_smooth")


@pytest.fixture
def slow_workspace(workspace: Workspace) -> Workspace:
    """Jobs that take long enough to be killed in their middle."""
    for name in MODELS:
        path = workspace.recipes / f"{name}.toml"
        path.write_text(path.read_text(encoding="utf-8") + "seconds = 0.4\n", encoding="utf-8")
    return workspace


def results(workspace: Workspace) -> dict[str, bytes]:
    """Every parquet file in oof/: fold plan, parts and whole models."""
    return {str(path.relative_to(workspace.oof)): path.read_bytes() for path in workspace.oof.rglob("*.parquet")}


def finished_parts(workspace: Workspace) -> dict[Path, int]:
    """The parts that are whole, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in workspace.oof.rglob("part.json") if ".compete" not in str(path)}


def moments() -> Iterator[float]:
    """Seconds after the start: in start-up, in the first jobs, between models, near the end."""
    random = Random(os.environ.get("PYTEST_KILL_SEED", "compete"))
    for low, high in ((0.2, 1.2), (1.2, 2.2), (2.2, 3.2), (3.2, 4.4)):
        yield random.uniform(low, high)


def test_killed_runs_continue_to_the_bytes_of_an_uninterrupted_one(slow_workspace: Workspace) -> None:
    subprocess.run(COMMAND, cwd=slow_workspace.root, check=True, capture_output=True)
    expected = results(slow_workspace)
    assert len(expected) == 1 + len(MODELS) * (2 + 2 * FOLDS)
    _empty(slow_workspace.oof)

    for moment in moments():
        before = finished_parts(slow_workspace)
        process = subprocess.Popen(
            COMMAND, cwd=slow_workspace.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = finished_parts(slow_workspace)
        assert before.items() <= kept.items(), "a finished job was done again, or its result was lost"
        for path, content in results(slow_workspace).items():
            if ".compete-tmp" not in path:
                assert content == expected[path], f"{path} after a kill at {moment:.2f} s"

    before = finished_parts(slow_workspace)
    last = subprocess.run(COMMAND, cwd=slow_workspace.root, check=True, capture_output=True, text=True)
    remaining = len(MODELS) * FOLDS - len(before)
    assert (f"{remaining} jobs" in last.stderr) == (remaining > 0)
    assert before.items() <= finished_parts(slow_workspace).items()
    assert results(slow_workspace) == expected
    assert not list(slow_workspace.oof.rglob(".compete-tmp*"))


def test_children_end_with_a_killed_parent(slow_workspace: Workspace) -> None:
    """An orphan that went on training would write into the workspace beside the next run."""
    recipe = slow_workspace.recipes / "words.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("seconds = 0.4", "seconds = 3.0"), encoding="utf-8")
    command = [*COMMAND[:4], "words", "--workers", "2", "--threads", "1"]
    process = subprocess.Popen(command, cwd=slow_workspace.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    logs = slow_workspace.oof / "words" / "logs"
    deadline = time.monotonic() + 30
    while not list(logs.glob("*.log")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)  # both children are now in their three seconds of training
    process.kill()
    process.wait()
    time.sleep(4.0)
    assert finished_parts(slow_workspace) == {}


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
