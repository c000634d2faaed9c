from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console, RenderableType

from compete.oof.honest_scores import LabelScore, Score, TargetScore
from compete.reporting.terminal.stack_tables import (
    comparison_table,
    cuts_table,
    error_table,
    label_table,
    leave_one_out_table,
    offset_table,
    target_table,
    threshold_table,
)
from compete.stacking.leave_one_out import Contribution

ODD = "[red]model[/red]"
LABEL = LabelScore(0.6, 0.45, 0.514, 0.3217, 0.0123, 0.0434, 0.0101, 0.0789)
NOISE = replace(LABEL, gain=-0.0021, gain_low=-0.0349, gain_high=0.0281)
BY_ROW = replace(LABEL, threshold=None, threshold_spread=None)
SCORE = Score(
    "f1_macro",
    honest=0.51234,
    low=0.48766,
    high=0.53211,
    naive=0.55564,
    repeats=(0.51, 0.512, 0.515),
    decision={"thresholds": [0.3217, 0.3217, 0.3217]},
    labels={ODD: LABEL, "noise": NOISE, "by row": BY_ROW},
)
LONG = "a_name_of_24_characters_"
assert len(LONG) == 24


def show(table: RenderableType, width: int = 80) -> list[str]:
    """The lines of a table in a pipe."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table)
    assert "\x1b" not in out.getvalue()
    return [line.rstrip() for line in out.getvalue().rstrip("\n").split("\n")]


def line_of(lines: list[str], start: str) -> list[str]:
    """The cells of the one line that begins with `start`: what two spaces part."""
    (line,) = (line for line in lines if line.startswith(start))
    return re.split(r" {2,}", line.removeprefix(start).strip())


def header(lines: list[str]) -> list[str]:
    return re.split(r" {2,}", lines[0].strip())


def test_comparison_shows_the_interval_the_naive_score_and_the_optimism_with_its_sign() -> None:
    pessimist = replace(SCORE, honest=0.6, low=0.58, high=0.62, naive=0.59)
    lines = show(comparison_table([(ODD, SCORE), ("mean", pessimist)], "macro-F1", best=ODD))
    assert header(lines) == ["macro-F1", "honest", "95 % interval", "naive", "optimism"]
    assert line_of(lines, ODD) == ["0.5123", "0.4877 to 0.5321", "0.5556", "+0.0433"]
    assert line_of(lines, "mean") == ["0.6000", "0.5800 to 0.6200", "0.5900", "-0.0100"]


def test_the_best_row_is_bold_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system="standard")
    console.print(comparison_table([("first", SCORE), ("second", SCORE)], "macro-F1", best="second"))
    bold = [line for line in out.getvalue().splitlines() if line.startswith("\x1b[1m")]
    assert any("second" in line for line in bold)
    assert not any("first" in line for line in bold)


def test_labels_show_their_rates_in_train_and_test_beside_their_scores() -> None:
    rates = {ODD: 0.125, "noise": 0.25, "by row": 0.5}
    expected = {ODD: {"rate": 0.135, "low": 0.1104, "high": 0.1596}, "noise": None, "by row": None}
    lines = show(label_table(SCORE, rates, expected))
    assert header(lines) == ["label", "rate", "in test, 95 %", "precision", "recall", "F1"]
    assert line_of(lines, ODD) == ["0.125", "0.110 to 0.160", "0.600", "0.450", "0.514"]
    assert line_of(lines, "noise")[:2] == ["0.250", "-"]


def test_thresholds_show_what_they_gain_over_one_half_and_whether_that_is_noise() -> None:
    lines = show(threshold_table(SCORE))
    assert header(lines) == ["label", "threshold", "F1 more than at 0.5"]
    assert line_of(lines, ODD) == ["0.322 ± 0.012", "+0.043 (+0.010, +0.079)"]
    assert line_of(lines, "noise")[1:] == ["-0.002 (-0.035, +0.028)", "not worth tuning"]


def test_a_label_without_a_threshold_shows_none() -> None:
    assert line_of(show(threshold_table(SCORE)), "by row") == ["-", "+0.043 (+0.010, +0.079)"]


def test_classes_are_called_so() -> None:
    table = label_table(SCORE, dict.fromkeys(SCORE.labels, 0.1), dict.fromkeys(SCORE.labels), "class")
    assert header(show(table))[0] == "class"


def test_offsets_stand_in_the_place_of_thresholds() -> None:
    lines = show(offset_table(replace(SCORE, decision={"offsets": [0.25, -0.25, 0.0]})))
    assert header(lines) == ["class", "offset", "F1 more than without"]
    assert line_of(lines, ODD) == ["+0.250", "+0.043 (+0.010, +0.079)"]
    assert line_of(lines, "noise") == ["-0.250", "-0.002 (-0.035, +0.028)", "no more than noise"]


def test_targets_show_their_errors_and_right_grades_only_where_grades_are_decided() -> None:
    mood = TargetScore(rmse=1.25, mae=0.5, pearson=0.61239, bias=-0.1, right=0.4)
    lines = show(target_table(replace(SCORE, labels={}, targets={ODD: mood})))
    assert header(lines) == ["target", "RMSE", "MAE", "Pearson", "bias", "right"]
    assert line_of(lines, ODD) == ["1.2500", "0.5000", "0.6124", "-0.1000", "40.0 %"]
    lines = show(target_table(replace(SCORE, labels={}, targets={"price": replace(mood, rmse=12345.678, right=None)})))
    assert header(lines)[-1] == "bias"
    assert line_of(lines, "price")[0] == "12,345.7"


def test_cuts_stand_under_the_grade_that_they_begin() -> None:
    mood = TargetScore(1.0, 1.0, 0.5, 0.0, 0.4)
    decision = {"grades": [-1.0, 0.0, 1.0], "cuts": [[-0.4, 0.6]]}
    lines = show(cuts_table(replace(SCORE, targets={"mood": mood}, decision=decision)))
    assert header(lines) == ["grade given from", "0", "1"]
    assert line_of(lines, "mood") == ["-0.4000", "0.6000"]


def test_many_grades_go_on_below() -> None:
    grades, mood = [float(grade) for grade in range(30)], TargetScore(1.0, 1.0, 0.5, 0.0, 0.4)
    decision = {"grades": grades, "cuts": [[grade - 0.5 for grade in grades[1:]]]}
    lines = show(cuts_table(replace(SCORE, targets={"mood": mood}, decision=decision)))
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).count("mood") > 2
    assert all(f"{grade - 0.5:.4f}" in " ".join(lines) for grade in grades[1:])


def test_worth_shows_the_score_without_a_model_and_which_could_go() -> None:
    found = [Contribution(ODD, 0.5012, 0.0111, 0.0042, 0.0185), Contribution("idle", 0.5129, -0.0006, -0.0041, 0.0028)]
    lines = show(leave_one_out_table(found, {ODD: 200.0, "idle": 0.0}))
    assert header(lines) == ["base model", "without", "gain by it", "training"]
    assert line_of(lines, ODD) == ["0.5012", "+0.0042 to +0.0185", "3 min 20 s"]
    assert line_of(lines, "idle") == ["0.5129", "-0.0041 to +0.0028", "-", "could go"]


def test_errors_show_every_pair_once_under_the_number_of_the_row() -> None:
    correlation = np.array([[1.0, 0.91, 0.82], [0.91, 1.0, 0.73], [0.82, 0.73, 1.0]])
    lines = show(error_table([ODD, "second", "third"], correlation))
    assert header(lines) == ["correlation of errors", "1", "2"]
    assert line_of(lines, f"1  {ODD}") == [""]
    assert line_of(lines, "2  second") == ["0.91"]
    assert line_of(lines, "3  third") == ["0.82", "0.73"]


def test_errors_of_very_many_models_go_on_below() -> None:
    correlation = np.array([[100 * row + column for column in range(16)] for row in range(16)]) / 10_000
    lines = show(error_table([f"m{number}" for number in range(16)], correlation))
    headers = [header([line]) for line in lines if "correlation" in line]
    assert headers == [
        ["correlation of errors", *(str(n) for n in range(1, 8))],
        ["correlation of errors", *(str(n) for n in range(8, 16))],
    ]
    last = [re.split(r" {2,}", line) for line in lines if line.startswith("16  m15")]
    assert [float(cell) for row in last for cell in row[2:]] == pytest.approx([0.15] * 15, abs=0.0051)
    assert len([line for line in lines if re.match(r"3 +m2 ", line)]) == 1  # it has no pair below


RATE = {"rate": 0.2, "low": 0.18, "high": 0.22}
LONG_SCORE = replace(SCORE, labels={LONG: NOISE})
TABLES: dict[str, RenderableType] = {
    "comparison": comparison_table([(f"stack {LONG}", SCORE), (LONG, SCORE)], "samples-Jaccard", LONG),
    "labels": label_table(LONG_SCORE, {LONG: 0.1}, {LONG: RATE}),
    "worth": leave_one_out_table([Contribution(LONG, 0.5, 0.01, -0.02, 0.03)], {LONG: 45296.0}),
    "errors of eight": error_table([LONG] * 8, np.full((8, 8), 0.5)),
}
FOLDED = threshold_table(LONG_SCORE)


@pytest.mark.parametrize("name", TABLES)
def test_names_of_24_characters_leave_room_for_the_numbers_in_80_columns(name: str) -> None:
    lines = show(TABLES[name])
    assert max(map(len, lines)) <= 80
    assert lines == show(TABLES[name], width=200), "something was folded"


def test_thresholds_leave_room_for_names_of_18_characters() -> None:
    table = threshold_table(replace(SCORE, labels={LONG[:18]: NOISE}))
    assert max(map(len, show(table, width=200))) <= 80


@pytest.mark.parametrize("table", [*TABLES.values(), FOLDED], ids=[*TABLES, "thresholds"])
def test_no_letter_and_no_digit_is_lost_in_80_columns(table: RenderableType) -> None:
    narrow, wide = ("".join(show(table, width)) for width in (80, 200))
    assert max(map(len, show(table))) <= 80
    assert sorted(re.sub("[ ─]", "", narrow)) == sorted(re.sub("[ ─]", "", wide))


LABELS = [
    "anger",
    "anticipation",
    "disgust",
    "fear",
    "joy",
    "love",
    "optimism",
    "pessimism",
    "sadness",
    "surprise",
    "trust",
]
MODELS = ["qwen2_5_14b_instruct", "llama_3_2_3b_instruct_as_published", *(f"model_number_{n}" for n in range(9))]
ELEVEN = replace(SCORE, labels=dict.fromkeys(LABELS, NOISE))
REAL: dict[str, RenderableType] = {
    "comparison": comparison_table([(f"stack {name}", SCORE) for name in MODELS], "samples-Jaccard", ""),
    "labels": label_table(ELEVEN, dict.fromkeys(LABELS, 0.1), dict.fromkeys(LABELS, RATE)),
    "thresholds": threshold_table(ELEVEN),
    "worth": leave_one_out_table(
        [Contribution(name, 0.5, 0.01, -0.02, 0.03) for name in MODELS], dict.fromkeys(MODELS, 452960.0)
    ),
    "errors": error_table(MODELS, np.full((11, 11), 0.5)),
}


@pytest.mark.parametrize("name", REAL)
def test_eleven_labels_and_long_names_fold_and_keep_every_number_whole(name: str) -> None:
    narrow, wide = show(REAL[name]), show(REAL[name], width=200)
    assert max(map(len, narrow)) <= 80
    numbers = r"[-+(]?\d+\.\d+\S*"
    assert [re.findall(numbers, line) for line in narrow if re.search(numbers, line)] == [
        re.findall(numbers, line) for line in wide if re.search(numbers, line)
    ]
    assert "…" not in "".join(narrow)


def test_names_take_two_lines_at_most_in_a_comparison() -> None:
    lines = show(REAL["comparison"])
    assert len(lines) == 2 + len(MODELS) + 1
    assert "llama_3_2_3b_instruct_as_published" in lines


@pytest.mark.parametrize("name", REAL)
def test_rules_are_hyphens_where_the_encoding_has_no_lines(name: str) -> None:
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace") as out:
        Console(file=out, width=80, highlight=False).print(REAL[name])
        out.seek(0)
        lines = out.read().splitlines()
    assert any(set(line) == {"-"} for line in lines)
    assert not any("|" in line for line in lines)
