from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from compete.oof.honest_scores import Score
from compete.oof.state import ModelState, PartState, State
from compete.reporting.terminal.tables import (
    finalists_table,
    fold_means_table,
    fold_rates_table,
    scores_table,
    status_table,
)
from compete.submissions.leaderboard.finalists import Finalist, Finalists
from compete.submissions.ledger import Entry, NewSubmission, Outcome, SubmissionStatus

LONG = "sequence_classifier_large_with_a_long_name_that_someone_chose"
ODD = "[red]model[/red]"
SCORE = Score("f1_macro", 0.51234, 0.49, 0.53, 0.55564, (0.51, 0.52), {"thresholds": [0.3]}, {})


def show(table: RenderableType, width: int = 80) -> list[str]:
    """The lines of a table in a pipe of 80 columns; no number is cut in any."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table)
    lines = out.getvalue().rstrip("\n").split("\n")
    assert max(map(len, lines)) <= width
    assert "…" not in out.getvalue()
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


def test_fold_means_have_a_column_per_fold_and_many_folds_go_on_below() -> None:
    means = [[20.0, 1500.0], [20.5, 1400.0], [19.5, 1600.0]]
    spreads = [[5.0, 100.0], [4.9, 90.0], [5.1, 0.0]]
    lines = show(fold_means_table(["[b]mood", "price"], means, spreads, [100, 51, 49]))
    assert lines[0].split() == ["mean", "and", "spread", "all", "0", "1"]
    assert line_of(lines, "rows") == ["100", "51", "49"]
    assert line_of(lines, "[b]mood") == ["20.00", "±", "5.00", "20.50", "±", "4.90", "19.50", "±", "5.10"]
    assert line_of(lines, "price") == ["1,500", "±", "100", "1,400.0", "±", "90.0", "1,600.00", "±", "0.00"]
    many = show(fold_means_table(["mood"], [[20.0]] * 12, [[5.0]] * 12, [100] * 12))
    assert max(map(len, many)) <= 80 and sum(line.count("20.00 ± 5.00") for line in many) == 12


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
def test_what_has_no_score_shows_its_status(status: SubmissionStatus) -> None:
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


MODELS = ["qwen2_5_14b_instruct", "llama_3_2_3b_instruct_as_published", "ffnn"]


def test_long_names_fold_and_the_other_columns_of_a_status_do_not() -> None:
    states = {name: model(State.FRESH, 5, 452960.0) for name in MODELS} | {"begun": model(State.MISSING, 2)}
    families = dict.fromkeys(states, "sequence_classifier")
    lines = show(status_table(states, families, dict.fromkeys(MODELS, SCORE), "samples-Jaccard"))
    rows = [line for line in lines if "sequence_classifier" in line]
    assert len(rows) == 4
    for row in rows[:3]:
        assert row.split()[1:] == ["sequence_classifier", "5/5", "fresh", "0.5123", "125", "h", "49", "min"]
    assert rows[3].split() == ["begun", "sequence_classifier", "2/5", "partly", "trained", "-", "-"]


@pytest.mark.parametrize("k", [5, 10, 20])
def test_many_folds_of_many_rows_go_on_below(k: int) -> None:
    rates = [(name, [number / 100, 0.5]) for number, name in enumerate(["all", *map(str, range(k))])]
    lines = show(fold_rates_table(["joy", "anticipation"], rates, [123456] * (k + 1)))
    joy = [cell for line in lines if line.startswith("joy") for cell in line.split()[1:]]
    assert joy == [f"{number:.1f}" for number in range(k + 1)]
    folds = [cell for line in lines if line.startswith("%") for cell in line.split()[3:]]
    assert folds == ["all", *map(str, range(k))]
    assert " ".join(lines).split().count("123456") == k + 1


def test_what_was_expected_makes_way_for_private_scores_where_there_is_no_room() -> None:
    known = expecting(entry(1, Outcome("scored", "r", 0.5, 0.53), f"base model {MODELS[1]}"), 0.4, 0.6)
    table = scores_table([known], private=True)
    assert "expected" in header_of(show(table, width=110))
    narrow = show(table)
    assert header_of(narrow)[-5:] == ["valid.", "public", "gap", "private", "gap"]
    assert line_of(narrow, "1 ")[-5:] == ["0.5500", "0.5000", "-0.0500", "0.5300", "+0.0300"]


@pytest.mark.parametrize("private", [False, True])
def test_scores_of_several_metrics_keep_their_numbers(private: bool) -> None:
    one = expecting(entry(1, Outcome("scored", "r", 0.5, 0.53), f"base model {MODELS[1]}"), 0.4, 0.6)
    other = replace(one, number=2, submission=replace(one.submission, metric="jaccard_samples"))
    lines = show(scores_table([one, other], private))
    numbers = [line.split() for line in lines if line.startswith(("1 ", "2 "))]
    for cells in numbers:
        assert {"0.5500", "0.5000", "-0.0500"} <= set(cells)
        assert ("+0.0300" in cells) is private


def test_finalists_show_how_far_each_stays_behind() -> None:
    first = Finalist(entry(1, Outcome("scored", None, 0.5), f"base model {MODELS[1]}"), 0.0, 0.0, 0.75)
    second = Finalist(entry(12, Outcome("sent"), "stack mean"), 0.0123, 0.0045, 0.25)
    lines = show(finalists_table(Finalists(first, second, 0.0, None, [first, second], {})))
    assert line_of(lines, "1 ")[-5:] == ["0.0000", "±", "0.0000", "75", "%"]
    assert line_of(lines, "12 ") == ["stack", "mean", "0.5500", "-", "0.0123", "±", "0.0045", "25", "%"]
