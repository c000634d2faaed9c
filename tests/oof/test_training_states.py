"""A job that was killed goes on from its state, which is gone once the fold is stored, and is no other training's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compete.base_models.pretrained.resuming import Kept, read_state
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import JobsFailedError
from compete.execution.executor import Executor
from compete.execution.inline import InlineExecutor
from compete.execution.local import LocalExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.work import choose_recipes, find_work, train
from support.lived_in import copied

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
from compete.base_models.pretrained import callbacks

real = callbacks.GoingOn.on_step_end

def on_step_end(self, args, state, control, **more):
    real(self, args, state, control, **more)
    if state.global_step == 25 and not os.path.exists({marker!r}):
        open({marker!r}, "w").close()
        os.kill(os.getpid(), 9)

callbacks.GoingOn.on_step_end = on_step_end
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


@pytest.fixture(scope="module")
def killed_once(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A fold was killed at its 25th step, and left a state."""
    workspace = copied(untouched, tmp_path_factory.mktemp("killed"))
    prepare(workspace, 10)
    with pytest.MonkeyPatch.context() as changed:
        killing_once(tmp_path_factory.mktemp("killing"), changed)
        with pytest.raises(JobsFailedError, match="SIGKILL"):
            train_fold(workspace, LocalExecutor(1, 1))
    (state,) = workspace.training_states.iterdir()
    assert state.name.startswith("tuned.0.")
    return workspace


@pytest.fixture
def killed(killed_once: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it, to be gone on with."""
    return copied(killed_once, tmp_path / "killed")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Kept | None]:
    """What trainings find to go on from."""
    found: list[Kept | None] = []

    def read(folder: Path) -> Kept | None:
        found.append(read_state(folder))
        return found[-1]

    monkeypatch.setattr("compete.base_models.pretrained.fine_tuning.read_state", read)
    return found


def test_a_killed_fold_goes_on_and_leaves_nothing(
    workspace: Workspace, killed: Workspace, found: list[Kept | None]
) -> None:
    prepare(workspace, None)
    expected = train_fold(workspace)
    assert not workspace.training_states.exists()
    again = train_fold(killed)
    assert len(found) == 1 and found[0] is not None
    np.testing.assert_array_equal(again.oof, expected.oof)
    np.testing.assert_array_equal(again.test, expected.test)
    assert list(killed.training_states.iterdir()) == []


def test_a_state_of_another_recipe_is_not_gone_on_from(killed: Workspace, found: list[Kept | None]) -> None:
    path = killed.recipes / "tuned.toml"
    path.write_text(RECIPE + "learning_rate = 1e-3\n", encoding="utf-8")
    resumed = train_fold(killed)
    assert found == [None]
    np.testing.assert_array_equal(train_fold(killed).oof, resumed.oof)
    assert list(killed.training_states.iterdir()) == []
