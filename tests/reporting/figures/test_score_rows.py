from __future__ import annotations

import pytest

import compete
from compete.competition.workspace import Workspace
from compete.reporting.figures.score_rows import score_rows
from support.lived_in import send, train_models, write_model

pytestmark = pytest.mark.slow


def test_the_score_of_yesterdays_model_does_not_stand_beside_todays(lived: Workspace) -> None:
    def public(name: str) -> float | None:
        return next(row.public for row in score_rows(compete.open(lived.root)) if row.name == name)

    then = public("words")
    assert then is not None
    write_model(lived, "words", 9.0)
    train_models(lived, ["words"])
    assert public("words") is None
    assert public("words_smooth") is not None
    send(lived, ["words"])
    assert public("words") is not None
