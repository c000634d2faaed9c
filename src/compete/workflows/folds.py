"""The fold plan: rows and label rates of every fold, or the means of what is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from compete.competition.near_identical import large_groups
from compete.competition.planned import Planned
from compete.competition.rare_labels import rare_sentence
from compete.competition.seen_rows import seen_sentences
from compete.competition.shape import Targets
from compete.competition.workspace import Workspace
from compete.oof.fold_plan import with_plan
from compete.workflows.session import Say, exclusively, load, silent


@dataclass(frozen=True)
class FoldTable:
    """The plan, and what it divides."""

    planned: Planned = field(repr=False)
    rows: Sequence[int]
    """Of all training rows, then of every fold."""

    @property
    def rates(self) -> Sequence[tuple[str, Sequence[float]]]:
        """Shares of these rows that have each label or class; of one graded target, each grade. Else there are none."""
        task = self.planned.competition.task
        if task.gives_probabilities:
            return self.planned.label_rates_by_fold()
        if task.kind == "grades" and len(task.outputs) == 1:
            return [(name, _shares(of[:, 0], task.grades)) for name, of in self.planned.targets_by_fold()]
        return []

    @property
    def rated(self) -> Sequence[str]:
        """What `rates` are of."""
        task = self.planned.competition.task
        return task.outputs if task.gives_probabilities else [f"{task.outputs[0]} {grade:g}" for grade in task.grades]

    @property
    def means(self) -> Sequence[Sequence[float]]:
        """Means of the outputs, of all training rows, then of every fold."""
        return [of.mean(axis=0, dtype=np.float64).tolist() for _, of in self.planned.targets_by_fold()]

    @property
    def spreads(self) -> Sequence[Sequence[float]]:
        """Their standard deviations."""
        return [of.std(axis=0, dtype=np.float64).tolist() for _, of in self.planned.targets_by_fold()]

    @property
    def parts(self) -> list[Mapping[str, Mapping[str, object]]]:
        """All of this by name, as `compete folds --json` has it."""
        task = self.planned.competition.task
        if task.gives_probabilities:
            return [{"label_rates": dict(zip(task.outputs, of, strict=True))} for _, of in self.rates]
        found: list[Mapping[str, Mapping[str, object]]] = []
        of_folds = zip(self.planned.targets_by_fold(), self.means, self.spreads, strict=True)
        for (_, targets), means, spreads in of_folds:
            part = {
                "means": dict(zip(task.outputs, means, strict=True)),
                "spreads": dict(zip(task.outputs, spreads, strict=True)),
            }
            found.append(
                {**part, "grade_rates": _grade_rates(targets, task.outputs, task.grades)} if task.grades else part
            )
        return found

    @property
    def table(self) -> pd.DataFrame:
        """Label rates, or means of numbers and grades: a row for all of train ("all") and one per fold; the first
        column is the number of rows."""
        names = [name for name, _ in self.planned.targets_by_fold()]
        frame = pd.DataFrame(
            self.means,
            columns=list(self.planned.competition.labels),
            index=pd.Index(names, name="fold"),
        )
        # A label may be called "rows".
        frame.insert(0, "rows", list(self.rows), allow_duplicates=True)
        return frame


def folds(workspace: Workspace, *, say: Say = silent) -> FoldTable:
    """The plan in force; makes it if there is none."""
    with exclusively(workspace, say, reading=True):
        planned = with_plan(load(workspace, say))
    competition, plan = planned.competition, planned.plan
    share = " and share a fold" if competition.declaration.folds.column is None else ""
    for count, text in large_groups(competition.train_texts, competition.alike):
        shown = text if len(text) <= 60 else f"{text[:59]}…"
        say(f"{count} rows have nearly the same text{share}: {shown!r}")
    if (rare := rare_sentence(planned.learnt, plan.k)) is not None:
        say(rare)
    for sentence in seen_sentences(competition, plan):
        say(sentence)
    return FoldTable(planned, [len(competition.train_ids), *(len(plan.rows(fold)) for fold in range(plan.k))])


def _shares(column: Targets, grades: Sequence[float]) -> list[float]:
    """Share of the rows (n_rows,) that have each grade."""
    return [float((column == np.float32(grade)).mean()) for grade in grades]


def _grade_rates(targets: Targets, names: Sequence[str], grades: Sequence[float]) -> dict[str, object]:
    """By target and grade."""
    shown = [f"{grade:g}" for grade in grades]
    columns = zip(names, targets.T, strict=True)
    return {name: dict(zip(shown, _shares(column, grades), strict=True)) for name, column in columns}
