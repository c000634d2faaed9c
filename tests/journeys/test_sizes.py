"""A recipe at several sizes, and as it was published: what is trained under which name, and what becomes stale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.oof.work import choose_recipes, find_work, train
from support.in_process import Ran, Run, in_process

pytestmark = pytest.mark.slow

OTHER_SIZE = "\n[laptop]\nsmoothing = 9.0\n"
PUBLISHED = "\n[published]\nvalidation = 0.4\n\n[published.settings]\nsmoothing = 3.0\n"
LINEAR = 'family = "linear"\n[settings]\nword_ngrams = [1, 1]\nchar_ngrams = []\n'


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def train_all(workspace: Workspace) -> None:
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, []), parity=False), InlineExecutor())


def set_size(workspace: Workspace, size: str) -> None:
    text = workspace.declaration.read_text(encoding="utf-8")
    workspace.declaration.write_text(f'size = "{size}"\n{text}', encoding="utf-8")


def smoothing_of(workspace: Workspace, model: str) -> float:
    manifest = json.loads((workspace.oof / model / "manifest.json").read_text(encoding="utf-8"))
    return float(manifest["settings"]["smoothing"])


def row_of(ran: Ran, model: str) -> list[str]:
    """The model's row in a table of the terminal."""
    return next(line.split() for line in ran.stdout.splitlines() if line.split()[:1] == [model])


@pytest.fixture
def compete(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(workspace.root, monkeypatch, capsys)


@pytest.fixture
def linear(workspace: Workspace) -> Workspace:
    """A workspace with a recipe that has a size of its own, and one that has not."""
    append(workspace.recipes / "words.toml", OTHER_SIZE)
    (workspace.recipes / "words_smooth.toml").unlink()
    (workspace.recipes / "linear.toml").write_text(LINEAR, encoding="utf-8")
    return workspace


def test_another_size_makes_stale_what_it_changes(linear: Workspace, compete: Run) -> None:
    train_all(linear)
    set_size(linear, "laptop")
    status = compete("status")
    assert row_of(status, "linear")[2:4] == ["3/3", "fresh"]  # the size changes nothing in its recipe
    assert row_of(status, "words")[2:4] == ["0/3", "stale"]
    kept = (linear.oof / "words" / "oof.parquet").read_bytes()

    refused = compete("train-base", "--all", "--workers", "0")
    assert refused.code == 2
    assert refused.stderr.count("error: ") == 1
    for said in ("size: full -> laptop", "stale: words\n", "--replace-stale"):
        assert said in refused.stderr
    assert (linear.oof / "words" / "oof.parquet").read_bytes() == kept

    replaced = compete("train-base", "--all", "--workers", "0", "--no-parity", "--replace-stale")
    assert replaced.code == 0, replaced.stderr
    assert "3 jobs" in replaced.stderr  # of words only
    assert smoothing_of(linear, "words") == 9.0
    assert row_of(replaced, "words")[2:4] == row_of(replaced, "linear")[2:4] == ["3/3", "fresh"]


def test_a_size_on_the_command_line_stands_in_for_the_declared_one(linear: Workspace, compete: Run) -> None:
    ran = compete("train-base", "words", "--workers", "0", "--size", "laptop")
    assert ran.code == 0, ran.stderr
    assert smoothing_of(linear, "words") == 9.0
    assert row_of(compete("status", "--size", "laptop"), "words")[3] == "fresh"
    assert row_of(compete("status"), "words")[3] == "stale"


def test_as_published_stands_beside_the_recipe_and_is_stacked(workspace: Workspace, compete: Run) -> None:
    (workspace.recipes / "words_smooth.toml").unlink()
    append(workspace.recipes / "words.toml", PUBLISHED)
    train_all(workspace)
    ran = compete("train-base", "--all", "--as-published", "--workers", "0")
    assert ran.code == 0, ran.stderr
    assert (smoothing_of(workspace, "words"), smoothing_of(workspace, "words_as_published")) == (1.0, 3.0)
    status = compete("status")
    for model in ("words", "words_as_published"):
        assert row_of(status, model)[2:4] == ["3/3", "fresh"]
    stacked = compete("stack")
    assert stacked.code == 0, stacked.stderr
    manifest = json.loads((workspace.oof / "stacks" / "logistic" / "manifest.json").read_text(encoding="utf-8"))
    assert sorted(manifest["models"]) == ["words", "words_as_published"]
