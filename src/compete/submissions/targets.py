"""Where submissions go: a small Protocol, and the local leaderboard that implements it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd

from compete.competition.column_names import bare, free_name, matched
from compete.competition.data import Competition
from compete.competition.layouts import separator_of
from compete.competition.metric_names import is_own
from compete.competition.metrics import Metric, find_metric
from compete.competition.reading import read_table
from compete.competition.row_ids import what_happened_to
from compete.competition.shape import Targets
from compete.competition.targets import target_matrix
from compete.competition.task import Task
from compete.errors import DataError, SubmissionError, UserError
from compete.submissions.csv_file import CheckedFile, check, named_as
from compete.submissions.form import Form, submission_form
from compete.submissions.kaggle.client import KaggleClient
from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard
from compete.submissions.ledger import Entry, Ledger, Outcome

_SCORED = ("Public", "Private")
_USAGES = {*_SCORED, "Ignored"}
_NO_LABEL = ("-1", "-1.0")


class Receiver(Protocol):
    """What takes a submission. Every method but `send` may be called again after a crash."""

    @property
    def name(self) -> str: ...

    def find(self, message: str, since: datetime) -> Outcome | None:
        """What became of the submission with this message, cut off after `since`; None if it never arrived."""
        ...

    def ready(self, file: CheckedFile) -> int | None:
        """Raise whatever would keep this file from being sent, before the ledger knows of it.

        Returns the submissions left today, None where the target does not count.
        """
        ...

    def send(self, file: CheckedFile, message: str) -> Outcome:
        """Send a file; it may be scored at once or only be on its way."""
        ...


class Target(Receiver, AbstractContextManager["Target"], Protocol):
    """A leaderboard, open within `with`."""

    counts: ClassVar[bool]
    """Whether a submission counts with others who watch: it is asked about first, and may be scored later."""

    @property
    def page(self) -> str | None:
        """Address where submissions are selected for the private leaderboard."""
        ...

    @property
    def notebook(self) -> str:
        """What is sent in the file's place; empty where the file is."""
        ...

    def refresh(self, ledger: Ledger) -> list[Entry]:
        """Bring the ledger to what the target knows by now; raises UserError where there is nothing to ask."""
        ...

    def reveal(self, ledger: Ledger) -> list[Entry]:
        """Bring the private scores into the ledger, as far as they are to be had."""
        ...


@dataclass(frozen=True)
class TrueColumns:
    """How train says what is true: a solution may say it so, or as a submission does."""

    id: str
    columns: Sequence[str]
    separator: str | None = None
    """Of several labels in a cell."""


