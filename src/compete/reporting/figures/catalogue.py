"""Every figure of a workspace: its name, its caption, how it is drawn; and why one is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from compete.oof.results import Result
from compete.reporting.figures import (
    confusion_figures,
    label_figures,
    number_pictures,
    probability_figures,
    score_figures,
    study_figures,
)
from compete.reporting.figures.picture import Drawings, NotDrawn, Picture, some_rows
from compete.reporting.figures.road_figures import of_runs
from compete.reporting.figures.score_rows import score_rows, submission_rows
from compete.reporting.figures.style import SERIES
from compete.reporting.figures.tuning_pictures import of_tunings
from compete.reporting.view import View
from compete.stacking.ensemble.label_rates import LabelRates, estimate_rates, rates_from
from compete.stacking.leave_one_out import error_correlation, kept_contributions


@dataclass
class Catalogue:
    pictures: list[Picture] = field(default_factory=list)
    missing: list[NotDrawn] = field(default_factory=list)


def catalogue(view: View) -> Catalogue:
    """Every figure in the order of the report; nothing is drawn yet."""
    found = Catalogue()
    for part in _parts(view):
        for each in part(view):
            (found.pictures if isinstance(each, Picture) else found.missing).append(each)  # type: ignore[arg-type]
    return found


def _parts(view: View) -> list[Callable[[View], Drawings]]:
    if view.competition.task.gives_probabilities:
        return [
            _of_data,
            _of_scores,
            study_figures.of_studies,
            _of_curves,
            of_tunings,
            _of_stack,
            _of_chosen,
            _of_labels,
            _of_submissions,
            of_runs,
        ]
    numbers = (number_pictures.of_data, number_pictures.of_chosen, number_pictures.of_targets)
    with_numbers = [study_figures.of_studies, _of_curves, of_tunings, _of_stack, *numbers[1:], _of_submissions, of_runs]
    return [numbers[0], _of_scores, *with_numbers]


def _of_data(view: View) -> Drawings:
    competition, chosen = view.competition, view.chosen
    classes = competition.task.kind == "classes"
    caption = "Share of the rows that are of the class." if classes else "Share of the rows with the label."
    if chosen and classes:
        caption += (
            f" The classes of the test set are not known: their rates are estimated, with 95 % intervals, from the "
            f"probabilities of {chosen.title}. That holds if rows of one class look alike in train and in test. Where "
            "half of a rate cannot be told from twice of it, none is shown."
        )
    elif chosen:
        caption += (
            f" The test set has no labels: its rates are estimated, with 95 % intervals, from the probabilities of "
            f"{chosen.title}. That holds if rows with the same labels look alike in train and in test. Where half of a "
            "rate cannot be told from twice of it, none is shown."
        )
    yield Picture(
        "label_rates",
        "data",
        f"How often each {competition.task.noun} occurs",
        caption,
        partial(_rates, view),
    )
    if classes or competition.task.name == "binary":  # nothing occurs beside another
        return
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
            f"{_errors(view)} Models that err alike add little to each other.",
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


def _errors(view: View) -> str:
    if not view.competition.task.gives_probabilities:
        return "Correlation of the residuals, mean over targets."
    if view.competition.task.kind == "classes":
        return "Correlation of class (1 or 0) minus probability, mean over classes."
    return "Correlation of label minus probability, mean over labels."


def _chosen_first(view: View) -> list[Result]:
    """The stacks; of several the chosen one before the others."""
    return sorted(view.stacked.values(), key=lambda stack: stack is not view.chosen)


def _of_chosen(view: View) -> Drawings:
    chosen, competition = view.chosen, view.competition
    classes, noun = competition.task.kind == "classes", competition.task.noun
    if chosen is None:
        what = "Confusion of classes, reliability" if classes else "Reliability and precision-recall curves"
        yield NotDrawn("stack", what, "nothing is trained yet")
        return
    rows = some_rows(len(competition.train_ids))
    truth = competition.train_targets[rows]
    has = "are of the class" if classes else "have the label"
    if classes:
        few = len(competition.labels) <= confusion_figures.MOST_COUNTS
        counts = "; below its share the number of rows" if few else ""
        yield Picture(
            "confusion",
            "stack",
            f"Which class is taken for which: {chosen.title}",
            f"{_decided(view)} A row adds up to 100 %{counts}. On the diagonal classes are "
            "right; two classes that are taken for each other may need a clearer line, or are one.",
            partial(_confusion, view, chosen),
        )
    yield Picture(
        "reliability",
        "stack",
        f"Whether probabilities mean what they say: {chosen.title}",
        f"Share of the rows that {has} against their out-of-fold probability, with 95 % intervals. On the "
        "dotted line a probability of 0.3 is right three times in ten.",
        lambda: probability_figures.reliability_figure(
            competition.labels, truth, view.probabilities(chosen.name).oof[rows], noun
        ),
    )
    some = [chosen, *(shown for shown in view.ranked if shown is not chosen)][: len(SERIES)]
    yield Picture(
        "reliability_models",
        "stack",
        "Whether probabilities mean what they say: the best models",
        "All classes together." if classes else "All labels together.",
        lambda: probability_figures.pooled_reliability_figure(
            [(shown.title.removeprefix("base model "), view.probabilities(shown.name).oof[rows]) for shown in some],
            truth,
            noun,
        ),
    )
    if classes:  # the highest is taken: no threshold cuts a curve
        return
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
    noun = view.competition.task.noun
    if not view.shown:
        yield NotDrawn("labels", f"Precision, recall and F1 per {noun}", "nothing is trained yet")
        return
    rates = view.competition.label_rates
    ranked = view.ranked
    yield Picture(
        "label_f1",
        "labels",
        f"F1 of every {noun} and model",
        f"{_decided(view)} The best model on top, the most frequent {noun} at the left.",
        partial(_heatmap, ranked, rates),
    )
    for shown in ranked:
        yield Picture(
            f"labels_{shown.name}",
            "labels",
            f"Precision, recall and F1: {shown.title}",
            f"{_decided(view)} In brackets how often the {noun} occurs in train.",
            partial(label_figures.label_score_figure, shown.score.labels, rates),
        )


def _decided(view: View) -> str:
    classes = view.competition.task.kind == "classes"
    if not view.competition.metric.decides:
        how = "the most probable class is taken" if classes else "a label is predicted from 0.5 on"
        return f"{view.competition.metric.title} decides nothing; here {how}."
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


def _confusion(view: View, chosen: Result) -> Figure:
    competition = view.competition
    decides = competition.metric.decides
    given = view.decisions(chosen.name) if decides else view.probabilities(chosen.name).oof
    true = competition.train_targets.argmax(axis=1)
    table = confusion_figures.confusion(true, np.asarray(given).argmax(axis=1), len(view.labels))
    return confusion_figures.confusion_figure(view.labels, [("", table)], "class")


def _correlation(view: View, models: Sequence[str]) -> Figure:
    rows = some_rows(len(view.competition.train_ids))
    oof = np.stack([view.probabilities(name).oof[rows] for name in models])
    return label_figures.correlation_figure(models, error_correlation(oof, view.competition.train_targets[rows]))


def _heatmap(ranked: Sequence[Result], rates: dict[str, float]) -> Figure:
    labels = sorted(rates, key=lambda label: -rates[label])
    values = np.array([[shown.score.labels[label].f1 for label in labels] for shown in ranked])
    names = [shown.title.removeprefix("base model ") for shown in ranked]
    return label_figures.heatmap_figure(names, labels, values, "F1")
