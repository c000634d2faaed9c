from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from compete.oof.honest_scores import Score
from compete.oof.state import ModelState, PartState, State
from compete.reporting.frames import ledger_frame, models_frame
from compete.submissions.ledger import Entry, NewSubmission, Outcome

SCORE = Score("f1_macro", 0.5123456789, 0.49, 0.53, 0.55, (0.51, 0.52), {"thresholds": [0.3]}, {})
SENT = NewSubmission("local", "001_a.csv", "c", "stack a", "f1_macro", 0.55, "plan", "abcd", "[tag] a")
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def test_models_are_told_by_their_names_in_full_precision_and_with_gaps() -> None:
    fresh, missing = PartState(State.FRESH, record={"seconds": 7.5}), PartState(State.MISSING)
    states = {
        "words": ModelState("words", "trained", fresh, (fresh,) * 3),
        "mate": ModelState("mate", "imported", missing, (missing,) * 3),
    }
    found = models_frame(states, {"words": "linear"}, {"words": SCORE})
    assert found.index.name == "name"
    assert list(found.columns) == ["state", "family", "folds", "honest", "low", "high", "naive", "seconds"]
    rows = found.values.tolist()
    assert rows[0] == ["fresh", "linear", 3, 0.5123456789, 0.49, 0.53, 0.55, 7.5]
    assert rows[1][:3] == ["missing", "imported", 0]
    assert found.isna().values.tolist() == [[False] * 8, [False] * 3 + [True] * 4 + [False]]


def test_the_ledger_is_told_by_numbers_and_may_be_empty() -> None:
    first = Entry(1, NOON, SENT, Outcome("scored", "r", 0.5), NOON)
    second = replace(first, number=2, outcome=Outcome("refused", note="no"))
    found = ledger_frame([first, second])
    assert found.index.tolist() == [1, 2] and found.index.name == "number"
    assert found["source"].tolist() == ["stack a"] * 2
    assert found["status"].tolist() == ["scored", "refused"]
    assert found["public"].isna().tolist() == [False, True]
    assert found["public"].tolist()[0] == 0.5
    assert ledger_frame([]).empty
