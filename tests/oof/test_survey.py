from __future__ import annotations

import pytest

from compete.competition.data import Competition
from compete.oof.state import State
from compete.oof.survey import survey
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
