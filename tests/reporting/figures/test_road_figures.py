"""The road shows every scored run and the best so far, and says what moved it."""

from __future__ import annotations

import pytest

from compete.experiments.run_log import Run, road, with_changes
from compete.reporting.figures.road_figures import road_figure, road_points
from compete.reporting.figures.style import drawn, svg


def runs(*scores: float) -> list[Run]:
    return [
        Run(
            "train-base",
            "base model",
            "words",
            honest=score,
            low=score - 0.1,
            high=score + 0.1,
            identity={"settings.C": str(number)},
        )
        for number, score in enumerate(scores)
    ]


@pytest.mark.parametrize(("sign", "best"), [(1, [0.5, 0.5, 0.6, 0.6]), (-1, [0.5, 0.4, 0.4, 0.4])])
def test_the_line_is_the_best_so_far(sign: int, best: list[float]) -> None:
    points = road_points(road(with_changes(runs(0.5, 0.4, 0.6, 0.55)), sign, ""))
    (axes,) = road_figure(points, "macro-F1", sign).axes
    assert axes.lines[0].get_ydata().tolist() == best  # type: ignore[union-attr]
    words = [text.get_text() for text in axes.texts]
    assert words == ["words", "words\nsettings.C: 1 -> 2" if sign > 0 else "words\nsettings.C: 0 -> 1"]
    assert points[0].interval == (0.4, 0.6)


def test_names_of_strangers_are_drawn_as_text() -> None:
    strange = Run("import", "base model", "\x1b[2J\u202e<b>", honest=0.5)
    points = road_points(road(with_changes([strange, *runs(0.6)]), 1, ""))
    drawing = svg(drawn(lambda: road_figure(points, "macro-F1")), "road")
    assert "\x1b" not in drawing and "\u202e" not in drawing and "<b>" not in drawing
