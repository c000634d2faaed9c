"""Figures of probabilities: whether they mean what they say, where the threshold cuts them, how training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.oof.honest_scores import LabelScore
from compete.reporting.figures.style import BLUE, GRID, INK, MUTED, ORANGE, SERIES, new_figure, shortened

Floats = NDArray[np.float64]
_BINS = 10
_FEWEST = 10  # rows in a bin; of fewer, a share says nothing
_POINTS = 200  # of a drawn curve
_COLUMNS = 4


@dataclass(frozen=True)
class Reliability:
    """Mean probability, share of positives with its 95 % interval, and rows, per bin: each (n_bins,)."""

    probability: Floats
    share: Floats
    low: Floats
    high: Floats
    rows: Floats


def reliability(labels: NDArray[np.int8], probabilities: NDArray[np.floating[Any]]) -> Reliability:
    """Of one label, (n_rows,) each: bins of equal width, those with too few rows left out.

    The interval is Wilson's (1927), which holds for shares near 0 and 1.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    bins = np.minimum((values * _BINS).astype(np.intp), _BINS - 1)
    rows = np.bincount(bins, minlength=_BINS).astype(np.float64)
    kept = rows >= _FEWEST
    rows_kept = rows[kept]
    mean = np.bincount(bins, weights=values, minlength=_BINS)[kept] / rows_kept
    share = np.bincount(bins, weights=labels, minlength=_BINS)[kept] / rows_kept
    z = 1.96
    middle = (share + z**2 / (2 * rows_kept)) / (1 + z**2 / rows_kept)
    half = z * np.sqrt(share * (1 - share) / rows_kept + z**2 / (4 * rows_kept**2)) / (1 + z**2 / rows_kept)
    return Reliability(mean, share, middle - half, middle + half, rows_kept)


def reliability_figure(
    labels: Sequence[str], truth: Labels, probabilities: Probabilities, noun: str = "label"
) -> Figure:
    """A panel per label or class: share of positives against mean probability.

    truth, probabilities: (n_rows, n_labels).
    """
    figure, panels = _panels(labels)
    for number, axes in enumerate(panels):
        found = reliability(truth[:, number], probabilities[:, number])
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
        # At shares of 0 and 1, rounding may leave an end on the wrong side, and matplotlib takes no negative error.
        errors = np.clip([found.share - found.low, found.high - found.share], 0, None)
        axes.errorbar(found.probability, found.share, yerr=errors, fmt="o-", color=BLUE, markersize=3.5, linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1))
    figure.supxlabel("probability", fontsize=10)
    figure.supylabel(_share(noun), fontsize=10)
    return figure


def pooled_reliability_figure(
    models: Sequence[tuple[str, Probabilities]], truth: Labels, noun: str = "label"
) -> Figure:
    """A line per model, all labels or classes together."""
    figure = new_figure(4.6, 6.4)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="means what it says")
    for (name, probabilities), (colour, marker) in zip(models, SERIES, strict=False):
        found = reliability(truth.ravel(), probabilities.ravel())
        axes.plot(found.probability, found.share, marker=marker, color=colour, label=shortened(name))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", ylabel=_share(noun))
    axes.legend(loc="upper left")
    return figure


def _share(noun: str) -> str:
    return "share that is of the class" if noun == "class" else "share that has the label"


def precision_recall_figure(
    labels: Sequence[str], truth: Labels, probabilities: Probabilities, scores: Mapping[str, LabelScore]
) -> Figure:
    """A panel per label: the curve, lines of equal F1, the threshold, and how far it moves between folds."""
    figure, panels = _panels(labels)
    for number, (name, axes) in enumerate(zip(labels, panels, strict=True)):
        _equal_f1(axes)
        recall, precision, cuts = precision_recall(truth[:, number], probabilities[:, number])
        kept = _thinned(recall)
        axes.plot(recall[kept], precision[kept], color=BLUE, linewidth=1.4)
        score = scores[name]
        if score.threshold is not None:
            spread = score.threshold_spread or 0.0
            band = (cuts >= score.threshold - spread) & (cuts <= score.threshold + spread)
            inside = np.flatnonzero(band)
            inside = inside[_thinned(recall[inside])] if len(inside) else inside
            axes.plot(recall[inside], precision[inside], color=ORANGE, linewidth=4, alpha=0.55, solid_capstyle="round")
            # The cuts fall: the last that is at least the threshold.
            at = int(np.searchsorted(-cuts, -score.threshold, side="right")) - 1
            if at >= 0:  # else it lies above every probability, and nothing is predicted
                axes.plot(recall[at], precision[at], "o", color=ORANGE, markeredgecolor=INK, markersize=6)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
    figure.supxlabel("recall", fontsize=10)
    figure.supylabel("precision", fontsize=10)
    return figure


