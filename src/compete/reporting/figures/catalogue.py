"""Every figure of a workspace: its name, its caption, how it is drawn; and why one is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compete.oof.results import Result
from compete.reporting.figures import label_figures, probability_figures, score_figures
from compete.reporting.figures.score_rows import score_rows, submission_rows
from compete.reporting.figures.style import SERIES, Draw
from compete.reporting.view import View
from compete.stacking.ensemble.label_rates import LabelRates, estimate_rates, rates_from
from compete.stacking.leave_one_out import error_correlation, kept_contributions

Section = Literal["data", "models", "labels", "stack", "submissions"]
# More rows than that do not change a picture, and cost time and memory.
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn."""

    name: str
    """Of its files, and of the figure in `Opened.figure`."""
    section: Section
    title: str
    caption: str
    draw: Draw


@dataclass(frozen=True)
class NotDrawn:
    """A figure that this workspace cannot give, and what would change that."""

    section: Section
    title: str
    why: str


@dataclass
class Catalogue:
    pictures: list[Picture] = field(default_factory=list)
    missing: list[NotDrawn] = field(default_factory=list)


def catalogue(view: View) -> Catalogue:
    """Every figure in the order of the report; nothing is drawn yet."""
    found = Catalogue()
    for part in (_of_data, _of_scores, _of_curves, _of_stack, _of_chosen, _of_labels, _of_submissions):
        for each in part(view):
            (found.pictures if isinstance(each, Picture) else found.missing).append(each)  # type: ignore[arg-type]
    return found


Drawings = Iterator[Picture | NotDrawn]


def _of_data(view: View) -> Drawings:
    competition, chosen = view.competition, view.chosen
    caption = "Share of the rows with the label."
    if chosen:
        caption += (
            f" The test set has no labels: its rates are estimated, with 95 % intervals, from the probabilities of "
            f"{chosen.title}. That holds if rows with the same labels look alike in train and in test. Where half of a "
            "rate cannot be told from twice of it, none is shown."
        )
    yield Picture(
        "label_rates",
        "data",
        "How often each label occurs",
        caption,
        partial(_rates, view),
    )
    yield Picture(
        "co_occurrence",
        "data",
        "Which labels occur together",
        "Of the rows that have the label on the left, the share that also has the one below"
        + (
            "; where prediction and data differ, the models miss or invent a tie between labels."
            if chosen and competition.metric.decides
            else "."
        ),
        partial(_co_occurrence, view),
    )


def _of_scores(view: View) -> Drawings:
    title = "Validation, public and private score"
    if not view.shown:
        yield NotDrawn("models", title, "nothing is trained yet: `compete train-base --all`")
        return
    metric = view.competition.metric
    rows = score_rows(view)
    yield Picture(
        "scores",
        "models",
        title,
        f"Honest {metric.title} on the training rows with its 95 % interval: nothing that scores a row was fitted on "
        "it. Public and private: of the last submission of these very probabilities, where there is one.",
        partial(score_figures.score_figure, rows, metric.title),
    )
    yield Picture(
        "honest_naive",
        "models",
        "Honest against naive score",
        "The naive score is fitted and scored on the same rows, as in most notebooks. The difference is what it "
        "flatters by.",
        partial(score_figures.optimism_figure, rows, metric.title, metric.sign),
    )
    timed = [row for row in rows if row.hours > 0]
    if len(timed) > 1:
        yield Picture(
            "cost",
            "models",
            "What a score costs",
            "Hours of training, all folds, against honest score with its 95 % interval. The dashed line joins the "
            "models that no cheaper one beats.",
            partial(score_figures.cost_figure, timed, metric.title, metric.sign),
        )
    else:
        yield NotDrawn("models", "What a score costs", "fewer than two base models were trained here")


