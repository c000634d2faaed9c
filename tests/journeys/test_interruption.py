"""`kill -9` at any moment costs at most the jobs that were running, and changes no byte of the result."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from filelock import FileLock

from compete.competition.workspace import Workspace

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "compete.cli.main", "train-base", "--all", "--workers", "2", "--threads", "1"]
FOLDS = 3
MODELS = ("words", "words_smooth")
PATIENCE = 120.0  # seconds, for what comes in one or two on a machine with nothing else to do

# Training that never ends by itself, and holds a lock as long as its process lives: even a dead process that nobody has
# waited for holds none.
ENDLESS = """        import os, pathlib, filelock
        busy = pathlib.Path(__file__).parent / "busy"
        self.lock = filelock.FileLock(busy / f"{os.getpid()}.lock")
        self.lock.acquire()
        (busy / f"{os.getpid()}.begun").touch()
        time.sleep(2 * self.settings.seconds)
"""


@pytest.fixture
def slow_workspace(workspace: Workspace) -> Workspace:
    """Jobs that take long enough for others to end in their middle."""
    for name in MODELS:
        path = workspace.recipes / f"{name}.toml"
        path.write_text(path.read_text(encoding="utf-8") + "seconds = 0.2\n", encoding="utf-8")
    return workspace


def results(workspace: Workspace) -> dict[str, bytes]:
    """Every parquet file in oof/: fold plan, parts and whole models."""
    return {str(path.relative_to(workspace.oof)): path.read_bytes() for path in workspace.oof.rglob("*.parquet")}


def finished_parts(workspace: Workspace) -> dict[Path, int]:
    """The parts that are whole, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in workspace.oof.rglob("part.json") if ".compete" not in str(path)}


def files(workspace: Workspace) -> set[str]:
    """Everything in oof/, what is being written among it."""
    return {f"{folder}/{name}" for folder, _, names in os.walk(workspace.oof) for name in names}


def moments(count: int) -> Iterator[int]:
    """Files that are there when the kill comes: in the first jobs, between the models, near the end, of `count`."""
    random = Random(os.environ.get("PYTEST_KILL_SEED", "compete"))
    for quarter in range(4):
        yield random.randint(quarter * count // 4 + 1, (quarter + 1) * count // 4)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.001)


def kill(workspace: Workspace, moment: int) -> bool:
    """Kill a run as soon as it has `moment` files; False if it ended before that."""
    seen = files(workspace)

    def has_come() -> bool:
        seen.update(files(workspace))  # what was there and is gone counts, too: it was moved to its place
        return len(seen) >= moment or process.poll() is not None

    process = subprocess.Popen(COMMAND, cwd=workspace.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(has_come)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def test_killed_runs_continue_to_the_bytes_of_an_uninterrupted_one(slow_workspace: Workspace) -> None:
    subprocess.run(COMMAND, cwd=slow_workspace.root, check=True, capture_output=True)
    expected = results(slow_workspace)
    assert len(expected) == 1 + len(MODELS) * (2 + 2 * FOLDS)
    in_the_end = len(files(slow_workspace))
    shutil.rmtree(slow_workspace.oof)

    killed = 0
    for moment in moments(in_the_end):
        before = finished_parts(slow_workspace)
        killed += kill(slow_workspace, moment)
        kept = finished_parts(slow_workspace)
        assert before.items() <= kept.items(), "a finished job was done again, or its result was lost"
        for path, content in results(slow_workspace).items():
            if ".compete-tmp" not in path:
                assert content == expected[path], f"{path} after a kill at {moment} of {in_the_end} files"
    assert killed >= 3  # one that is to die near the end may come to it

    before = finished_parts(slow_workspace)
    last = subprocess.run(COMMAND, cwd=slow_workspace.root, check=True, capture_output=True, text=True)
    remaining = len(MODELS) * FOLDS - len(before)
    assert (f"{remaining} jobs" in last.stderr) == (remaining > 0)
    assert before.items() <= finished_parts(slow_workspace).items()
    assert results(slow_workspace) == expected
    assert not list(slow_workspace.oof.rglob(".compete-tmp*"))


def test_children_end_with_a_killed_parent(workspace: Workspace) -> None:
    """An orphan that went on training would write into the workspace beside the next run."""
    family = workspace.root / "families.py"
    text = family.read_text(encoding="utf-8")
    family.write_text(text.replace("        time.sleep(self.settings.seconds)\n", ENDLESS), encoding="utf-8")
    recipe = workspace.recipes / "words.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + f"seconds = {PATIENCE}\n", encoding="utf-8")
    busy = workspace.root / "busy"
    busy.mkdir()
    command = [*COMMAND[:4], "words", "--workers", "2", "--threads", "1"]
    process = subprocess.Popen(command, cwd=workspace.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(busy.glob("*.begun"))) == 2)
    process.kill()
    process.wait()
    locks = sorted(busy.glob("*.lock"))
    assert len(locks) == 2
    for lock in locks:
        FileLock(lock).acquire(timeout=PATIENCE)  # Timeout: its process lives on
    assert finished_parts(workspace) == {}
