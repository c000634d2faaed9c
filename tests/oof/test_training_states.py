"""A job that was killed goes on from its state, which is gone once the fold is stored, and is no other training's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import JobsFailedError
from compete.execution.executor import Executor
from compete.execution.inline import InlineExecutor
from compete.execution.local import LocalExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.work import choose_recipes, find_work, train

pytestmark = pytest.mark.slow

RECIPE = """\
family = "sequence_classifier"
[settings]
checkpoint = "miniature:distilbert"
epochs = 2
batch_size = 4
max_length = 16
precision = "float32"
"""
# Imported by the job's process before anything else: the first one is killed at its 25th step.
KILLER = """
import os
from compete.base_models.pretrained import fine_tuning

real = fine_tuning._BestEpoch.on_step_end

def on_step_end(self, args, state, control, **more):
    real(self, args, state, control, **more)
    if state.global_step == 25 and not os.path.exists({marker!r}):
        open({marker!r}, "w").close()
        os.kill(os.getpid(), 9)

fine_tuning._BestEpoch.on_step_end = on_step_end
"""


def prepare(workspace: Workspace, every: int | None) -> None:
    for path in workspace.recipes.glob("*.toml"):
        path.unlink()
    (workspace.recipes / "tuned.toml").write_text(RECIPE, encoding="utf-8")
    text = workspace.declaration.read_text(encoding="utf-8").partition("\n[training]")[0]
    line = "" if every is None else f"\n[training]\ncheckpoint_every = {every}\n"
    workspace.declaration.write_text(text + line, encoding="utf-8")


def train_fold(workspace: Workspace, executor: Executor | None = None) -> store.Predictions:
    competition = load_competition(workspace)
    work = find_work(competition, choose_recipes(competition, ["tuned"]), [0], parity=False, force=True)
    train(work, executor or InlineExecutor())
    planned = with_plan(competition)
    return store.read_part(workspace.base_model("tuned").part(0), planned.plan, competition.shape)


def killing_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process that comes to its 25th step is killed there."""
    folder = tmp_path / "site"
    folder.mkdir()
    hook = KILLER.format(marker=str(tmp_path / "killed"))
    (folder / "killing.py").write_text(hook, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    monkeypatch.setattr("compete.base_models.classifier.family.SequenceClassifier.imports", ("killing",))


def test_a_killed_fold_goes_on_and_leaves_nothing(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(workspace, None)
    expected = train_fold(workspace)
    assert not workspace.training_states.exists()
    prepare(workspace, 10)
    killing_once(tmp_path_factory.mktemp("killing"), monkeypatch)
    with pytest.raises(JobsFailedError, match="SIGKILL"):
        train_fold(workspace, LocalExecutor(1, 1))
    (state,) = workspace.training_states.iterdir()
    assert state.name.startswith("tuned.0.")
    again = train_fold(workspace)
    np.testing.assert_array_equal(again.oof, expected.oof)
    np.testing.assert_array_equal(again.test, expected.test)
    assert list(workspace.training_states.iterdir()) == []


def test_a_state_of_another_recipe_is_not_gone_on_from(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(workspace, 10)
    killing_once(tmp_path_factory.mktemp("killing"), monkeypatch)
    with pytest.raises(JobsFailedError, match="SIGKILL"):
        train_fold(workspace, LocalExecutor(1, 1))
    path = workspace.recipes / "tuned.toml"
    path.write_text(RECIPE + "learning_rate = 1e-3\n", encoding="utf-8")
    resumed = train_fold(workspace)
    np.testing.assert_array_equal(train_fold(workspace).oof, resumed.oof)
    assert list(workspace.training_states.iterdir()) == []
