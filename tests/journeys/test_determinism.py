"""The same seed gives the same OOF, byte for byte, on a second run and with another number of workers."""

from __future__ import annotations

import shutil

import pytest

from compete.competition.workspace import Workspace
from support.in_process import Run, in_process
from support.lived_in import train_models

pytestmark = pytest.mark.slow

RECIPES = {
    "words": 'family = "families.py:Words"\n',
    "linear": 'family = "linear"\n',
    "ffnn": 'family = "ffnn"\n\n[settings]\nepochs = 2\n',
}


def test_only_the_seed_decides(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compete = in_process(workspace.root, monkeypatch, capsys)  # its jobs run in processes of their own
    _write_recipes(workspace, seed=42)
    first = _run(workspace, compete, workers=2)
    assert len(first) == 1 + len(RECIPES) * (2 + 2 * 3)

    shutil.rmtree(workspace.oof)
    second = _run(workspace, compete, workers=1)
    assert sorted(second) == sorted(first)
    assert [name for name in first if second[name] != first[name]] == []

    # The control: the bytes are equal because the seed is, not because it is never used.
    _write_recipes(workspace, seed=5)
    train_models(workspace, ["ffnn", "words"])
    other = _stored(workspace)
    assert other["ffnn/oof.parquet"] != first["ffnn/oof.parquet"]
    assert other["words/oof.parquet"] != first["words/oof.parquet"]


def _write_recipes(workspace: Workspace, seed: int) -> None:
    for path in workspace.recipes.glob("*.toml"):
        path.unlink()
    for name, recipe in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(f"seed = {seed}\n{recipe}", encoding="utf-8")


def _run(workspace: Workspace, compete: Run, workers: int) -> dict[str, bytes]:
    # Whether what was kept gives the same when it is read again is another question, and as much work.
    ran = compete("train-base", "--all", "--no-parity", "--threads", "1", "--workers", str(workers))
    assert ran.code == 0, ran.stderr
    return _stored(workspace)


def _stored(workspace: Workspace) -> dict[str, bytes]:
    return {p.relative_to(workspace.oof).as_posix(): p.read_bytes() for p in workspace.oof.rglob("*.parquet")}
