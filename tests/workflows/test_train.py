"""Training that has to end in time."""

from __future__ import annotations

import time

import pytest

from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.oof.state import State
from compete.workflows.train import train_base
from support.in_process import in_process
from support.lived_in import train_models

pytestmark = pytest.mark.slow


@pytest.fixture
def slow(workspace: Workspace) -> Workspace:
    """A fold of `words` takes a moment, one of `words_smooth` a minute."""
    path = workspace.recipes / "words_smooth.toml"
    path.write_text(path.read_text(encoding="utf-8") + "seconds = 60.0\n", encoding="utf-8")
    return workspace


def test_what_does_not_end_in_time_is_stopped_and_said_and_the_rest_is_kept(slow: Workspace) -> None:
    said: list[str] = []
    start = time.monotonic()
    trained = train_base(slow, workers=2, stop_after="8s", say=said.append)
    assert time.monotonic() - start < 40
    assert trained.failed is None
    assert set(trained.left) == {f"words_smooth fold {fold}" for fold in range(3)}
    assert any("stopped in time, as asked: 3 jobs left (words_smooth fold" in sentence for sentence in said)
    assert trained.status.states["words"].state is State.FRESH


def test_a_fold_that_took_too_long_before_is_not_started(slow: Workspace) -> None:
    path = slow.recipes / "words_smooth.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("60.0", "3.0"), encoding="utf-8")
    train_base(slow, ["words_smooth"], folds=[0], workers=1)
    start = time.monotonic()
    trained = train_base(slow, ["words_smooth"], workers=1, stop_after="2s")
    assert sorted(trained.left) == ["words_smooth fold 1", "words_smooth fold 2"]
    assert time.monotonic() - start < 2


def test_competition_toml_may_say_so_and_the_command_line_overrules_it(
    slow: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = slow.declaration.read_text(encoding="utf-8")
    slow.declaration.write_text(text + '\n[training]\nstop_after = "1s"\n', encoding="utf-8")
    train_models(slow, ["words"], [0])
    here = in_process(slow.root, monkeypatch, capsys)
    ran = here("train-base", "words_smooth", "--workers", "1")
    assert ran.code == 0
    assert "3 jobs left" in ran.stderr
    ran = here("train-base", "words", "--workers", "1", "--stop-after", "1h")
    assert ran.code == 0 and "left" not in ran.stderr


@pytest.mark.parametrize("wrong", ["eleven", "0h", "11"])
def test_what_is_no_time_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    with pytest.raises(UserError, match=r"--stop-after, stop_after: .* write it as 11h, 11h30m or 90m"):
        train_base(workspace, stop_after=wrong)
    here = in_process(workspace.root, monkeypatch, capsys)
    assert here("train-base", "--all", "--stop-after", wrong).code == 2
    text = workspace.declaration.read_text(encoding="utf-8")
    workspace.declaration.write_text(text + f'\n[training]\nstop_after = "{wrong}"\n', encoding="utf-8")
    ran = here("train-base", "--all")
    assert ran.code == 2 and "training.stop_after" in ran.stderr
    assert not workspace.oof.joinpath("words").exists()
