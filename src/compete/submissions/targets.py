"""Where submissions go: a small Protocol, and the local leaderboard that implements it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd

from compete.competition.column_names import bare, free_name
from compete.competition.data import Competition
from compete.competition.metrics import Metric, find_metric
from compete.competition.reading import read_table
from compete.competition.row_ids import what_happened_to
from compete.competition.shape import Targets
from compete.competition.targets import target_matrix
from compete.competition.task import Task
from compete.errors import DataError, SubmissionError, UserError
from compete.submissions.csv_file import CheckedFile, Form, check, named_as, submission_form
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
class LocalLeaderboard:
    """Scores files against a Kaggle-style solution.

    Nothing is counted but by the ledger: a submission that was cut off is simply scored again.
    """

    counts: ClassVar[bool] = False

    solution: Path | None
    """Id, labels, and Usage, which is Public, Private or Ignored; rows with a label of -1 are not scored either.
    Without a solution (the labels of a running competition are not to be had) files are checked and recorded
    unscored."""
    form: Form
    metric: Metric
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
            path = ledger.path.parent / entry.submission.file
            if not path.is_file():
                raise SubmissionError(f"{path} is gone, and its private score with it: put the file back")
            file = check(path, self.form)
            if file.content != entry.submission.content:
                raise SubmissionError(f"{path} is not the file that was sent as number {entry.number}: put it back")
            outcome = self.private_outcome(file, self._metric_of(entry), entry.outcome)
            if outcome != entry.outcome:
                ledger.record(entry.number, outcome)
        return ledger.entries()

    def _metric_of(self, entry: Entry) -> Metric:
        """What a submission was sent to be scored by: competition.toml may name another metric by now."""
        name = entry.submission.metric
        return self.metric if self.metric.name == name else find_metric(name)

    def private_outcome(self, file: CheckedFile, metric: Metric, outcome: Outcome) -> Outcome:
        """The outcome with the private score, under the metric it was sent for."""
        if self.solution is None:
            raise SubmissionError("there is no private score: competition.toml names no [submission] solution")
        # A public score that was given stays as it was, whatever happened to the solution since.
        public = self._score(file, metric, "Public") if outcome.public is None else outcome.public
        return Outcome("scored", outcome.reference, public, self._score(file, metric, "Private"))

    def scored_ids(self) -> list[str]:
        """Ids of the rows that the solution scores; raises DataError for a solution that cannot score."""
        parts = self._scored_rows().values()
        for part in parts:
            self._truth(part)
        return [name for part in parts for name in part[self.form.id_column]]

    def _score(self, file: CheckedFile, metric: Metric, usage: str) -> float:
        parts, sent = self._scored_rows(), file.values
        missing = [name for part in parts.values() for name in part[self.form.id_column] if name not in sent.index]
        if missing:
            raise SubmissionError(f"{file.path} has no row for {len(missing)} ids of the solution ({missing[0]!r})")
        part = parts[usage]
        return metric.compute(self._truth(part), sent.loc[part[self.form.id_column]].to_numpy(dtype=np.float64))

    def _truth(self, part: pd.DataFrame) -> Targets:
        task = Task("multilabel", tuple(self.form.labels))
        return target_matrix(part.set_index(self.form.id_column)[self.form.labels], task, None, str(self.solution))

    def _scored_rows(self) -> dict[str, pd.DataFrame]:
        """The rows of the solution that are scored, Public and Private."""
        assert self.solution is not None
        table = named_as(read_table(self.solution), self.form)
        column = _usage_column(table, self.form)
        missing = [name for name in self.form.columns if name not in table.columns]
        if missing or column is None:
            name = free_name("Usage", self.form.columns)
            lacks = ", ".join([*missing, *([name] if column is None else [])])
            raise DataError(
                f"{self.solution} is no solution file: it lacks {lacks}. It needs the id, the labels, and a column "
                f"{name} that says Public, Private or Ignored"
            )
        usage = table[column].str.strip().str.capitalize()
        not_scored = table[self.form.labels].apply(lambda cells: cells.str.strip().isin(_NO_LABEL)).any(axis=1)
        parts = {name: table[(usage == name) & ~not_scored] for name in _SCORED}
        if not set(usage) <= _USAGES or not all(map(len, parts.values())):
            raise DataError(
                f"{self.solution}: {column} must be Public, Private or Ignored, and Public and Private must both occur "
                f"(rows with a label of -1 are not counted); found {sorted(set(table[column]))}"
            )
        return parts


def _usage_column(table: pd.DataFrame, form: Form) -> str | None:
    """The column that is called Usage, in any case; where that is a label, the one that says what it says."""
    others = [str(name) for name in table.columns if name not in form.columns]
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
    declared = competition.declaration.submission
    return LocalLeaderboard(
        solution=competition.workspace.root / declared.solution if declared.solution else None,
        form=submission_form(competition),
        metric=competition.metric,
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
    happened = what_happened_to(ids, competition.test_ids, target.form.id_column)
    return f"{target.solution} has {len(unknown)} ids that are not in test ({unknown[0]!r}). {happened}".rstrip()
