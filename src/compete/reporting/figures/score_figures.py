"""Figures of scores: a row per model, stack or submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compete.reporting.durations import duration
from compete.reporting.figures.style import BLUE, BROWN, GREEN, INK, MUTED, ORANGE, PURPLE, new_figure, shortened
from compete.score_text import score_text
from compete.stacking.leave_one_out import Contribution

Range = tuple[float, float]
# Hours -> how a reader says it; about half a power of ten apart.
_MOST_TICKS = 8  # more would run into each other
_TIMES = {
    **{seconds / 3600: f"{seconds} s" for seconds in (1, 3, 10, 30)},
    **{minutes / 60: f"{minutes} min" for minutes in (1, 3, 10, 30)},
    **{float(hours): f"{hours} h" for hours in (1, 3, 10, 30, 100, 300)},
}


@dataclass(frozen=True)
class ScoreRow:
    """A base model or stack with its honest score and 95 % interval, and the scores of its last submission."""

    name: str
    is_stack: bool
    honest: float
    interval: Range
    naive: float
    public: float | None = None
    private: float | None = None
    hours: float = 0.0


@dataclass(frozen=True)
class SubmissionRow:
    """A submission: what was promised before it was sent, and what came."""

    title: str
    honest: float | None
    public: float
    private: float | None
    expected_public: Range | None
    expected_private: Range | None


def score_figure(rows: Sequence[ScoreRow], metric: str) -> Figure:
    """Validation with its interval, public and private score of every model, the best on top."""
    figure, axes, places = _rows([_bold(row) for row in rows])
    honest = np.array([row.honest for row in rows])
    errors = np.abs(np.array([row.interval for row in rows]).T - honest)
    axes.errorbar(honest, places, xerr=errors, fmt="o", color=BLUE, capsize=3, label="validation (honest, 95 %)")
    _marks(axes, [row.public for row in rows], places - 0.18, "s", ORANGE, "public")
    _marks(axes, [row.private for row in rows], places + 0.18, "D", GREEN, "private")
    axes.set_xlabel(metric)
    _legend(axes)
    return figure


def optimism_figure(rows: Sequence[ScoreRow], metric: str, sign: int = 1) -> Figure:
    """Honest beside naive score: the line between them is what a notebook would have fooled its reader by."""
    figure, axes, places = _rows([_bold(row) for row in rows])
    honest, naive = np.array([row.honest for row in rows]), np.array([row.naive for row in rows])
    axes.hlines(places, honest, naive, color=MUTED, linewidth=1.2)
    axes.plot(honest, places, "o", color=BLUE, label="honest: fitted on other rows")
    axes.plot(naive, places, "D", color=ORANGE, markerfacecolor="none", label="naive: fitted on the rows it scores")
    for place, low, high in zip(places, honest, naive, strict=True):
        gap = (score_text(sign * (high - low), low, sign=True), (max(low, high), place))
        axes.annotate(*gap, xytext=(7, 0), textcoords="offset points", va="center", fontsize=8.5, color=MUTED)
    axes.margins(x=0.12)
    axes.set_xlabel(metric)
    _legend(axes)
    return figure


def leave_one_out_figure(found: Sequence[Contribution], metric: str, hours: Sequence[float]) -> Figure:
    """What the stack gains by every base model, with its 95 % interval; at the right its training."""
    figure, axes, places = _rows([each.model for each in found])
    gains = np.array([each.gain for each in found])
    errors = np.abs(np.array([[each.low, each.high] for each in found]).T - gains)
    axes.axvline(0, color=INK, linewidth=1)
    for significant, colour, label in (
        (True, BLUE, "more than noise"),
        (False, MUTED, "could go: no gain beyond noise"),
    ):
        rows = [i for i, each in enumerate(found) if each.significant is significant]
        if rows:
            axes.errorbar(
                gains[rows], places[rows], xerr=errors[:, rows], fmt="o", color=colour, capsize=3, label=label
            )
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    right.set_yticks(places, [_time(3600 * each) if each else "" for each in hours])
    right.tick_params(length=0)
    right.grid(visible=False)
    axes.set_xlabel(f"how much better the stack's {metric} is with it")
    _legend(axes)
    return figure


def cost_figure(rows: Sequence[ScoreRow], metric: str, sign: int = 1) -> Figure:
    """Hours of training against honest score; those that no cheaper model beats are joined."""
    figure = new_figure(4.2)
    axes = figure.subplots()
    rows = sorted(rows, key=lambda row: row.hours)
    hours, honest = np.array([row.hours for row in rows]), np.array([row.honest for row in rows])
    errors = np.abs(np.array([row.interval for row in rows]).T - honest)
    axes.errorbar(hours, honest, yerr=errors, fmt="o", color=BLUE, capsize=3)
    best = sign * honest >= np.maximum.accumulate(sign * honest)
    axes.plot(hours[best], honest[best], color=GREEN, linestyle="--", drawstyle="steps-post", zorder=0)
    for row, x, y in zip(rows, hours, honest, strict=True):
        axes.annotate(shortened(row.name), (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8.5)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    low, high = axes.get_xlim()
    ticks = {each: said for each, said in _TIMES.items() if low <= each <= high}
    # Where none of _TIMES is in sight, the cheapest and the dearest model say their own.
    ticks = ticks or {each: _time(3600 * each) for each in (hours[0], hours[-1])}
    while len(ticks) > _MOST_TICKS:
        ticks = dict(list(ticks.items())[::2])
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_xlabel("training, all folds")
    axes.set_ylabel(metric)
    return figure


def leaderboard_figure(rows: Sequence[SubmissionRow], metric: str) -> Figure:
    """Every submission: the range that was expected before it was sent, and the scores that came."""
    figure, axes, places = _rows([row.title for row in rows])
    _ranges(axes, [row.expected_public for row in rows], places - 0.14, ORANGE, "public: expected (95 %)")
    _marks(axes, [row.public for row in rows], places - 0.14, "s", ORANGE, "public: came")
    if any(row.private is not None for row in rows):
        _ranges(axes, [row.expected_private for row in rows], places + 0.14, GREEN, "private: expected (95 %)")
        _marks(axes, [row.private for row in rows], places + 0.14, "D", GREEN, "private: came")
    _marks(axes, [row.honest for row in rows], places, "|", BLUE, "validation (honest)")
    axes.set_xlabel(metric)
    _legend(axes)
    return figure


def shake_up_figure(rows: Sequence[SubmissionRow], metric: str) -> Figure:
    """Public against private score of every submission, with the ranges that were expected of both."""
    figure = new_figure(5.4, 6.4)
    axes = figure.subplots()
    known = [row for row in rows if row.private is not None]
    for number, row in enumerate(known):
        assert row.private is not None
        axes.plot(row.public, row.private, "o", color=PURPLE, label="a submission" if not number else None)
        axes.annotate(
            shortened(row.title), (row.public, row.private), xytext=(6, -10), textcoords="offset points", fontsize=8.5
        )
        if row.expected_public and row.expected_private:
            middle = np.mean(row.expected_public), np.mean(row.expected_private)
            label = "where both were expected (95 %)" if not number else None
            axes.plot(row.expected_public, [middle[1]] * 2, color=MUTED, linewidth=1, label=label)
            axes.plot([middle[0]] * 2, row.expected_private, color=MUTED, linewidth=1)
    low = min(axes.get_xlim()[0], axes.get_ylim()[0])
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color=BROWN, linestyle=":", linewidth=1.2, label="public = private")
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(f"public {metric}")
    axes.set_ylabel(f"private {metric}")
    _legend(axes)
    return figure


def _rows(names: Sequence[str]) -> tuple[Figure, Axes, NDArray[np.float64]]:
    """A figure with a row per name, the first on top; the rows' places."""
    figure = new_figure(1.4 + 0.34 * len(names))
    axes = figure.subplots()
    places = np.arange(len(names), dtype=np.float64)
    axes.set_yticks(places, [shortened(name, 40) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    return figure, axes, places


def _time(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else f"{seconds:.1g} s"


def _bold(row: ScoreRow) -> str:
    return f"stack {row.name}" if row.is_stack else row.name


def _marks(
    axes: Axes, values: Sequence[float | None], places: NDArray[np.float64], marker: str, colour: str, label: str
) -> None:
    known = [(value, place) for value, place in zip(values, places, strict=True) if value is not None]
    if known:
        size = 12 if marker == "|" else 5.5
        axes.plot(*zip(*known, strict=True), marker, color=colour, label=label, markersize=size, markeredgewidth=2)


def _ranges(axes: Axes, ranges: Sequence[Range | None], places: NDArray[np.float64], colour: str, label: str) -> None:
    known = [(*each, place) for each, place in zip(ranges, places, strict=True) if each is not None]
    if known:
        low, high, at = zip(*known, strict=True)
        axes.hlines(at, low, high, color=colour, linewidth=5, alpha=0.35, label=label)


def _legend(axes: Axes) -> None:
    """Above the axes, where no point can lie under it."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handletextpad=0.4)
