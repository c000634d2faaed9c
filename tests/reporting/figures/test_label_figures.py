"""Figures of labels at their edges: one label, very many, names longer than the page."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from compete.oof.honest_scores import LabelScore
from compete.reporting.figures.label_figures import (
    co_occurrence,
    co_occurrence_figure,
    correlation_figure,
    heatmap_figure,
    label_score_figure,
    rate_figure,
)
from compete.reporting.figures.style import drawn, png, shortened
from compete.stacking.ensemble.label_rates import LabelRates

pytestmark = pytest.mark.slow

NOTHING = LabelScore(0.0, 0.0, 0.0, None, None, 0.0, 0.0, 0.0)


def test_shares_are_of_the_rows_with_the_label_and_none_for_a_label_that_no_row_has() -> None:
    rows = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]])
    assert co_occurrence(rows).tolist() == [[1, 0.5, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("count", [1, 2, 24])
def test_any_number_of_labels_with_any_names(count: int) -> None:
    names = [f"_$\\frac$ label whose name is longer than any figure is wide, number {i}" for i in range(count)]
    rates = np.linspace(0.0, 1.0, count)

    def figures() -> list[Figure]:
        return [
            rate_figure(names, rates, LabelRates(rates, rates / 2, np.sqrt(rates))),
            label_score_figure(dict.fromkeys(names, NOTHING), dict(zip(names, rates.tolist(), strict=True))),
            heatmap_figure(names[:1], names, np.zeros((1, count)), "F1"),
            co_occurrence_figure(names, np.eye(count), None),
            co_occurrence_figure(names, np.eye(count), np.eye(count)),
            correlation_figure([*names, "other"], np.ones((count + 1, count + 1))),
        ]

    # Names beside a figure: the third has a single model there, the last has no row for the first of its models.
    beside = [names, names, names[:1], names, names, [*names[1:], "other"]]
    for number, expected in enumerate(beside):
        figure = drawn(lambda number=number: figures()[number])  # type: ignore[misc]
        if count < 24:  # painting many takes seconds; they are drawn all the same
            assert png(figure).startswith(b"\x89PNG")
        figure.canvas.draw()  # at the figure's own size
        texts = [text for text in figure.axes[0].get_yticklabels() if text.get_text()]
        named = sorted(text.get_text().split("  (")[0] for text in texts)  # in one of them with the rate behind
        assert named == sorted(map(shortened, expected))
        page = figure.bbox
        assert all(page.contains(*corner) for text in texts for corner in text.get_window_extent().corners())


def test_in_many_cells_there_are_no_numbers() -> None:
    def numbers(count: int) -> int:
        names = [str(i) for i in range(count)]
        return len(drawn(lambda: co_occurrence_figure(names, np.full((count, count), 0.5), None)).axes[0].texts)

    assert numbers(20) == 20 * 19
    assert numbers(21) == 0


def test_a_rate_has_its_interval_and_one_that_is_not_told_has_neither_bar_nor_interval() -> None:
    nan = np.nan
    rates = LabelRates(np.array([0.95, nan, 0.02]), np.array([0.9, nan, 0.01]), np.array([0.99, nan, 0.05]))
    figure = drawn(lambda: rate_figure(["a", "b", "c"], np.array([0.9, 0.5, 0.1]), rates))
    container = figure.axes[0].containers[-1]
    segments = container.get_children()[-1].get_segments()  # type: ignore[attr-defined]
    ends = np.array([[segment[0][0], segment[1][0]] for segment in segments])
    assert ends == pytest.approx(np.array([[90.0, 99.0], [1.0, 5.0]]))
    of_train, of_test = (c for c in figure.axes[0].containers if isinstance(c, BarContainer))
    assert [bar.get_width() for bar in of_train] == pytest.approx([90, 50, 10])
    assert [bar.get_width() for bar in of_test] == pytest.approx([95, 0, 2])
