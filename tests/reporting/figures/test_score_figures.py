"""Figures of scores: what is joined, what is labelled, what little there may be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from compete.reporting.figures.score_figures import (
    ScoreRow,
    SubmissionRow,
    cost_figure,
    leaderboard_figure,
    leave_one_out_figure,
    score_figure,
    shake_up_figure,
)
from compete.reporting.figures.style import drawn, png
from compete.stacking.leave_one_out import Contribution


def row(name: str, honest: float, hours: float) -> ScoreRow:
    return ScoreRow(name, False, honest, (honest - 0.01, honest + 0.01), honest + 0.005, hours=hours)


@pytest.mark.parametrize(("sign", "joined"), [(1, [0.5, 0.6, 0.7]), (-1, [0.5, 0.4])])
def test_those_that_no_cheaper_one_beats_are_joined(sign: int, joined: list[float]) -> None:
    rows = [row("c", 0.6, 3), row("a", 0.5, 1), row("d", 0.7, 4), row("b", 0.4, 2)]
    figure = drawn(lambda: cost_figure(rows, "score", sign))
    dashed = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert np.asarray(dashed.get_ydata()).tolist() == joined


@pytest.mark.parametrize("hours", [(1e-6, 2e-6), (0.5, 0.51), (1, 1), (0.001, 900)])
def test_times_can_be_read_however_short_and_close_they_are(hours: tuple[float, float]) -> None:
    figure = drawn(lambda: cost_figure([row("a", 0.5, hours[0]), row("b", 0.6, hours[1])], "score"))
    assert png(figure)
    figure.canvas.draw()  # at the figure's own size
    axes, (low, high) = figure.axes[0], figure.axes[0].get_xlim()
    ticks = [text for text in axes.get_xticklabels() if text.get_text() and low <= text.get_position()[0] <= high]
    assert ticks
    for text in ticks:
        number, unit = text.get_text().split()
        of_an_hour = {"s": 1 / 3600, "min": 1 / 60, "h": 1.0}[unit]
        assert float(number) * of_an_hour == pytest.approx(
            text.get_position()[0], rel=0.12
        )  # so few digits are written
    places = [text.get_window_extent() for text in ticks]
    assert all(left.x1 < right.x0 for left, right in pairwise(places)), "labels run into each other"


def test_a_model_that_could_go_looks_unlike_one_that_could_not() -> None:
    found = [Contribution("good", 0.5, 0.1, 0.05, 0.15), Contribution("idle", 0.6, 0.0, -0.1, 0.1)]
    figure = drawn(lambda: leave_one_out_figure(found, "score", [0.5, 0.0]))
    told = {str(c.get_label()): c.lines[0] for c in figure.axes[0].containers}  # type: ignore[attr-defined]
    assert [line.get_xdata().tolist() for line in told.values()] == [[0.1], [0.0]]
    assert len({line.get_color() for line in told.values()}) == 2
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["30 min 00 s", ""]


def test_what_is_not_known_is_not_drawn() -> None:
    unknown = SubmissionRow("1 _file.csv $x$", None, 0.5, None, None, None)
    assert png(drawn(lambda: leaderboard_figure([unknown], "score")))
    figure = drawn(lambda: leaderboard_figure([unknown], "score"))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["public: came"]
    both = SubmissionRow("2", 0.5, 0.5, 0.4, (0.4, 0.6), None)
    figure = drawn(lambda: shake_up_figure([unknown, both], "score"))
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [np.asarray(point.get_xydata()).tolist() for point in points] == [[[0.5, 0.4]]]
    assert png(figure)
    assert png(drawn(lambda: score_figure([row("_a", 0.5, 0)], "score")))
