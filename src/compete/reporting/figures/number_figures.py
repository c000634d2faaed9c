"""Figures of numbers and grades: how they lie, how far off predictions are, where grades are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compete.reporting.figures.style import BLUE, INK, MUTED, ORANGE, SEQUENTIAL, new_figure, shortened

Floats = NDArray[np.float64]
Numbers = NDArray[Any]
_COLUMNS = 3
_BINS = 40
# Of more points a picture is one blot: their density is drawn.
_MOST_POINTS = 1500
# Bins of predicted numbers, of as many rows each, of which the mean residual is drawn.
_STRETCHES = 10


def distribution_figure(targets: Sequence[str], truth: Numbers, grades: Sequence[float]) -> Figure:
    """A panel per target: how often each grade occurs, or a histogram of the numbers; truth: (n_rows, n_targets)."""
    figure, panels = _panels(targets, 2.3)
    for axes, column in zip(panels, truth.T, strict=True):
        if grades:
            shares = [100 * float((column == np.float32(grade)).mean()) for grade in grades]
            axes.bar(np.arange(len(grades)), shares, color=BLUE, width=0.8)
            axes.set_xticks(np.arange(len(grades)), [f"{grade:g}" for grade in grades])
            axes.grid(visible=False, axis="x")
        else:
            axes.hist(
                column.astype(np.float64), bins=_BINS, color=BLUE, weights=np.full(len(column), 100 / len(column))
            )
        axes.axvline(_place(float(column.mean()), grades), color=ORANGE, linewidth=1.4, linestyle="--")
    figure.supxlabel("grade" if grades else "number", fontsize=10)
    figure.supylabel("% of rows", fontsize=10)
    return figure


def predicted_true_figure(targets: Sequence[str], truth: Numbers, predicted: Numbers) -> Figure:
    """A panel per target: what is predicted against what is true, points or their density; both (n_rows, n_targets)."""
    figure, panels = _panels(targets, 2.7)
    for axes, y, x in zip(panels, _columns(truth), _columns(predicted), strict=True):
        low, high = float(min(y.min(), x.min())), float(max(y.max(), x.max()))
        if len(y) <= _MOST_POINTS:
            axes.plot(x, y, ".", color=BLUE, markersize=3.5, alpha=0.5)
        else:
            axes.hexbin(x, y, gridsize=32, bins="log", mincnt=1, cmap=SEQUENTIAL, linewidths=0)
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=":")
    figure.supxlabel("predicted, out of fold", fontsize=10)
    figure.supylabel("true", fontsize=10)
    return figure


def graded_figure(targets: Sequence[str], truth: Numbers, predicted: Numbers, grades: Sequence[float]) -> Figure:
    """A panel per target: for every true grade the predicted numbers, as a box of their middle half with whiskers from
    the 5th to the 95th of 100."""
    figure, panels = _panels(targets, 2.7)
    for axes, y, x in zip(panels, _columns(truth), _columns(predicted), strict=True):
        there = [place for place, grade in enumerate(grades) if (y == np.float32(grade)).any()]
        boxes = axes.boxplot(
            [x[y == np.float32(grades[place])] for place in there],
            positions=there,
            whis=(5, 95),
            widths=0.6,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
        )
        for name, parts in boxes.items():
            for part in parts:
                part.set_color(ORANGE if name == "medians" else BLUE)
        for box in boxes["boxes"]:
            box.set_alpha(0.45)
        axes.plot(np.arange(len(grades)), grades, color=MUTED, linewidth=1, linestyle=":", marker="_")
        axes.set_xticks(np.arange(len(grades)), [f"{grade:g}" for grade in grades])
        axes.grid(visible=False, axis="x")
    figure.supxlabel("true grade", fontsize=10)
    figure.supylabel("predicted, out of fold", fontsize=10)
    return figure


def residual_figure(targets: Sequence[str], truth: Numbers, predicted: Numbers) -> Figure:
    """A row per target: how the residuals lie, and how they hang together with what is predicted."""
    figure = new_figure(0.5 + 2.3 * len(targets))
    grid = figure.subplots(len(targets), 2, squeeze=False, width_ratios=(1, 1.3))
    for (left, right), name, y, x in zip(grid, targets, _columns(truth), _columns(predicted), strict=True):
        residuals = x - y
        left.hist(residuals, bins=_BINS, color=BLUE, weights=np.full(len(y), 100 / len(y)))
        left.axvline(0, color=INK, linewidth=1)
        left.axvline(float(residuals.mean()), color=ORANGE, linewidth=1.4, linestyle="--")
        left.set_title(shortened(name, 40))
        left.set_ylabel("% of rows")
        if len(y) <= _MOST_POINTS:
            right.plot(x, residuals, ".", color=BLUE, markersize=3.5, alpha=0.5)
        else:
            right.hexbin(x, residuals, gridsize=36, bins="log", mincnt=1, cmap=SEQUENTIAL, linewidths=0)
        right.axhline(0, color=INK, linewidth=1)
        middles, means = mean_residuals(x, residuals)
        # The edge is seen on the density's yellow too.
        right.plot(middles, means, "o-", color=ORANGE, markersize=5, markeredgecolor=INK, linewidth=1.6)
        right.set_ylabel("predicted minus true")
    grid[-1, 0].set_xlabel("predicted minus true")
    grid[-1, 1].set_xlabel("predicted, out of fold")
    return figure


def mean_residuals(predicted: Floats, residuals: Floats) -> tuple[Floats, Floats]:
    """Mean prediction and mean residual of stretches of as many rows each, in order of what is predicted."""
    order = np.argsort(predicted, kind="stable")
    stretches = np.array_split(order, min(_STRETCHES, len(order)))
    return np.array([predicted[rows].mean() for rows in stretches]), np.array(
        [residuals[rows].mean() for rows in stretches]
    )


def error_figure(models: Sequence[str], columns: Mapping[str, Sequence[float]]) -> Figure:
    """A row per model and a panel per measure, (n_models,) each; every panel has its own scale."""
    figure = new_figure(0.9 + 0.3 * len(models))
    places = np.arange(len(models))
    for axes, (title, values) in zip(figure.subplots(1, len(columns), sharey=True), columns.items(), strict=True):
        axes.plot(values, places, "o", color=BLUE)
        axes.set_title(title)
        axes.set_yticks(places, [shortened(name) for name in models])
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.2)
        axes.locator_params(axis="x", nbins=3)
    return figure


def cuts_figure(targets: Sequence[str], predicted: Numbers, cuts: Floats, grades: Sequence[float]) -> Figure:
    """A panel per target: how the predicted numbers lie, and where they are cut into grades.

    predicted: (n_rows, n_targets); cuts: (n_targets, n_grades - 1).
    """
    figure, panels = _panels(targets, 2.5)
    for axes, x, of_target in zip(panels, _columns(predicted), cuts, strict=True):
        axes.hist(x, bins=_BINS, color=BLUE, alpha=0.6, weights=np.full(len(x), 100 / len(x)))
        low, high = float(x.min()), float(x.max())
        shown = of_target[(of_target > low) & (of_target < high)]
        for cut in shown:
            axes.axvline(cut, color=ORANGE, linewidth=1.4)
        ends = np.clip(np.concatenate([[low], of_target, [high]]), low, high)
        for grade, start, end in zip(grades, ends[:-1], ends[1:], strict=True):
            if end - start > 0.04 * (high - low):
                axes.annotate(
                    f"{grade:g}", ((start + end) / 2, 1), xycoords=("data", "axes fraction"), xytext=(0, -9),
                    textcoords="offset points", ha="center", fontsize=8.5, color=INK,
                )  # fmt: skip
        axes.set_ylim(top=1.15 * axes.get_ylim()[1])
    figure.supxlabel("predicted, out of fold", fontsize=10)
    figure.supylabel("% of rows", fontsize=10)
    return figure


def _columns(values: Numbers) -> list[Floats]:
    return list(np.asarray(values, dtype=np.float64).T)


def _place(value: float, grades: Sequence[float]) -> float:
    """Where a value lies on an axis that has the grades side by side."""
    return float(np.interp(value, grades, np.arange(len(grades)))) if grades else value


def _panels(targets: Sequence[str], height: float) -> tuple[Figure, list[Axes]]:
    columns = min(_COLUMNS, len(targets))
    lines = -(-len(targets) // columns)
    figure = new_figure(0.6 + height * lines, 8.0 if columns > 1 else 6.0)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid[len(targets) :]:
        axes.set_visible(False)
    for axes, name in zip(grid, targets, strict=False):
        axes.set_title(shortened(name, 28), fontsize=9.5)
        axes.tick_params(labelsize=8)
    return figure, list(grid[: len(targets)])
