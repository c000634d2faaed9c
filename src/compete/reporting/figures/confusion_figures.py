"""Figures of what is taken for what: classes, and grades of one target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compete.reporting.figures.style import CELL_DARK, CELL_LIGHT, SEQUENTIAL, new_figure, shortened

Floats = NDArray[np.float64]
# Of more classes, cells have no room for numbers, and of still more the table is no picture.
_MOST_NUMBERS, MOST_COUNTS = 24, 12


def confusion(true: NDArray[np.intp], given: NDArray[np.intp], size: int) -> NDArray[np.int64]:
    """Rows (size, size) of each true class, from above, that were given each class; true, given: places (n_rows,)."""
    counts = np.bincount(true * size + given, minlength=size * size)
    return np.asarray(counts.reshape(size, size), dtype=np.int64)


def confusion_figure(names: Sequence[str], tables: Sequence[tuple[str, NDArray[np.int64]]], what: str) -> Figure:
    """A panel per table of `confusion`, one below the other, with its title; rows as shares, and counts where they can
    be read. what: one of the names is called."""
    size = len(names)
    longest = max(len(shortened(name)) for name in names)
    height = 1.5 + 0.06 * max(0, longest - 8) + max(1.8, 0.36 * size if size <= MOST_COUNTS else 0.24 * size)
    figure = new_figure(height * len(tables), min(8.0, 4.2 + 0.055 * longest + 0.42 * size))
    for axes, (title, counts) in zip(figure.subplots(len(tables), squeeze=False).ravel(), tables, strict=True):
        _table(figure, axes, names, counts)
        axes.set_title(title)
        axes.set(xlabel=f"{what} that is predicted, out of fold", ylabel=f"true {what}")
    return figure


def _table(figure: Figure, axes: Axes, names: Sequence[str], counts: NDArray[np.int64]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mesh = axes.pcolormesh(shares, cmap=SEQUENTIAL, vmin=0.0, vmax=1.0)
    figure.colorbar(mesh, ax=axes, label="share of the row", fraction=0.05, pad=0.02)
    if len(names) <= _MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            text = f"{100 * share:.0f} %" if len(names) <= MOST_COUNTS else f"{100 * share:.0f}"
            text += f"\n{counts[row, column]}" if len(names) <= MOST_COUNTS else ""
            # In the middle of this scale neither is good; below it light text has the higher contrast.
            colour = CELL_LIGHT if share < 0.55 else CELL_DARK
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_ylim(len(names), 0)
    axes.set_yticks(np.arange(len(names)) + 0.5, [shortened(name) for name in names])
    axes.set_xticks(
        np.arange(len(names)) + 0.5,
        [shortened(name) for name in names],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
