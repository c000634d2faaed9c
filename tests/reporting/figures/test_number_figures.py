"""Figures of numbers and grades: what is drawn are the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.container import BarContainer

from compete.reporting.figures.number_figures import (
    cuts_figure,
    distribution_figure,
    error_figure,
    graded_figure,
    mean_residuals,
    predicted_true_figure,
    residual_figure,
)
from compete.reporting.figures.style import ORANGE, drawn, png, svg

GRADES = (-1.0, 0.0, 1.0)
RANDOM = np.random.default_rng(3)
TRUE = RANDOM.choice(GRADES, (200, 2)).astype(np.float32)
PREDICTED = (0.6 * TRUE + RANDOM.normal(scale=0.4, size=TRUE.shape)).astype(np.float32)
NAMES = ["mood", "$pace$ <b>"]


def test_grades_have_a_bar_each_with_their_share() -> None:
    figure = drawn(lambda: distribution_figure(NAMES, TRUE, GRADES))
    for axes, column in zip(figure.axes, TRUE.T, strict=True):
        (bars,) = (c for c in axes.containers if isinstance(c, BarContainer))
        assert [bar.get_height() for bar in bars] == pytest.approx([100 * (column == grade).mean() for grade in GRADES])


def test_numbers_add_up_to_all_rows() -> None:
    figure = drawn(lambda: distribution_figure(["mood"], PREDICTED[:, :1], ()))
    (bars,) = (c for c in figure.axes[0].containers if isinstance(c, BarContainer))
    assert sum(bar.get_height() for bar in bars) == pytest.approx(100)


def test_points_are_the_rows_and_many_rows_are_a_density() -> None:
    figure = drawn(lambda: predicted_true_figure(NAMES, TRUE, PREDICTED))
    x, y = np.asarray(figure.axes[1].lines[0].get_xydata()).T
    assert np.array_equal(x, PREDICTED[:, 1]) and np.array_equal(y, TRUE[:, 1])
    many = np.tile(PREDICTED, (10, 1))
    figure = drawn(lambda: predicted_true_figure(NAMES, np.tile(TRUE, (10, 1)), many))
    assert len(figure.axes[0].collections) == 1 and len(figure.axes[0].lines) == 1


def test_a_box_per_true_grade_has_its_median() -> None:
    figure = drawn(lambda: graded_figure(["mood"], TRUE[:, :1], PREDICTED[:, :1], GRADES))
    heights = [np.asarray(line.get_ydata()) for line in figure.axes[0].lines if line.get_color() == ORANGE]
    found = {round(float(height[0]), 5) for height in heights}
    assert {round(float(np.median(PREDICTED[TRUE[:, 0] == grade, 0])), 5) for grade in GRADES} == found


def test_a_grade_that_no_row_has_gets_no_box() -> None:
    drawn(lambda: graded_figure(["mood"], TRUE[:, :1], PREDICTED[:, :1], (*GRADES, 2.0)))


def test_mean_residuals_are_of_stretches_of_as_many_rows() -> None:
    predicted, residuals = np.arange(40.0), np.repeat([1.0, -1.0], 20)
    middles, means = mean_residuals(predicted, residuals)
    assert middles.tolist() == [1.5 + 4 * number for number in range(10)]
    assert means.tolist() == [1.0] * 5 + [-1.0] * 5
    assert len(mean_residuals(np.zeros(3), np.zeros(3))[0]) == 3


def test_residuals_are_predicted_minus_true() -> None:
    figure = drawn(lambda: residual_figure(NAMES, TRUE, PREDICTED))
    assert len(figure.axes) == 4
    x, y = np.asarray(figure.axes[1].lines[0].get_xydata()).T
    assert np.allclose(y, x - TRUE[:, 0])


def test_cuts_are_lines_and_a_grade_stands_between_them() -> None:
    cuts = np.array([[-0.3, 0.3], [9.0, 9.5]])  # of the second, only the lowest grade is ever given
    figure = drawn(lambda: cuts_figure(NAMES, PREDICTED, cuts, GRADES))
    first, second = figure.axes
    assert [np.asarray(line.get_xdata())[0] for line in first.lines] == [-0.3, 0.3]
    assert [text.get_text() for text in first.texts] == ["-1", "0", "1"]
    assert len(second.lines) == 0 and [text.get_text() for text in second.texts] == ["-1"]


def test_every_model_has_a_point_in_every_panel() -> None:
    figure = drawn(lambda: error_figure(["a", "b"], {"RMSE": [1.0, 2.0], "MAE": [0.5, 0.7]}))
    assert [np.asarray(axes.lines[0].get_xdata()).tolist() for axes in figure.axes] == [[1.0, 2.0], [0.5, 0.7]]


@pytest.mark.parametrize("dark", [False, True])
def test_they_can_be_saved_dark_and_light(dark: bool) -> None:
    for draw in (
        lambda: graded_figure(NAMES, TRUE, PREDICTED, GRADES),
        lambda: residual_figure(NAMES, TRUE, PREDICTED),
        lambda: cuts_figure(NAMES, PREDICTED, np.array([[-0.3, 0.3], [0.0, 0.0]]), GRADES),
    ):
        figure = drawn(draw, dark=dark)
        assert svg(figure, "x").startswith("<svg") and png(figure).startswith(b"\x89PNG")


def test_constant_predictions_are_drawn() -> None:
    constant = np.zeros_like(PREDICTED)
    for draw in (
        lambda: predicted_true_figure(NAMES, TRUE, constant),
        lambda: residual_figure(NAMES, TRUE, constant),
        lambda: cuts_figure(NAMES, constant, np.array([[-0.3, 0.3], [0.0, 0.0]]), GRADES),
    ):
        assert png(drawn(draw))