def _of_curves(view: View) -> Drawings:
    drawn = False
    for name in view.base_models:
        curves = view.curves(name)
        if probability_figures.has_losses(curves):
            drawn = True
            yield Picture(
                f"curves_{name}",
                "models",
                f"Training of {name}",
                "Loss by epoch, one pair of lines per fold. Validation rows are part of the training folds, kept apart "
                "to choose the epoch; the held-out fold is not looked at.",
                partial(probability_figures.curve_figure, curves),
            )
    if not drawn:
        yield NotDrawn("models", "Training curves", "no base model here trains in epochs")


def _of_stack(view: View) -> Drawings:
    models = list(view.base_models)
    if len(models) > 1:
        yield Picture(
            "error_correlation",
            "stack",
            "How alike the base models err",
            "Correlation of label minus probability, mean over labels. Models that err alike add little to each other.",
            partial(_correlation, view, models),
        )
    else:
        yield NotDrawn("stack", "How alike the base models err", "it takes two base models")
    title = "What each base model adds"
    told = [(stack, kept_contributions(stack.folder, stack.record)) for stack in _chosen_first(view)]
    stack, parts = next(((stack, parts) for stack, parts in told if parts), (None, None))
    if stack is None or parts is None:
        why = "`compete stack --leave-one-out` finds out" if told else "no stack is built yet: `compete stack`"
        yield NotDrawn("stack", title, why)
        return
    hours = [view.survey.states[each.model].seconds / 3600 for each in parts]
    yield Picture(
        "leave_one_out",
        "stack",
        title,
        f"How much better the honest score of {stack.title} is with this base model than without it, with the 95 % "
        "interval of the difference. One model is left out at a time: of two that say the same each can go, not both.",
        partial(score_figures.leave_one_out_figure, parts, view.competition.metric.title, hours),
    )


def _chosen_first(view: View) -> list[Result]:
    """The stacks; of several the chosen one before the others."""
    return sorted(view.stacked.values(), key=lambda stack: stack is not view.chosen)


def _of_chosen(view: View) -> Drawings:
    chosen, competition = view.chosen, view.competition
    if chosen is None:
        yield NotDrawn("stack", "Reliability and precision-recall curves", "nothing is trained yet")
        return
    rows = some_rows(len(competition.train_ids))
    truth = competition.train_targets[rows]
    yield Picture(
        "reliability",
        "stack",
        f"Whether probabilities mean what they say: {chosen.title}",
        "Share of the rows that have the label against their out-of-fold probability, with 95 % intervals. On the "
        "dotted line a probability of 0.3 is right three times in ten.",
        lambda: probability_figures.reliability_figure(
            competition.labels, truth, view.probabilities(chosen.name).oof[rows]
        ),
    )
    some = [chosen, *(shown for shown in view.ranked if shown is not chosen)][: len(SERIES)]
    yield Picture(
        "reliability_models",
        "stack",
        "Whether probabilities mean what they say: the best models",
        "All labels together.",
        lambda: probability_figures.pooled_reliability_figure(
            [(shown.title.removeprefix("base model "), view.probabilities(shown.name).oof[rows]) for shown in some],
            truth,
        ),
    )
    yield Picture(
        "precision_recall",
        "stack",
        f"Precision and recall at every threshold: {chosen.title}",
        f"Out of fold. {_threshold_shown(chosen)}Grey: lines of equal F1, 0.2 to 0.8.",
        lambda: probability_figures.precision_recall_figure(
            competition.labels, truth, view.probabilities(chosen.name).oof[rows], chosen.score.labels
        ),
    )


def _threshold_shown(shown: Result) -> str:
    cuts = [label.threshold for label in shown.score.labels.values() if label.threshold is not None]
    if not cuts:
        return "Decisions are made row by row, by no threshold. "
    if shown.rule == "half":
        return "The point is a threshold of 0.5. "
    return (
        "The point is the threshold that is used, the thick part of the curve where the thresholds of the folds lie (a "
        "standard deviation to each side): the longer it is, the less is known. "
    )


