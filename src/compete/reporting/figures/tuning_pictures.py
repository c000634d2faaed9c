"""Which figures the tunings of a workspace give; none where there is no tuning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from compete.base_models.recipes import load_recipe
from compete.errors import CompeteError
from compete.experiments.tuning.stored import StudyRecord
from compete.experiments.tuning.tuned_recipe import tuned_name
from compete.reporting.figures.picture import Drawings, Picture
from compete.reporting.figures.tuning_figures import Promise, history_figure, promise_figure, slice_figure
from compete.reporting.view import View


def of_tunings(view: View) -> Drawings:
    """Of every recipe that was tuned: its trials, plain and nested, and what they promised."""
    metric = view.competition.metric.title
    for name, studies in view.tunings.items():
        for is_nested in (False, True):
            shown = _shown([study for study in studies if study.about.nested is is_nested and study.done])
            if shown:
                yield from _of_studies(name, shown, metric, is_nested=is_nested)
        rows = _promises(view, name, studies)
        if any(row.honest is not None for row in rows):
            yield Picture(
                f"tuning_promise_{name}",
                "models",
                f"What tuning {name} promised, and what came",
                "Validation rows lie inside the training folds and are fewer, and the best of many trials was taken on "
                "them; out of fold every row is scored, by models of more rows. The two need not agree: that the tuned "
                "recipe is better than the shipped one is told by the green points alone, and those of plain tuning "
                "are a little flattered, since every fold's labels helped to choose.",
                partial(promise_figure, rows, metric),
            )


def _of_studies(name: str, studies: Sequence[StudyRecord], metric: str, *, is_nested: bool) -> Drawings:
    about, stem = studies[0].about, tuned_name(name, is_nested=is_nested)
    trained = f"{about.rows:.0%} of the rows" if about.rows < 1 else "all rows"
    where = "every fold by itself" if is_nested else f"{len(about.folds)} of {about.k} folds"
    given_up = sum(trial.state == "given up" for study in studies for trial in study.trials)
    more = f" {given_up} trials were given up early and are not shown." if given_up else ""
    yield Picture(
        f"tuning_history_{stem}",
        "models",
        f"Tuning {name}{' fold by fold' if is_nested else ''}: trial by trial",
        f"Each point is a trial, scored on rows that were set aside inside the training folds ({where}, {trained}, "
        f"size {about.size}). The line is the best so far.{more}",
        partial(history_figure, studies, metric),
    )
    yield Picture(
        f"tuning_slices_{stem}",
        "models",
        f"Tuning {name}{' fold by fold' if is_nested else ''}: setting by setting",
        "The same trials by the value of every setting; the best in orange. The other settings differ too: a slope is "
        "a hint, no effect.",
        partial(slice_figure, studies, metric),
    )


def _shown(studies: Sequence[StudyRecord]) -> list[StudyRecord]:
    """The studies of the latest conditions: one, or of a nested tuning one per fold."""
    if not studies:
        return []
    last = studies[-1].about
    return [
        study
        for study in studies
        if (study.about.identity, study.about.rows_identity, study.about.rows, study.about.seed, study.about.space)
        == (last.identity, last.rows_identity, last.rows, last.seed, last.space)
        and (study.about.nested or study.about.folds == last.folds)
    ]


def _promises(view: View, name: str, studies: Sequence[StudyRecord]) -> list[Promise]:
    """The shipped recipe and those that were made of it."""
    plain = _shown([study for study in studies if not study.about.nested and study.done])
    shipped = plain[0].as_shipped.score if plain and plain[0].as_shipped else None
    rows = [_promise(view, name, shipped)]
    for is_nested in (False, True):
        made = tuned_name(name, is_nested=is_nested)
        try:
            tuned = load_recipe(view.workspace, made).declaration.tuned
        except CompeteError:
            continue
        rows.append(_promise(view, made, None if tuned is None else tuned.promise))
    return rows


def _promise(view: View, name: str, validation: float | None) -> Promise:
    found = view.base_models.get(name)
    if found is None:
        return Promise(name, validation, None, None)
    return Promise(name, validation, found.score.honest, (found.score.low, found.score.high))