@dataclass(frozen=True)
class LocalLeaderboard:
    """Scores files against a Kaggle-style solution.

    Nothing is counted but by the ledger: a submission that was cut off is simply scored again.
    """

    counts: ClassVar[bool] = False

    solution: Path | None
    """Id, what is true, and Usage, which is Public, Private or Ignored; rows with a label of -1 are not scored either.
    Without a solution (the labels of a running competition are not to be had) files are checked and recorded
    unscored."""
    form: Form
    metric: Metric
    true_columns: TrueColumns | None = None
    """None: as a submission's."""
    name: str = "local"
    page: None = None
    notebook: str = ""

    def __enter__(self) -> LocalLeaderboard:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing was opened."""

    def find(self, message: str, since: datetime) -> Outcome | None:
        return None

    def ready(self, file: CheckedFile) -> None:
        if self.solution is not None:
            self._score(file, self.metric, "Public")

    def send(self, file: CheckedFile, message: str) -> Outcome:
        if self.solution is None:
            return Outcome("sent", reference=file.path.name)
        return Outcome("scored", reference=file.path.name, public=self._score(file, self.metric, "Public"))

    def refresh(self, ledger: Ledger) -> list[Entry]:
        raise UserError('--refresh asks Kaggle, and [submission] target is "local": there is nothing to ask')

    def reveal(self, ledger: Ledger) -> list[Entry]:
        """Score everything that was sent here on the private rows, and record it."""
        for entry in ledger.entries():
            if entry.submission.target != self.name or entry.outcome.status not in ("scored", "sent"):
                continue
            path = ledger.file_of(entry)
            if not path.is_file():
                raise SubmissionError(f"{path} is gone, and its private score with it: put the file back")
            file = check(path, self.form)
            if file.content != entry.submission.content:
                raise SubmissionError(f"{path} is not the file that was sent as number {entry.number}: put it back")
            outcome = self.private_outcome(file, self._metric_of(entry), entry.outcome)
            if outcome != entry.outcome:
                ledger.record(entry.number, outcome)
        return ledger.entries()

    def private_outcome(self, file: CheckedFile, metric: Metric, outcome: Outcome) -> Outcome:
        """The outcome with the private score, under the metric it was sent for."""
        if self.solution is None:
            raise SubmissionError("there is no private score: competition.toml names no [submission] solution")
        # A public score that was given stays as it was, whatever happened to the solution since.
        public = self._score(file, metric, "Public") if outcome.public is None else outcome.public
        return Outcome("scored", outcome.reference, public, self._score(file, metric, "Private"))

    def _metric_of(self, entry: Entry) -> Metric:
        """The metric that a submission was sent for."""
        name = entry.submission.metric
        if name == self.metric.name:
            return self.metric
        if is_own(name):
            raise SubmissionError(
                f"number {entry.number} was sent for the metric {name}, which competition.toml names no more: with "
                "that metric in competition.toml its private score can be told"
            )
        return find_metric(name).of(self._task)

    def scored_ids(self) -> list[str]:
        """Ids of the rows that the solution scores; raises DataError for a solution that cannot score."""
        parts = self._scored_rows().values()
        for part in parts:
            self._truth(part)
        return [str(name) for part in parts for name in part.index]

    def _score(self, file: CheckedFile, metric: Metric, usage: str) -> float:
        parts, sent = self._scored_rows(), file.values
        missing = [name for part in parts.values() for name in part.index if name not in sent.index]
        if missing:
            raise SubmissionError(f"{file.path} has no row for {len(missing)} ids of the solution ({missing[0]!r})")
        part = parts[usage]
        truth, values = self._truth(part), sent.loc[part.index].to_numpy(dtype=np.float64)
        # Of 0.1 float32 has other digits: grades are compared as what is true has them.
        return metric.compute(truth, values.astype(truth.dtype) if self._task.kind == "grades" else values)

    @property
    def _task(self) -> Task:
        return self.form.task or Task("multilabel", tuple(self.form.labels))

    def _truth(self, part: pd.DataFrame) -> Targets:
        """What is true of these rows, (n_rows, n_outputs) in the order of a submission's values."""
        task, labels, separator = self._task, self.form.labels, None
        if part.shape[1] == 1 and task.name == "multilabel":
            usual = self.true_columns.separator if self.true_columns else None
            found = separator_of(part.iloc[:, 0].tolist(), task.outputs, usual)
            separator = (found or usual or " ") if len(labels) > 1 else usual
        matrix = target_matrix(part, task, separator, str(self.solution))
        order = list(part.columns) if part.shape[1] > 1 else list(task.outputs)
        return matrix[:, [order.index(label) for label in labels]]

    def _scored_rows(self) -> dict[str, pd.DataFrame]:
        """What the solution says of the rows that are scored, Public and Private: the cells, indexed by the ids."""
        assert self.solution is not None
        cells, usage, column = self._solution_cells(read_table(self.solution))
        cells = cells[~self._not_scored(cells)]
        said = usage.str.strip().str.capitalize()
        parts = {name: cells[said[cells.index] == name] for name in _SCORED}
        if not set(said) <= _USAGES or not all(map(len, parts.values())):
            raise DataError(
                f"{self.solution}: {column} must be Public, Private or Ignored, and Public and Private must both occur "
                f"(rows with a label of -1 are not counted); found {sorted(set(usage))}"
            )
        return parts

    def _solution_cells(self, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series[str], str]:
        """The cells that say what is true and the usage of every id, and what the column of the usage is called."""
        names = named_as(table, self.form)
        of_form = _usage_column(names, self.form.columns)
        if set(self.form.columns) <= set(names.columns) and of_form is not None:
            if self.form.layout.name == "long":
                return (*_wide(names, of_form, self.form, str(self.solution)), of_form)
            by_id = _by_id(names, self.form.id_column, str(self.solution))
            return by_id[self.form.value_columns], by_id[of_form], of_form
        if self.true_columns is not None:
            wanted = [self.true_columns.id, *self.true_columns.columns]
            meant = matched(wanted, [str(name) for name in table.columns])
            table = table.rename(columns={column: name for name, column in meant.items()})
            usage = _usage_column(table, wanted)
            if len(meant) == len(wanted) and usage is not None:
                by_id = _by_id(table, self.true_columns.id, str(self.solution))
                return by_id[list(self.true_columns.columns)], by_id[usage], usage
        missing = [name for name in self.form.columns if name not in names.columns]
        lacks = ", ".join([*missing, *([free_name("Usage", self.form.columns)] if of_form is None else [])])
        raise DataError(
            f"{self.solution} is no solution file: it lacks {lacks}. It needs the id, what is true in the columns of "
            f"train or of a submission, and a column {free_name('Usage', self.form.columns)} that says Public, Private "
            "or Ignored"
        )

    def _not_scored(self, cells: pd.DataFrame) -> pd.Series[bool]:
        """Rows of which a label is -1, where that is nothing that could be predicted."""
        task = self._task
        if task.kind == "numbers" or -1 in task.grades or set(_NO_LABEL) & set(task.outputs):
            return pd.Series(False, index=cells.index)
        found: pd.Series[bool] = cells.apply(lambda column: column.str.strip().isin(_NO_LABEL)).any(axis=1)
        return found


