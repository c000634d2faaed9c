"""What every metric knows of itself, and how it is written as sums over rows.

An interval resamples rows a thousand times. Where a score is a function of sums over rows (of hits and counts for F1,
of squared errors for RMSE, of row values for a mean), a draw is a weighted sum, and a thousand of them are one matrix
product (`stacking/ensemble/resampling.py`). Of the metrics here only a user's own has none. Where ranks decide (AUC,
average precision, Spearman), the rows' values are those of the influence function: their mean is the score, and their
spread its noise (Hampel 1974, "The influence curve and its role in robust estimation").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compete.competition.metric_names import Wants, metric_info
from compete.competition.task import Kind, Task, TaskName

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float32] | NDArray[np.float64]
Numbers = NDArray[np.float32]
# (n_rows, n_outputs): int8 0/1 of labels, one-hot of classes; float32 of numbers and grades.
Truth = NDArray[np.generic]
# Of the truth's shape: 0/1 decisions (one-hot of classes), probabilities, numbers or grades.
Predicted = NDArray[np.generic]
Floats = NDArray[np.float64]
Sums = Callable[[Truth, Predicted], Floats]
OfSums = Callable[[Floats], Floats]
# A variance below this share of the mean square is rounding: totals of resampled rows are added up in float32.
CONSTANT = 1e-5


@dataclass(frozen=True)
class Metric:
    """One metric over a whole set of rows."""

    name: str
    title: str
    thresholds: Literal["label", "shared"] | None
    """Of tasks whose outputs are labels: "label" where every label may have its own threshold, "shared" where one
    serves all. None for a metric that scores no decisions of labels."""
    greater_is_better: bool
    compute: Callable[[Truth, Predicted], float]
    """From what is true and what `wants` says, both (n_rows, n_outputs), to a number. Raises DataError where the score
    is not defined."""
    tasks: tuple[TaskName, ...]
    wants: Wants
    """What it scores: decisions (0 or 1, a class, a grade), probabilities, or numbers."""
    lowest: float = -np.inf
    highest: float = np.inf
    """Bounds of the scores that there are."""
    least: float | None = None
    """The least number that is scored; None where any is, and of what are no numbers."""
    sums: Sums | None = None
    """(n_rows, n_statistics), float64, whose sums over rows tell the score; None where no such sums do."""
    of_sums: OfSums | None = None
    """From sums (draws, n_statistics) to scores (draws,); NaN where a score is not defined."""
    task: Task | None = None
    """What it scores in a competition; None of a metric that nobody asked for one."""

    def of(self, task: Task) -> Metric:
        """The metric as it scores this task; a threshold is only found for labels."""
        return replace(self, task=task, thresholds=self.thresholds if task.kind == "labels" else None)

    @property
    def kind(self) -> Kind:
        """What one output means: labels, as long as no task says otherwise."""
        return "labels" if self.task is None else self.task.kind

    @property
    def decides(self) -> bool:
        """Whether it scores decisions: else probabilities, or numbers as they come."""
        return self.wants == "decisions"

    @property
    def sign(self) -> int:
        """Scores times this are better the greater they are."""
        return 1 if self.greater_is_better else -1

    def possible(self, predicted: Probabilities) -> Probabilities:
        """Predictions (n_rows, n_outputs) as they may be scored and sent: no number lies below the least."""
        return predicted if self.least is None else np.maximum(predicted, predicted.dtype.type(self.least))

    def better(self, score: float, than: float) -> bool:
        return score > than if self.greater_is_better else score < than


def named(
    name: str,
    sums: Sums,
    of_sums: OfSums,
    *,
    compute: Callable[[Truth, Predicted], float] | None = None,
    thresholds: Literal["label", "shared"] | None = None,
    lowest: float = 0.0,
    highest: float = 1.0,
) -> Metric:
    """The metric of that name in `metric_names`; computed from its sums where nothing else is said."""
    info = metric_info(name)
    assert info is not None, name
    return Metric(
        name=name,
        title=info.title,
        thresholds=thresholds,
        greater_is_better=info.greater_is_better,
        compute=compute or partial(_from_sums, sums, of_sums),
        tasks=info.tasks,
        wants=info.wants,
        lowest=lowest,
        highest=highest,
        least=info.least,
        sums=sums,
        of_sums=of_sums,
    )


def mean_of_rows(values: Sums, truth: Truth, predicted: Predicted) -> Floats:
    """Sums of a score that is the mean of a value per row, which `values` gives as (n_rows,)."""
    return np.column_stack([values(truth, predicted), np.ones(len(truth))])


def mean_of_sums(totals: Floats) -> Floats:
    return np.asarray(totals[:, 0] / totals[:, 1])


def ratio(numerator: NDArray[np.generic], denominator: NDArray[np.generic]) -> Floats:
    """Element-wise quotient, 0 where the denominator is 0, as scikit-learn's zero_division=0."""
    quotient: Floats = np.divide(
        numerator, denominator, out=np.zeros(np.shape(denominator), dtype=np.float64), where=denominator != 0
    )
    return quotient


def _from_sums(sums: Sums, of_sums: OfSums, truth: Truth, predicted: Predicted) -> float:
    return float(of_sums(sums(truth, predicted).sum(axis=0, keepdims=True))[0])
