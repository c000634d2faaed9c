"""What moved the score: every scored run, and the best score so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from compete.experiments.run_log import Step, road
from compete.reporting.figures.picture import NotDrawn, Picture
from compete.reporting.figures.style import BLUE, GREEN, MUTED, new_figure, shortened
from compete.reporting.view import View

_MOST_CHANGES = 44  # letters beside a point
_MOST_POINTS = 12  # more would have their words run into each other


@dataclass(frozen=True)
class RoadPoint:
    """A scored run."""

    title: str
    """Its model or stack."""
    score: float
    best: float
    """The best score so far."""
    interval: tuple[float, float] | None
    better: bool
    """Whether it beat the best before it."""
    changes: str
    """What changed since its last run."""


def road_figure(points: Sequence[RoadPoint], metric: str, sign: int = 1) -> Figure:
    """Scores of runs in their order; the line is the best so far, words stand where it moved."""
    figure = new_figure(4.6)
    axes = figure.subplots()
    places = range(1, len(points) + 1)
    axes.step(list(places), [point.best for point in points], where="post", color=GREEN, label="best so far")
    for better, colour, label in ((True, BLUE, "better than all before"), (False, MUTED, "another run")):
        chosen = [(place, point) for place, point in zip(places, points, strict=True) if point.better is better]
        if not chosen:
            continue
        scores = [point.score for _, point in chosen]
        ends = [point.interval or (point.score, point.score) for _, point in chosen]
        errors = [
            [max(0.0, score - low) for score, (low, _) in zip(scores, ends, strict=True)],
            [max(0.0, high - score) for score, (_, high) in zip(scores, ends, strict=True)],
        ]
        axes.errorbar(
            [place for place, _ in chosen], scores, yerr=errors, fmt="o", color=colour, capsize=3, label=label
        )
    told = [(place, point) for place, point in zip(places, points, strict=True) if point.better][-_MOST_POINTS:]
    for place, point in told:
        words = shortened(point.title, 24) + (f"\n{shortened(point.changes, _MOST_CHANGES)}" if point.changes else "")
        # The line comes from the left, below: words have room there, but at its beginning.
        leftwards = place > max(2, len(points) / 4)
        axes.annotate(
            words,
            (place, point.score),
            xytext=(-7 if leftwards else 7, 6 * sign),
            textcoords="offset points",
            ha="right" if leftwards else "left",
            va="bottom" if sign > 0 else "top",
            fontsize=8,
            color=MUTED,
        )
    axes.margins(x=0.08, y=0.18)
    axes.set_xlabel("scored runs, in their order")
    axes.set_ylabel(metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower right" if sign > 0 else "upper right")
    return figure


def of_runs(view: View) -> Iterator[Picture | NotDrawn]:
    """The road of a workspace, from its log."""
    title, metric = "What moved the score", view.competition.metric
    points = road_points(road(view.log_of_runs.runs, metric.sign, metric.name))
    if len(points) < 2:
        yield NotDrawn("experiments", title, "the log has fewer than two runs with a score")
        return
    yield Picture(
        "road",
        "experiments",
        title,
        f"Honest {metric.title} of every run that trained, built or brought in a whole model or stack, with its 95 % "
        "interval, in the order of the log. Beside a run that beat all before it stands what changed since the last "
        "run of the same name. Many runs on the same rows make the best of them look better than it is.",
        partial(road_figure, points, metric.title, metric.sign),
    )


def road_points(steps: Sequence[Step]) -> list[RoadPoint]:
    """The runs of a road as they are drawn."""
    found = []
    for step in steps:
        run = step.logged.run
        known = run.low is not None and run.high is not None and run.honest == step.score
        interval = (run.low or 0.0, run.high or 0.0) if known else None
        better = step.number == 1 or step.is_better
        found.append(RoadPoint(run.name, step.score, step.best, interval, better, "; ".join(step.logged.changes)))
    return found
