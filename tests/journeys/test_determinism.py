"""The same seed gives the same OOF, byte for byte, on a second run and with another number of workers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from compete.competition.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]

RECIPES = {
    "linear": 'family = "linear"\n',
    "ffnn": 'family = "ffnn"\n\n[settings]\nepochs = 2\n',
}


@pytest.fixture
def trained(workspace: Workspace, compete: Run) -> dict[str, bytes]:
    """The parquet files of a run with one worker, in a workspace that holds the built-in families too."""
    for name, recipe in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")
    return _run(workspace, compete, "--workers", "1")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_run_gives_the_same_bytes(
    workspace: Workspace, compete: Run, trained: dict[str, bytes], workers: str
) -> None:
    shutil.rmtree(workspace.oof)
    again = _run(workspace, compete, "--workers", workers)
    assert sorted(again) == sorted(trained)
    assert [name for name in trained if again[name] != trained[name]] == []


def test_another_seed_gives_other_probabilities(
    workspace: Workspace, compete: Run, trained: dict[str, bytes]
) -> None:
    """The control: the bytes above are equal because the seed is, not because it is never used."""
    for name, recipe in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(f"seed = 5\n{recipe}", encoding="utf-8")
    again = _run(workspace, compete, "--workers", "2")
    assert again["ffnn/oof.parquet"] != trained["ffnn/oof.parquet"]


def _run(workspace: Workspace, compete: Run, *options: str) -> dict[str, bytes]:
    ran = compete("train-base", "--all", "--threads", "1", *options)
    assert ran.returncode == 0, ran.stderr
    return {p.relative_to(workspace.oof).as_posix(): p.read_bytes() for p in workspace.oof.rglob("*.parquet")}
