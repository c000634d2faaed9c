from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.table import Table

from compete.oof.state import ModelState, PartState, State
from compete.reporting.tables import fold_rates_table, scores_table, status_table
from compete.stacking.scores import Score
from compete.submissions.ledger import Entry, NewSubmission, Outcome, Status

LONG = "sequence_classifier_large_with_a_long_name_that_someone_chose"
ODD = "[red]model[/red]"
SCORE = Score("f1_macro", 0.51234, 0.49, 0.53, 0.55564, (0.51, 0.52), {"thresholds": [0.3]}, {})


def show(table: Table) -> list[str]:
    """The lines of a table in a pipe of 80 columns."""
    out = io.StringIO()
    Console(file=out, width=80, highlight=False).print(table)
    lines = out.getvalue().rstrip("\n").split("\n")
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out.getvalue()
    return lines


def line_of(lines: list[str], start: str) -> list[str]:
    """The cells of the one line that begins with `start`, split at white space."""
    (line,) = (line for line in lines if line.startswith(start))
    return line.removeprefix(start).split()


def model(state: State, folds_done: int = 0, seconds: float = 0.0) -> ModelState:
    whole = PartState(state, record={"seconds": seconds})
    missing = PartState(State.MISSING)
    parts = [PartState(State.FRESH) if fold < folds_done else missing for fold in range(5)]
    return ModelState("", "trained", whole, tuple(parts))


def test_status_shows_state_folds_score_and_time() -> None:
    states = {
        ODD: model(State.FRESH, 5, 200.0),
        "stale": model(State.STALE),
        "broken": model(State.DAMAGED),
        "begun": model(State.MISSING, 2),
        "new": model(State.MISSING),
    }
    lines = show(status_table(states, dict.fromkeys(states, "linear"), {ODD: SCORE}, "macro-F1"))
    assert " ".join(lines[:2]).split() == ["honest", "model", "family", "folds", "state", "macro-F1", "time"]
    assert line_of(lines, ODD) == ["linear", "5/5", "fresh", "0.5123", "3", "min", "20", "s"]
    assert line_of(lines, "stale ") == ["linear", "0/5", "stale", "-", "-"]
    assert line_of(lines, "broken") == ["linear", "0/5", "damaged", "-", "-"]
    assert line_of(lines, "begun") == ["linear", "2/5", "partly", "trained", "-", "-"]
    assert line_of(lines, "new") == ["linear", "0/5", "not", "trained", "-", "-"]


def test_a_model_without_a_recipe_shows_its_kind() -> None:
    whole = PartState(State.FRESH)
    lines = show(status_table({"mate": ModelState("mate", "imported", whole, (whole,) * 3)}, {}, {}, "macro-F1"))
    assert line_of(lines, "mate") == ["imported", "3/3", "fresh", "-", "-"]


def test_a_long_name_is_folded_and_no_letter_is_lost() -> None:
    states = {LONG: model(State.FRESH, 5, 7500.0)}
    lines = show(status_table(states, {LONG: "my_own_family.py:SequenceClassifier"}, {LONG: SCORE}, "samples-Jaccard"))
    header = next(number for number, line in enumerate(lines) if line.startswith("model"))
    width = lines[header].index("family")
    assert "".join(line[:width].strip() for line in lines[header + 2 :]) == LONG
    assert "0.5123" in "".join(lines)


def test_fold_rates_have_a_column_per_fold() -> None:
    rates = [("all", [0.4, 0.1]), ("0", [0.41, 0.11]), ("1", [0.39, 0.09])]
    lines = show(fold_rates_table(["[b]joy", "fear"], rates, [100, 51, 49]))
    assert lines[0].split() == ["%", "by", "fold", "all", "0", "1"]
    assert line_of(lines, "rows") == ["100", "51", "49"]
    assert line_of(lines, "[b]joy") == ["40.0", "41.0", "39.0"]
    assert line_of(lines, "fear") == ["10.0", "11.0", "9.0"]


