"""Figures of a tuning: what was tried, in which order, and what its promise was worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from compete.experiments.tuning.stored import StudyRecord, Trial
from compete.reporting.figures.style import BLUE, GREEN, MUTED, ORANGE, SERIES, new_figure, shortened

_COLUMNS = 3
_MOST_CHOICES = 8


@dataclass(frozen=True)
class Promise:
    """A recipe's score on validation rows, and out of fold once it was trained."""

    name: str
    validation: float | None
    honest: float | None
    interval: tuple[float, float] | None


def history_figure(studies: Sequence[StudyRecord], metric: str) -> Figure:
    """Every trial's score in the order in which they were tried, and the best so far; nested: a line per fold."""
    figure = new_figure(3.6)
    axes = figure.subplots()
    for number, study in enumerate(studies):
        colour, marker = SERIES[number % len(SERIES)]
        of_fold = f"fold {study.about.folds[0]}" if study.about.nested else "best so far"
        tried = [trial.number for trial in study.done]
        scores = np.array([trial.score for trial in study.done], dtype=np.float64)
        best = np.maximum.accumulate(scores) if study.about.greater_is_better else np.minimum.accumulate(scores)
        axes.plot(tried, scores, marker, color=colour, alpha=0.45, linestyle="none", markersize=4.5)
        axes.plot(tried, best, color=colour, drawstyle="steps-post", label=of_fold)
    if len(studies) == 1 and (shipped := studies[0].as_shipped) is not None:
        axes.axhline(shipped.score or 0.0, color=MUTED, linestyle=":", label="the recipe's own settings")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{metric} on validation rows")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, handletextpad=0.4)
    return figure


def slice_figure(studies: Sequence[StudyRecord], metric: str) -> Figure:
    """A panel per setting: its values against the scores of the trials that had them."""
    names = list(studies[0].about.space)
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(0.6 + 2.3 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for place, axes in enumerate(panels.flat):
        if place >= len(names):
            axes.set_visible(False)
            continue
        _panel(axes, names[place], studies)
        if place % columns == 0:
            axes.set_ylabel(shortened(metric, 20))
    return figure


def _panel(axes: Axes, name: str, studies: Sequence[StudyRecord]) -> None:
    trials = [trial for study in studies for trial in study.done]
    bests = [study.best for study in studies if study.best is not None]
    numbers = all(_is_number(trial.settings[name]) for trial in trials)
    values = list(dict.fromkeys(json.dumps(trial.settings[name]) for trial in trials))
    values = sorted(values)

    def x(trial: Trial) -> float:
        value = trial.settings[name]
        return float(value) if numbers else float(values.index(json.dumps(value)))

    axes.plot([x(trial) for trial in trials], [trial.score or 0.0 for trial in trials], "o", color=BLUE, alpha=0.5)
    axes.plot([x(trial) for trial in bests], [trial.score or 0.0 for trial in bests], "D", color=ORANGE)
    axes.set_title(shortened(name, 24))
    if not numbers:
        few = len(values) <= _MOST_CHOICES
        axes.set_xticks(range(len(values)), [shortened(value, 10) if few else "" for value in values], fontsize=8)
    elif studies[0].about.space[name].endswith(", log"):
        axes.set_xscale("log")
        low, high = min(map(x, trials)), max(map(x, trials))
        ticks = np.geomspace(low, high, 3) if high > low else [low]
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        axes.minorticks_off()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def promise_figure(rows: Sequence[Promise], metric: str) -> Figure:
    """What the validation rows of a tuning promised, and the honest out-of-fold score."""
    figure = new_figure(1.4 + 0.34 * len(rows))
    axes = figure.subplots()
    places = np.arange(len(rows), dtype=np.float64)
    axes.set_yticks(places, [shortened(row.name, 40) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    told = [(row.validation, place) for row, place in zip(rows, places, strict=True) if row.validation is not None]
    if told:
        axes.plot(*zip(*told, strict=True), "D", color=ORANGE, markerfacecolor="none", label="on validation rows")
    for first, (row, place) in enumerate(zip(rows, places, strict=True)):
        if row.honest is None or row.interval is None:
            continue
        errors = np.abs(np.array([row.interval]).T - row.honest)
        label = None if first and any(each.honest is not None for each in rows[:first]) else "out of fold (95 %)"
        axes.errorbar([row.honest], [place], xerr=errors, fmt="o", color=GREEN, capsize=3, label=label)
    axes.set_xlabel(metric)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handletextpad=0.4)
    return figure
