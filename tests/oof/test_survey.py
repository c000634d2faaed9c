from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.data import Competition
from compete.competition.workspace import Workspace
from compete.oof.state import State
from compete.oof.survey import survey
from compete.reporting.terminal.tables import state_text
from compete.workflows.status import status
from support.every_task import task_workspace
from support.one_model import edit, train_words


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("competition.toml", "seed = 7", "seed = 8", "folds.seed: 7 -> 8"),
        ("train.csv", "happy", "cheerful", "train texts changed"),
        ("test.csv", "happy", "cheerful", "test texts changed"),
    ],
)
def test_an_edited_competition_makes_stale(
    competition: Competition, file: str, old: str, new: str, reason: str
) -> None:
    train_words(competition)
    edit(competition.workspace.root / file, old, new)
    found = survey(competition.workspace)
    state = found.states["words"]
    assert (state.state, state.reasons) == (State.STALE, [reason])
    assert found.plan_changes == ([] if file == "test.csv" else [reason])


GENERATOR = """\
family = "label_generator"

[settings]
checkpoint = "org/large"
"""


@pytest.mark.parametrize(("task", "text"), [("regression", "not for this task"), ("multilabel", "not trained")])
def test_a_family_that_is_not_for_the_task_is_said_to_be_none(tmp_path: Path, task: str, text: str) -> None:
    workspace: Workspace = task_workspace(tmp_path, task)
    (workspace.recipes / "asked.toml").write_text(GENERATOR, encoding="utf-8")
    found = status(workspace)
    assert (state_text(found.states["asked"]), state_text(found.states["linear"])) == (text, "not trained")
    why = "asked: label_generator answers yes or no, which gives no numbers"
    assert any(notice.startswith(why) for notice in found.notices()) is (task == "regression")