def entry(number: int, outcome: Outcome, source: str = ODD, validation: float | None = 0.55) -> Entry:
    submission = NewSubmission("local", "f.csv", "c", source, "f1_macro", validation, "plan", "abcd", "message")
    moment = datetime(2024, 3, 1, 9, 5, tzinfo=UTC)
    return Entry(number, moment, submission, outcome, changed=moment)


def expecting(known: Entry, low: float, high: float) -> Entry:
    return replace(known, submission=replace(known.submission, public_low=low, public_high=high))


def header_of(lines: list[str]) -> list[str]:
    """The words above the rule, wherever the header broke."""
    end = next(number for number, line in enumerate(lines) if set(line) <= {"─", " "})
    return " ".join(lines[:end]).split()


def test_scores_show_the_shift_from_validation_to_public() -> None:
    entries = [
        entry(1, Outcome("scored", None, 0.5, 0.4321)),
        entry(2, Outcome("pending"), "stack b"),
        entry(3, Outcome("scored", None, 0.5), "stack c", validation=None),
    ]
    lines = show(scores_table(entries, private=False))
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]
    first, second, third = (line.split() for line in lines[2:])
    assert first[1:] == ["03-01", "09:05", ODD, "0.5500", "0.5000", "-0.0500"]
    assert second[1:] == ["03-01", "09:05", "stack", "b", "0.5500", "pending", "-"]
    assert third[1:] == ["03-01", "09:05", "stack", "c", "-", "0.5000", "-"]
    assert "0.4321" not in "".join(lines) and "private" not in "".join(lines)


def test_revealed_scores_show_both_shifts() -> None:
    entries = [entry(1, Outcome("scored", None, 0.5, 0.53), "stack a"), entry(2, Outcome("sent"), "stack b")]
    lines = show(scores_table(entries, private=True))
    cells = " ".join(lines).split()
    assert [cells.count(text) for text in ("0.5500", "0.5000", "0.5300", "-0.0500", "+0.0300")] == [2, 1, 1, 1, 1]
    assert "sent" in cells
    assert [cells.count(title) for title in ("public", "private", "gap", "expected")] == [1, 1, 2, 0]


def test_the_expected_range_stands_beside_the_gap() -> None:
    entries = [
        expecting(entry(1, Outcome("scored", None, 0.5), "stack a"), 0.48123, 0.61987),
        entry(2, Outcome("scored", None, 0.5), "file b.csv", validation=None),
    ]
    lines = show(scores_table(entries, private=False))
    assert header_of(lines)[-4:] == ["valid.", "public", "gap", "expected"]
    assert line_of(lines, "1 ")[-4:] == ["0.5500", "0.5000", "-0.0500", "0.481-0.620"]
    assert line_of(lines, "2 ")[-4:] == ["-", "0.5000", "-", "-"]


def test_several_metrics_are_named_and_one_is_not() -> None:
    one = entry(1, Outcome("sent"), "stack a")
    other = replace(one, number=2, submission=replace(one.submission, metric="log_loss"))
    assert "metric" not in header_of(show(scores_table([one, one], private=False)))
    lines = show(scores_table([one, other], private=False))
    assert "metric" in header_of(lines)
    assert "f1_macro" in line_of(lines, "1 ") and "log_loss" in line_of(lines, "2 ")


@pytest.mark.parametrize("status", ["pending", "sent", "failed", "refused", "lost"])
def test_what_has_no_score_shows_its_status(status: Status) -> None:
    assert line_of(show(scores_table([entry(1, Outcome(status))], private=False)), "1 ")[-2:] == [status, "-"]


@pytest.mark.parametrize("private", [False, True])
def test_many_wide_rows_fit_into_80_columns(private: bool) -> None:
    entries = [entry(number, Outcome("scored", "r", 0.5, 0.5), f"base model {LONG}") for number in (1, 10, 1000)]
    assert show(scores_table(entries, private))
    entries = [expecting(each, 0.4, 0.6) for each in entries]
    assert show(scores_table(entries, private))
    labels = [f"label_{number}_{LONG}" for number in range(11)]
    rates = [(str(fold), [0.1] * 11) for fold in range(5)]
    assert show(fold_rates_table(labels, rates, [1000] * 5))
