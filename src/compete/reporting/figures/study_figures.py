"""Studies drawn: score against number of folds with its cost, values of a setting with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.reporting.durations import time_text
from compete.reporting.figures.picture import Picture
from compete.reporting.figures.style import BLUE, INK, MUTED, ORANGE, new_figure, shortened
from compete.reporting.view import View
from compete.stored_json import read_json

Record = Mapping[str, Any]


def of_studies(view: View) -> Iterator[Picture]:
    """A picture per study of just these rows and this metric; none where there is no study."""
    for name, record in _records(view.workspace):
        try:
            if record["rows"] != view.competition.fingerprints or record["metric"] != view.metric:
                continue
            yield from _picture(name, record, view.competition.metric.title)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # not of compete's own making


def _picture(name: str, record: Record, metric: str) -> Iterator[Picture]:
    model, repeats = str(record["model"]), int(record["repeats"])
    table = list(record["table"])
    if record["kind"] == "folds":
        share = float(record["aside"])
        yield Picture(
            f"study_{name}",
            "models",
            f"How many folds: {model}",
            f"{metric} of {repeats} repeats, in each of which {share:.0%} of the rows are set aside. Bars: standard "
            "deviation over the repeats, which share rows. Below: training of all folds.",
            partial(folds_figure, table, _by_repeat(record), metric),
        )
    elif record["kind"] == "setting" and record["differences"]:
        yield Picture(
            f"study_{name}",
            "models",
            f"{record['setting']} of {model}",
            f"How much better the honest score is than with {record['reference']}, mean of {repeats} seeds, with the "
            "interval of resampled rows and seeds. Grey: what two seeds of one value lie apart.",
            partial(setting_figure, list(record["differences"]), float(record["seeds"]["spread"]), metric),
        )


def _records(workspace: Workspace) -> Iterator[tuple[str, Record]]:
    for path in sorted(workspace.studies.glob("*/study.json")):
        try:
            record = read_json(workspace.study_record(path.parent.name))
        except (OSError, ValueError, UserError):
            continue
        if isinstance(record, dict):
            yield path.parent.name, record


def _by_repeat(record: Record) -> dict[str, np.ndarray[Any, Any]]:
    """Honest score, and of the mean of the models on the rows aside: (n_arms, n_repeats) each."""
    arms = [arm["name"] for arm in record["arms"]]
    return {
        key: np.array([[float(each[key]) for each in record["scores"][arm]] for arm in arms])
        for key in ("honest", "mean_aside")
    }


def folds_figure(table: list[Record], scores: Mapping[str, np.ndarray[Any, Any]], metric: str) -> Figure:
    """Honest score and score on the rows aside of every arm; below each what it costs."""
    figure = new_figure(4.2)
    axes = figure.subplots()
    places = np.arange(len(table), dtype=np.float64)
    for key, shift, colour, marker, label in (
        ("honest", -0.08, BLUE, "o", "honest score"),
        ("mean_aside", 0.08, ORANGE, "s", "mean of the K models on the rows aside"),
    ):
        found = scores[key]
        spread = found.std(axis=1, ddof=1) if found.shape[1] > 1 else np.zeros(len(found))
        axes.errorbar(places + shift, found.mean(axis=1), yerr=spread, fmt=marker, color=colour, capsize=3, label=label)
    axes.set_xticks(places, [f"{shortened(str(row['arm']), 24)}\n{time_text(float(row['seconds']))}" for row in table])
    axes.margins(x=0.1)
    axes.set_ylabel(metric)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handletextpad=0.4)
    return figure


def setting_figure(differences: list[Record], spread: float, metric: str) -> Figure:
    """Difference to the reference of every value, with its interval, over what seeds lie apart."""
    figure = new_figure(1.4 + 0.34 * len(differences))
    axes = figure.subplots()
    places = np.arange(len(differences), dtype=np.float64)
    axes.axvspan(-spread, spread, color=MUTED, alpha=0.2, linewidth=0)
    axes.axvline(0, color=INK, linewidth=1)
    for place, row in zip(places, differences, strict=True):
        gain, low, high = float(row["gain"]), float(row["low"]), float(row["high"])
        colour = BLUE if row["called"] else MUTED
        axes.errorbar(gain, place, xerr=[[gain - low], [high - gain]], fmt="o", color=colour, capsize=3)
    axes.set_yticks(places, [shortened(str(row["arm"]), 40) for row in differences])
    axes.set_ylim(len(differences) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{metric}: better by")
    return figure
