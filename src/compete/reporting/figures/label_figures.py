"""Figures of labels: how often they occur, how well each is told, which occur together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compete.oof.honest_scores import LabelScore
from compete.reporting.figures.style import BLUE, GREEN, GRID, MUTED, ORANGE, SEQUENTIAL, new_figure, on_cell, shortened
from compete.stacking.ensemble.label_rates import LabelRates

Floats = NDArray[np.float64]
# In more cells than that, numbers can no longer be read.
_MOST_NUMBERS = 400


def rate_figure(labels: Sequence[str], train: Floats, test: LabelRates | None) -> Figure:
    """How often every label occurs in train (n_labels,) and in test, where that can be told."""
    order = np.argsort(-train)
    figure, axes = _label_rows([shortened(labels[i]) for i in order])
    places, shift = np.arange(len(labels)), 0.0 if test is None else 0.2
    axes.barh(places - shift, 100 * train[order], height=0.38, color=BLUE, label="train")
    if test is not None:
        # Of a rate that is not told, NaN, the bar has no length.
        rates, low, high = (np.nan_to_num(100 * each[order]) for each in (test.rates, test.low, test.high))
        axes.barh(places + shift, rates, height=0.38, color=ORANGE, label="test (estimated)")
        told = test.told[order]
        axes.errorbar(
            rates[told],
            places[told] + shift,
            xerr=[(rates - low)[told], (high - rates)[told]],
            fmt="none",
            ecolor=MUTED,
            capsize=2.5,
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("% of rows")
    axes.legend(loc="lower right")
    return figure


def label_score_figure(scores: Mapping[str, LabelScore], rates: Mapping[str, float]) -> Figure:
    """Precision, recall and F1 of every label under honest decisions, the most frequent label on top."""
    names = sorted(scores, key=lambda name: -rates[name])
    figure, axes = _label_rows([f"{shortened(name)}  ({100 * rates[name]:.0f} %)" for name in names])
    places = np.arange(len(names))
    precision, recall, f1 = np.array([(s.precision, s.recall, s.f1) for s in (scores[n] for n in names)]).T
    axes.hlines(places, precision, recall, color=GRID, linewidth=4, zorder=1)
    axes.plot(precision, places, ">", color=ORANGE, label="precision")
    axes.plot(recall, places, "<", color=GREEN, label="recall")
    axes.plot(f1, places, "o", color=BLUE, label="F1")
    axes.axvline(float(np.mean(f1)), color=BLUE, linestyle=":", linewidth=1.2, label=f"mean F1 {np.mean(f1):.3f}")
    axes.set_xlim(0, 1)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
    return figure


def heatmap_figure(rows: Sequence[str], labels: Sequence[str], values: Floats, what: str) -> Figure:
    """A number per row and label, (n_rows, n_labels)."""
    figure = new_figure(1.7 + 0.3 * len(rows) + _room_below(labels))
    axes = figure.subplots()
    low, high = float(values.min()), float(values.max())
    _cells(figure, axes, values, low, high, what)
    _name_cells(axes, rows, labels)
    return figure


def co_occurrence_figure(labels: Sequence[str], true: Floats, predicted: Floats | None) -> Figure:
    """Of the rows with one label, the share that has another: as labelled, and as predicted; (n_labels, n_labels)."""
    panels = [("as labelled", true)] + ([("as predicted, out of fold", predicted)] if predicted is not None else [])
    wide = len(labels) <= 14  # side by side; else one below the other
    height = 1.6 + 0.22 * len(labels) + _room_below(labels)
    figure = new_figure(height if wide else height * len(panels))
    grid = figure.subplots(1 if wide else len(panels), len(panels) if wide else 1, squeeze=False).ravel()
    for axes, (title, values) in zip(grid, panels, strict=True):
        shown = np.where(np.eye(len(labels), dtype=bool), np.nan, values)
        _cells(figure, axes, shown, 0.0, 1.0, "share" if axes is grid[-1] or not wide else "")
        _name_cells(axes, labels if axes is grid[0] or not wide else [""] * len(labels), labels)
        axes.set_title(title)
        axes.set_xlabel("... that also have")
    grid[0].set_ylabel("of the rows with ...")
    return figure


def co_occurrence(decisions: NDArray[np.generic]) -> Floats:
    """Share of the rows with label i that have label j, (n_labels, n_labels); 0 for a label that no row has."""
    cells = np.asarray(decisions, dtype=np.float64)
    both = cells.T @ cells
    return np.asarray(both / np.maximum(np.diag(both), 1)[:, None])


def correlation_figure(models: Sequence[str], correlation: Floats) -> Figure:
    """How alike models err, (n_models, n_models): two that err alike add little to each other."""
    figure = new_figure(2.2 + 0.32 * len(models) + _room_below(models), max(5.5, 2.6 + 0.45 * len(models)))
    axes = figure.subplots()
    # Every pair once, without the first row and the last column, which would be empty.
    below = np.where(np.tri(len(models), k=-1, dtype=bool), correlation, np.nan)[1:, :-1]
    low = float(np.nanmin(below))
    _cells(figure, axes, below, low, 1.0, "correlation of errors")
    _name_cells(axes, models[1:], models[:-1])
    return figure


def _cells(figure: Figure, axes: Axes, values: Floats, low: float, high: float, what: str) -> None:
    """Coloured cells, with numbers where they can be read; NaN is left empty. what: the colour bar's title, if any."""
    mesh = axes.pcolormesh(np.ma.masked_invalid(values), cmap=SEQUENTIAL, vmin=low, vmax=high)
    if what:
        figure.colorbar(mesh, ax=axes, label=what, fraction=0.05, pad=0.02)
    if values.size <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                text = f"{value:.2f}".removeprefix("0")
                axes.text(
                    column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7, color=on_cell(value, low, high)
                )
    axes.set_ylim(len(values), 0)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(rows)) + 0.5, [shortened(name) for name in rows])
    names = [shortened(name) for name in columns]
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=45, ha="right", rotation_mode="anchor")


def _room_below(columns: Sequence[str]) -> float:
    """Inches for slanting names that are longer than most."""
    return 0.06 * max(0, max(len(shortened(name)) for name in columns) - 10)


def _label_rows(names: Sequence[str]) -> tuple[Figure, Axes]:
    figure = new_figure(1.3 + 0.32 * len(names))
    axes = figure.subplots()
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    return figure, axes
