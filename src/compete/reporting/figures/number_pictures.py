"""The pictures of the catalogue that are of numbers and grades alone."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compete.oof.results import Result
from compete.reporting.figures import confusion_figures, label_figures, number_figures
from compete.reporting.figures.picture import Drawings, NotDrawn, Picture, some_rows
from compete.reporting.view import View
from compete.stacking.ensemble.grade_cuts import graded, rounding_cuts

# Numbers of so many targets can still be told apart, panel by panel.
_MOST_TARGETS = 12


def of_data(view: View) -> Drawings:
    competition, grades = view.competition, view.competition.task.grades
    yield Picture(
        "targets",
        "data",
        "How often each grade occurs" if grades else "How the numbers lie",
        f"Of the training rows; dashed: the mean.{_first(view)} Models are drawn to where most rows lie: what is rare "
        "at the ends is predicted too near to the middle.",
        lambda: number_figures.distribution_figure(
            view.labels[:_MOST_TARGETS], competition.train_targets[:, :_MOST_TARGETS], grades
        ),
    )


def of_chosen(view: View) -> Drawings:
    chosen, competition = view.chosen, view.competition
    if chosen is None:
        yield NotDrawn("stack", "Predicted against true, residuals", "nothing is trained yet")
        return
    rows = some_rows(len(competition.train_ids))
    truth = competition.train_targets[rows, :_MOST_TARGETS]
    names, grades, first = view.labels[:_MOST_TARGETS], competition.task.grades, _first(view)

    before = ", before numbers become grades" if grades else ""

    def predicted() -> NDArray[np.float32]:
        return view.probabilities(chosen.name).oof[rows, :_MOST_TARGETS]

    if grades:
        yield Picture(
            "predicted_true",
            "stack",
            f"Predicted against true: {chosen.title}",
            "For every true grade the middle half of the out-of-fold predictions, their median, and whiskers from the "
            "5th to the 95th of 100. On the dotted line the prediction is the grade; boxes that hardly climb say that "
            f"grades are hardly told apart.{first}",
            lambda: number_figures.graded_figure(names, truth, predicted(), grades),
        )
    else:
        yield Picture(
            "predicted_true",
            "stack",
            f"Predicted against true: {chosen.title}",
            "Out of fold. On the dotted line both are equal; a cloud that is steeper than it says that the predictions "
            f"are drawn too near to the mean, a flatter one that they spread too far.{first}",
            lambda: number_figures.predicted_true_figure(names, truth, predicted()),
        )
    yield Picture(
        "residuals",
        "stack",
        f"How far off the predictions are: {chosen.title}",
        f"Predicted minus true, out of fold{before}; dashed: the mean, which is the bias. At the right against what is "
        "predicted, with the means of ten stretches of as many rows: where these leave zero, predictions of that size "
        f"are off on average.{first}",
        lambda: number_figures.residual_figure(names, truth, predicted()),
    )
    if not grades:
        return
    yield from _of_grades(view, chosen)


def _of_grades(view: View, chosen: Result) -> Drawings:
    competition, grades = view.competition, view.competition.task.grades
    names = view.labels[:_MOST_TARGETS]
    cuts = chosen.score.decision.get("cuts")
    if cuts is not None:
        rows = some_rows(len(competition.train_ids))
        yield Picture(
            "cuts",
            "stack",
            f"Where numbers become grades: {chosen.title}",
            "The out-of-fold predictions, and the cuts that decide the test rows, with the grade between them. A grade "
            f"without room is hardly ever given.{_first(view)}",
            lambda: number_figures.cuts_figure(
                names, view.probabilities(chosen.name).oof[rows, :_MOST_TARGETS], np.array(cuts)[:_MOST_TARGETS], grades
            ),
        )
    how = (
        "Every row is graded by cuts that were found on other folds."
        if cuts is not None
        else f"{view.competition.metric.title} decides nothing; here every number is given the nearest grade."
    )
    yield Picture(
        "confusion",
        "stack",
        f"Which grade is taken for which: {chosen.title}",
        f"{how} A row adds up to 100 %; on the diagonal grades are right, and what lies far from it costs most.",
        partial(_confusion, view, chosen),
    )


def of_targets(view: View) -> Drawings:
    if not view.shown:
        yield NotDrawn("labels", "Errors of every model, target by target", "nothing is trained yet")
        return
    if len(view.labels) == 1:
        decided = view.competition.task.grades and view.competition.metric.decides
        yield Picture(
            "target_scores",
            "labels",
            f"Errors of every model: {view.labels[0]}",
            f"Of the honest {'grades' if decided else 'predictions'}, the best model on top. RMSE counts large errors "
            "more than MAE does; a model that is better in one and worse in the other errs rarely and far, or often "
            "and little.",
            partial(_errors, view),
        )
        return
    yield Picture(
        "target_scores",
        "labels",
        "Correlation of predicted and true, every target and model",
        "Pearson correlation of the honest predictions with what is true, which can be compared between targets of "
        "other scales. The best model on top; 0 for one that is constant.",
        partial(_pearson, view),
    )


def _errors(view: View) -> Figure:
    name, ranked = view.labels[0], view.ranked
    scores = [shown.score.targets[name] for shown in ranked]
    columns = {"RMSE": [s.rmse for s in scores], "MAE": [s.mae for s in scores], "Pearson": [s.pearson for s in scores]}
    right = [s.right for s in scores if s.right is not None]
    if right:
        columns["right grades, %"] = [100 * share for share in right]
    return number_figures.error_figure([shown.title.removeprefix("base model ") for shown in ranked], columns)


def _pearson(view: View) -> Figure:
    values = np.array([[shown.score.targets[name].pearson for name in view.labels] for shown in view.ranked])
    names = [shown.title.removeprefix("base model ") for shown in view.ranked]
    return label_figures.heatmap_figure(names, view.labels, values, "Pearson")


def _confusion(view: View, chosen: Result) -> Figure:
    grades = np.array(view.competition.task.grades)
    truth = view.competition.train_targets[:, :_MOST_TARGETS].astype(np.float64)
    if "cuts" in chosen.score.decision:
        given = np.asarray(view.decisions(chosen.name), dtype=np.float64)[:, :_MOST_TARGETS]
    else:
        numbers = view.probabilities(chosen.name).oof[:, :_MOST_TARGETS]
        given = np.column_stack([graded(column, rounding_cuts(grades), grades) for column in numbers.T])
    tables = [
        (name, confusion_figures.confusion(_places(true, grades), _places(of, grades), len(grades)))
        for name, true, of in zip(view.labels, truth.T, given.T, strict=False)
    ]
    return confusion_figures.confusion_figure([f"{grade:g}" for grade in grades], tables, "grade")


def _places(values: NDArray[np.float64], grades: NDArray[np.float64]) -> NDArray[np.intp]:
    """Of each value the place of its grade; float32 and float64 of one grade may differ in the last digits."""
    return np.asarray(np.abs(values[:, None] - grades).argmin(axis=1), dtype=np.intp)


def _first(view: View) -> str:
    return f" The first {_MOST_TARGETS} targets." if len(view.labels) > _MOST_TARGETS else ""