def _by_id(table: pd.DataFrame, id_column: str, source: str) -> pd.DataFrame:
    repeated = table[id_column].duplicated()
    if repeated.any():
        raise DataError(f"{source} has the id {table[id_column][repeated].iloc[0]!r} more than once")
    return table.set_index(id_column)


def _wide(table: pd.DataFrame, usage: str, form: Form, source: str) -> tuple[pd.DataFrame, pd.Series[str]]:
    """A table with a row per id and output as one with a row per id and a column per output; and the ids' usage."""
    rows = dict(zip(form.keys, form.layout.rows, strict=True))
    keys = form.keys_of(table)
    unknown = next((key for key in keys if key not in rows), None)
    if unknown is not None or len(set(keys)) < len(keys):
        what = "has a row twice" if unknown is None else f"has the row {', '.join(unknown)!r}, which no submission has"
        raise DataError(f"{source} {what}")
    named = pd.DataFrame([rows[key] for key in keys], columns=["id", "output"])
    named["cell"], named["usage"] = table[form.layout.column].to_numpy(), table[usage].to_numpy()
    cells = named.pivot_table(index="id", columns="output", values="cell", aggfunc="first", sort=False)
    return cells.reindex(columns=form.labels).fillna(""), named.groupby("id", sort=False)["usage"].first()


def _usage_column(table: pd.DataFrame, known: Sequence[str]) -> str | None:
    """The column that is called Usage, in any case; where that is a label, the one that says what it says."""
    others = [str(name) for name in table.columns if name not in known]
    called = [name for name in others if bare(name) == "usage"]
    saying = [name for name in others if set(table[name].str.strip().str.capitalize()) <= _USAGES]
    return next(iter([*called, *saying]), None)


def make_target(
    competition: Competition, *, kernel: str | None = None, kernel_version: int | None = None, late: bool = False
) -> Target:
    """The target that competition.toml declares; the options are Kaggle's, see KaggleLeaderboard."""
    declared = competition.declaration.submission
    if declared.target == "local":
        return local_leaderboard(competition)
    assert declared.kaggle is not None  # the declaration refuses a target without it
    client, metric = KaggleClient(declared.kaggle), competition.declaration.metric_name
    return KaggleLeaderboard(client, metric, kernel or declared.kernel, kernel_version, late)


def local_leaderboard(competition: Competition) -> LocalLeaderboard:
    declared, data = competition.declaration.submission, competition.declaration.data
    return LocalLeaderboard(
        solution=competition.workspace.root / declared.solution if declared.solution else None,
        form=submission_form(competition),
        metric=competition.metric,
        true_columns=TrueColumns(data.id, competition.label_columns, data.label_separator),
    )


def what_keeps_from_scoring(competition: Competition) -> str:
    """Why the declared solution cannot score a submission, to be said before anything is trained; empty if it can."""
    target = local_leaderboard(competition)
    if competition.declaration.submission.target != "local" or target.solution is None:
        return ""
    try:
        ids = target.scored_ids()
    except DataError as error:
        return str(error)
    unknown = sorted(set(ids) - set(competition.test_ids))
    if not unknown:
        return ""
    happened = what_happened_to(ids, competition.test_ids, competition.declaration.data.id)
    return f"{target.solution} has {len(unknown)} ids that are not in test ({unknown[0]!r}). {happened}".rstrip()
