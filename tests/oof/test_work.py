from __future__ import annotations

import pytest

from compete.base_models.recipes import load_recipe
from compete.competition.data import Competition
from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.oof.state import State
from compete.oof.work import choose_recipes, default_workers, find_work, train
from support.one_model import state_of, train_words


def test_a_model_whose_files_were_being_written_is_to_be_put_together_again(competition: Competition) -> None:
    """A kill between oof.parquet and manifest.json leaves the marker, and nothing that is anybody's."""
    train_words(competition)
    folder = competition.workspace.base_model("words")
    folder.record.unlink()
    folder.writing.touch()
    assert state_of(competition).whole.state is State.MISSING
    work = find_work(competition, choose_recipes(competition, ["words"]))
    assert work.jobs == []
    assert train(work, InlineExecutor()) == ["words"]
    assert state_of(competition).state is State.FRESH
    assert not folder.writing.exists()


def test_jobs_at_once_follow_gpus_then_memory_then_cores(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretrained model takes gigabytes per job on a processor, so cores alone do not decide."""
    for name, checkpoint, on_all in (("small", "miniature:llama", "false"), ("large", "some/where", "true")):
        settings = f'checkpoint = "{checkpoint}"\nmodel_parallel = {on_all}\n'
        recipe = f'family = "sequence_classifier"\n[settings]\n{settings}'
        (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")
    small, large = (load_recipe(workspace, name) for name in ("small", "large"))
    monkeypatch.setattr("compete.oof.work.usable_cores", lambda: 16)
    monkeypatch.setattr("compete.oof.work.processor_memory", lambda: 25 * 10**9)
    assert default_workers([small], []) == 16
    assert default_workers([small, large], []) == 3
    assert default_workers([small], ["0", "1"]) == 2
    assert default_workers([large], ["0", "1"]) == 2  # who needs both waits for both
    monkeypatch.setattr("compete.oof.work.processor_memory", lambda: 4 * 10**9)
    assert default_workers([large], []) == 1
