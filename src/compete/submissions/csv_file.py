"""The CSV of a submission: written in the form of the sample, and checked against it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.reading import read_table
from compete.errors import SubmissionError
from compete.fingerprints import digest


@dataclass(frozen=True)
class Form:
    """What a submission must look like. columns: the id column and the labels, in the order of the sample."""

    columns: Sequence[str]
    ids: Sequence[str]
    decisions: bool

    @property
    def labels(self) -> list[str]:
        return list(self.columns[1:])


def submission_form(competition: Competition) -> Form:
    """The form of the sample submission, or of id and labels where none is declared."""
    data = competition.declaration.data
    columns = [data.id, *competition.labels]
    if data.sample_submission:
        sample = read_table(competition.workspace.root / data.sample_submission, encoding=data.encoding)
        columns = [str(column) for column in sample.columns]
    if columns[0] != data.id:
        raise SubmissionError(
            f"{data.sample_submission}: the first column is {columns[0]!r}, expected the id {data.id!r}"
        )
    return Form(columns, competition.submission_ids, decisions=competition.metric.thresholds is not None)


def render(form: Form, ids: Sequence[str], labels: Sequence[str], values: NDArray[np.generic]) -> str:
    """The text of the CSV; values (len(ids), len(labels)) are decisions or probabilities, in any order of rows."""
    table = pd.DataFrame(values, columns=list(labels), index=pd.Index(ids))
    table = table.loc[list(form.ids), form.labels]
    table.insert(0, form.columns[0], list(form.ids))
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, float_format="%.6f", lineterminator="\n")
    return buffer.getvalue()


def check(path: Path, form: Form) -> str:
    """Check a written CSV as Kaggle would, and more; returns a hash of its content.

    Raises SubmissionError for other columns, other ids or order, empty or impossible values.
    """
    table = read_table(path, ",")
    if list(table.columns) != list(form.columns):
        raise SubmissionError(f"{path} has the columns {', '.join(table.columns)}, expected {', '.join(form.columns)}")
    if not len(table):
        raise SubmissionError(f"{path} has no rows, expected {len(form.ids)}")
    ids = table[form.columns[0]].tolist()
    if ids != list(form.ids):
        same = sorted(ids) == sorted(form.ids)
        what = "the right ids in another order" if same else f"other ids ({len(ids)} rows, expected {len(form.ids)})"
        raise SubmissionError(f"{path} has {what} than the sample submission")
    values = table[form.labels].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    fine = np.isin(values, (0, 1)) if form.decisions else (values >= 0) & (values <= 1)  # NaN fails both
    if not fine.all():
        row, column = np.argwhere(~fine)[0]
        found = table[form.labels[column]].iloc[row]
        allowed = "0 or 1" if form.decisions else "a number from 0 to 1"
        raise SubmissionError(
            f"{path} row {row + 1} ({ids[row]}): {form.labels[column]} is {found!r}, expected {allowed}"
        )
    return digest([values.tobytes()])


def constant_labels(path: Path, form: Form) -> list[str]:
    """Labels that have one value in all rows: legal, and almost always a mistake."""
    table = read_table(path, ",")
    return [label for label in form.labels if pd.to_numeric(table[label]).nunique() == 1]