def precision_recall(labels: NDArray[np.int8], probabilities: Probabilities) -> tuple[Floats, Floats, Floats]:
    """Recall and precision at every distinct probability, and that probability, from the highest down.

    labels, probabilities: (n_rows,). Without a positive, recall is 0 throughout.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    hits = np.cumsum(labels[order], dtype=np.int64)[last]
    return hits / max(int(labels.sum()), 1), hits / (last + 1), values[order][last]


def curve_figure(curves: Mapping[int, Sequence[Mapping[str, float]]]) -> Figure:
    """Training and validation loss by epoch, a pair of lines per fold (and net, where a fold trains several)."""
    figure = new_figure(3.6)
    axes = figure.subplots()
    named: set[str] = set()
    for what, colour, style, label in (
        ("train_loss", BLUE, "-", "training rows"),
        ("validation_loss", ORANGE, "--", "validation rows, kept apart from training"),
    ):
        for rows in (rows for fold in curves.values() for rows in _runs(fold)):
            points = [(row["epoch"], row[what]) for row in rows if "epoch" in row and what in row]
            if points:
                axes.plot(
                    *zip(*points, strict=True), style, marker=".", color=colour, alpha=0.7, linewidth=1.2,
                    label=None if what in named else label,
                )  # fmt: skip
                named.add(what)
    epochs = {row["epoch"] for rows in curves.values() for row in rows if "epoch" in row}
    if len(epochs) <= 12:
        axes.set_xticks(sorted(epochs))
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure


def has_losses(curves: Mapping[int, Sequence[Mapping[str, float]]]) -> bool:
    """Whether there is anything for `curve_figure` to draw."""
    return any(
        "epoch" in row and ("train_loss" in row or "validation_loss" in row) for c in curves.values() for row in c
    )


def _runs(rows: Sequence[Mapping[str, float]]) -> list[list[Mapping[str, float]]]:
    """The nets of a fold, one after the other."""
    members = dict.fromkeys(row.get("member", 1) for row in rows)
    return [[row for row in rows if row.get("member", 1) == member] for member in members]


def _panels(titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    columns = min(_COLUMNS, len(titles))
    lines = -(-len(titles) // columns)
    figure = new_figure(0.6 + 1.75 * lines)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for number in range(len(titles), len(grid)):
        grid[number].set_visible(False)
        if number >= columns:  # the panel above it is the lowest of its column
            grid[number - columns].tick_params(labelbottom=True)
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(shortened(title, 28), fontsize=9)
        axes.tick_params(labelsize=8)
    return figure, list(grid[: len(titles)])


def _equal_f1(axes: Axes) -> None:
    for f1 in (0.2, 0.4, 0.6, 0.8):
        # F1 = 2 p r / (p + r) solved for p, which is infinite at r = F1 / 2.
        recall = np.linspace(f1 / 2 + 1e-3, 1, 40)
        precision = f1 * recall / (2 * recall - f1)
        shown = precision <= 1.02
        axes.plot(recall[shown], precision[shown], color=GRID, linewidth=0.8, zorder=0)


def _thinned(recall: Floats) -> NDArray[np.intp]:
    """Indices of about so many points, evenly spread over the recall: a curve needs no more."""
    if len(recall) <= _POINTS:
        return np.arange(len(recall))
    steps = np.searchsorted(recall, np.linspace(recall[0], recall[-1], _POINTS))
    return np.unique(np.clip(np.append(steps, len(recall) - 1), 0, len(recall) - 1))
