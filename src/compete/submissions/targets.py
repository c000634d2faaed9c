"""Where submissions go: a small Protocol, and the local leaderboard that implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from compete.competition.data import Competition, label_matrix
from compete.competition.metrics import METRICS, Metric
from compete.competition.reading import read_table
from compete.errors import DataError, SubmissionError
from compete.submissions.kaggle import KaggleLeaderboard
from compete.submissions.kaggle_client import KaggleClient
from compete.submissions.ledger import Outcome


class Target(Protocol):
    """A leaderboard. Every method but `send` may be called again after a crash."""

    @property
    def name(self) -> str: ...

    def find(self, message: str, since: datetime) -> Outcome | None:
        """What became of the submission with this message, cut off after `since`; None if it never arrived."""
        ...

    def ready(self, file: Path) -> int | None:
        """Raise whatever would keep this file from being sent, before the ledger knows of it.

        Returns the submissions left today, None where the target does not count.
        """
        ...

    def send(self, file: Path, message: str) -> Outcome:
        """Send a checked file; it may be scored at once or only be on its way."""
        ...


@dataclass(frozen=True)
class LocalLeaderboard:
    """Scores files against a Kaggle-style solution: id, labels, and Usage, which is Public or Private.

    Nothing is counted but by the ledger: a submission that was cut off is simply scored again. Without a
    solution (the labels of a running competition are not to be had) files are checked and recorded unscored.
    """

    solution: Path | None
    id_column: str
    labels: Sequence[str]
    metric: Metric
    name: str = "local"

    def find(self, message: str, since: datetime) -> Outcome | None:
        return None

    def ready(self, file: Path) -> None:
        if self.solution is not None:
            self._score(file, self.metric, "Public")

    def send(self, file: Path, message: str) -> Outcome:
        if self.solution is None:
            return Outcome("sent", reference=file.name)
        return Outcome("scored", reference=file.name, public=self._score(file, self.metric, "Public"))

    def reveal(self, file: Path, metric: Metric, outcome: Outcome) -> Outcome:
        """The outcome with the private score, under the metric it was sent for."""
        if self.solution is None:
            raise SubmissionError("there is no private score: competition.toml names no [submission] solution")
        # A public score that was given stays as it was, whatever happened to the solution since.
        public = self._score(file, metric, "Public") if outcome.public is None else outcome.public
        return Outcome("scored", outcome.reference, public, self._score(file, metric, "Private"))

    def _score(self, file: Path, metric: Metric, usage: str) -> float:
        solution = self._read_solution()
        sent = read_table(file).set_index(self.id_column)
        missing = [row for row in solution[self.id_column] if row not in sent.index]
        if missing:
            raise SubmissionError(f"{file} has no row for {len(missing)} ids of the solution ({missing[0]!r})")
        part = solution[solution["Usage"] == usage]
        truth = label_matrix(part, self.labels, part[self.id_column].tolist(), str(self.solution))
        values = sent.loc[part[self.id_column], list(self.labels)].to_numpy(dtype=np.float64)
        return metric.compute(truth, values)

    def _read_solution(self) -> pd.DataFrame:
        assert self.solution is not None
        solution = read_table(self.solution)
        expected = [self.id_column, *self.labels, "Usage"]
        missing = [column for column in expected if column not in solution.columns]
        if missing:
            raise DataError(f"{self.solution} is no solution file: it lacks {', '.join(missing)}")
        usage = set(solution["Usage"])
        if not usage <= {"Public", "Private"} or len(usage) < 2:
            raise DataError(
                f"{self.solution}: Usage must be Public or Private, and both must occur; found {sorted(usage)}"
            )
        return solution


def make_target(
    competition: Competition, *, kernel: str | None = None, kernel_version: int | None = None, late: bool = False
) -> LocalLeaderboard | KaggleLeaderboard:
    """The target that competition.toml declares; the options are Kaggle's, see KaggleLeaderboard."""
    declared = competition.declaration.submission
    if declared.target == "local":
        return local_leaderboard(competition)
    assert declared.kaggle is not None  # the declaration refuses a target without it
    return KaggleLeaderboard(KaggleClient(declared.kaggle), kernel or declared.kernel, kernel_version, late)


def local_leaderboard(competition: Competition) -> LocalLeaderboard:
    declared = competition.declaration.submission
    return LocalLeaderboard(
        solution=competition.workspace.root / declared.solution if declared.solution else None,
        id_column=competition.declaration.data.id,
        labels=competition.labels,
        metric=METRICS[competition.declaration.metric],
    )
