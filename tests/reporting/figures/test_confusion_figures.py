"""What is taken for what, counted and drawn."""

from __future__ import annotations

import numpy as np
import pytest

from compete.reporting.figures.confusion_figures import confusion, confusion_figure
from compete.reporting.figures.style import CELL_DARK, drawn


def test_rows_are_counted_by_true_and_given_class() -> None:
    counts = confusion(np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0]), 4)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_a_cell_shows_the_share_of_its_row_and_the_count() -> None:
    counts = confusion(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1]), 2)
    figure = drawn(lambda: confusion_figure(["calm", "glad"], [("", counts)], "class"))
    texts = {text.get_position(): text for text in figure.axes[0].texts}
    assert texts[0.5, 0.5].get_text() == "75 %\n3"
    assert texts[1.5, 0.5].get_text() == "25 %\n1"
    assert texts[1.5, 1.5].get_color() == CELL_DARK
    assert figure.axes[0].yaxis_inverted()


@pytest.mark.parametrize(("size", "cells"), [(12, 144), (24, 576), (60, 0)])
def test_a_class_without_rows_and_many_classes_are_drawn(size: int, cells: int) -> None:
    counts = confusion(np.arange(size - 1), np.arange(size - 1), size)
    figure = drawn(lambda: confusion_figure([str(number) for number in range(size)], [("", counts)], "class"))
    assert len(figure.axes[0].texts) == cells
