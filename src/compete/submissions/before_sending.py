"""What is refused before anything is sent: files that are worthless, or that were sent before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from compete.competition.data import Competition
from compete.competition.metrics import Metric
from compete.competition.names import is_submission_file
from compete.competition.task import are_probabilities
from compete.errors import DataError, SubmissionError
from compete.submissions.csv_file import CheckedFile, read_values
from compete.submissions.form import Form
from compete.submissions.ledger import Entry

# More agreement than this, and two submissions get the same score but for luck.
NEARLY_THE_SAME = 0.999
_CELL = 5e-4  # probabilities that differ less are called equal


def refuse_sample(competition: Competition, file: CheckedFile, form: Form) -> None:
    """Raise SubmissionError if the file says what the sample submission says."""
    sample = competition.declaration.data.sample_submission
    if sample and agreement(file, competition.workspace.root / sample, form) == 1.0:
        raise SubmissionError(f"{file.path} equals the sample submission {sample}: nobody's model is in it")


def refuse_undefined(file: CheckedFile, metric: Metric) -> None:
    """Raise SubmissionError for a number that the metric is not defined for."""
    if metric.least is None:
        return
    below = np.argwhere(file.values.to_numpy() < metric.least)
    if len(below):
        row, column = below[0]
        raise SubmissionError(
            f"{file.path} row {row + 1} ({file.values.index[row]}): {file.values.columns[column]} is "
            f"{file.values.iloc[row, column]:g}, and {metric.title} is not defined below {metric.least:g}. Raise the "
            f"{len(below)} such numbers to {metric.least:g}."
        )


def refuse_constant(file: CheckedFile, too_rare: Collection[str]) -> None:
    """Raise SubmissionError if a label has one value in all rows: legal, and almost always a mistake.

    too_rare: labels that nothing can be learnt of.
    """
    constant = [label for label in file.constant_labels() if label not in too_rare]
    if constant:
        have = "has" if len(constant) == 1 else "have"
        if file.one_answer:
            raise SubmissionError(f"{file.path} says the same of every row; --allow-constant sends it all the same")
        decided = bool(file.values[constant].isin((0, 1)).all(axis=None))
        look = "Look at that label's threshold (`compete stack`); " if decided else ""
        raise SubmissionError(
            f"{file.path}: {', '.join(constant)} {have} the same value in every row. {look}--allow-constant sends it "
            "all the same"
        )


def refuse_repeated(file: CheckedFile, content: str, earlier: Sequence[Entry], form: Form | None) -> None:
    """Raise SubmissionError if an earlier submission, whose file lies beside this one, said the same or nearly.

    form: None where the file is not what is sent, and cannot be compared.
    """
    for entry in reversed(earlier):
        who = f"number {entry.number}, {entry.submission.file}, {entry.created:%Y-%m-%d %H:%M} UTC"
        if entry.submission.content == content:
            raise SubmissionError(f"the same content was submitted before: {who}. A second time only with --again.")
    if form is None:
        return
    for entry in reversed(earlier):
        if not is_submission_file(entry.submission.file):  # of Kaggle's list, or of a ledger that somebody edited
            continue
        other = file.path.parent / entry.submission.file
        share = agreement(file, other, form) if other.is_file() and other != file.path else 0.0
        if share > NEARLY_THE_SAME:
            raise SubmissionError(
                f"nearly the same was submitted before: {100 * share:.2f} % of the cells are those of number "
                f"{entry.number}, {entry.submission.file}. Its score will be the same but for luck; --again sends it."
            )


def agreement(file: CheckedFile, other: Path, form: Form) -> float:
    """Share of the cells in which two files say the same; 0 if the other has another form.

    Where a row is one answer, a class or a ranking, the share of the rows.
    """
    try:
        values = read_values(other, form).loc[list(form.ids)].to_numpy()
    except (DataError, SubmissionError, KeyError):
        return 0.0
    mine, equal = file.values.to_numpy(), _CELL
    if not are_probabilities(form.kind):  # on whatever scale they are
        equal *= float(mine.std()) or 1.0
    alike = np.abs(mine - values) < equal
    if file.one_answer:
        alike = alike.all(axis=1)
    return float(np.mean(alike)) if np.isfinite(values).all() else 0.0