def _of_labels(view: View) -> Drawings:
    if not view.shown:
        yield NotDrawn("labels", "Precision, recall and F1 per label", "nothing is trained yet")
        return
    rates = view.competition.label_rates
    ranked = view.ranked
    yield Picture(
        "label_f1",
        "labels",
        "F1 of every label and model",
        f"{_decided(view)} The best model on top, the most frequent label at the left.",
        partial(_heatmap, ranked, rates),
    )
    for shown in ranked:
        yield Picture(
            f"labels_{shown.name}",
            "labels",
            f"Precision, recall and F1: {shown.title}",
            f"{_decided(view)} In brackets how often the label occurs in train.",
            partial(label_figures.label_score_figure, shown.score.labels, rates),
        )


def _decided(view: View) -> str:
    if not view.competition.metric.decides:
        return f"{view.competition.metric.title} decides nothing; here a label is predicted from 0.5 on."
    return "Decided row by row by what was fitted on other folds."


def _of_submissions(view: View) -> Drawings:
    rows = submission_rows(view)
    metric = view.competition.metric.title
    if not rows:
        why = "nothing was submitted yet" if not view.entries else "no submission has a score yet"
        yield NotDrawn("submissions", "What was expected, and what came", f"{why}: `compete submit`, `compete scores`")
        return
    yield Picture(
        "leaderboard",
        "submissions",
        "What was expected, and what came",
        "The range that holds 95 of 100 scores if the test rows are drawn as the training rows are, written down "
        "before the file was sent; and the scores. A score inside its range is explained by chance.",
        partial(score_figures.leaderboard_figure, rows, metric),
    )
    if any(row.private is not None for row in rows):
        yield Picture(
            "public_private",
            "submissions",
            "Public against private score",
            "Grey: where both were expected. A point off the dotted line was shaken up; inside the cross, by chance.",
            partial(score_figures.shake_up_figure, rows, metric),
        )
    else:
        yield NotDrawn("submissions", "Public against private score", "no private score is revealed yet")


def some_rows(count: int) -> NDArray[np.intp] | slice:
    """All rows, or a chance sample of them where they are very many; always the same one."""
    if count <= MOST_ROWS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(count, size=MOST_ROWS, replace=False))


def estimated_test_rates(view: View, shown: Result) -> LabelRates:
    """Rates of the labels in the test set, as far as they can be told."""
    if shown.is_stack:  # told by its base models: its own test probabilities may be corrected for these rates already
        return rates_from(shown.record["test rates"])
    found = view.probabilities(shown.name)
    return estimate_rates(view.competition.train_targets, found.oof, found.test)


def _rates(view: View) -> Figure:
    train = view.competition.train_targets.mean(axis=0)
    test = estimated_test_rates(view, view.chosen) if view.chosen else None
    return label_figures.rate_figure(view.labels, train, test)


def _co_occurrence(view: View) -> Figure:
    competition, chosen = view.competition, view.chosen
    decided = view.decisions(chosen.name) if chosen and competition.metric.decides else None
    return label_figures.co_occurrence_figure(
        view.labels,
        label_figures.co_occurrence(competition.train_targets),
        None if decided is None else label_figures.co_occurrence(decided),
    )


def _correlation(view: View, models: Sequence[str]) -> Figure:
    rows = some_rows(len(view.competition.train_ids))
    oof = np.stack([view.probabilities(name).oof[rows] for name in models])
    return label_figures.correlation_figure(models, error_correlation(oof, view.competition.train_targets[rows]))


def _heatmap(ranked: Sequence[Result], rates: dict[str, float]) -> Figure:
    labels = sorted(rates, key=lambda label: -rates[label])
    values = np.array([[shown.score.labels[label].f1 for label in labels] for shown in ranked])
    names = [shown.title.removeprefix("base model ") for shown in ranked]
    return label_figures.heatmap_figure(names, labels, values, "F1")
