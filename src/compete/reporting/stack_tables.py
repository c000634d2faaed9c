"""The tables of `compete stack`, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from compete.reporting.progress import duration
from compete.reporting.tables import plain_table
from compete.stacking.scores import Score
from compete.stacking.worth import Worth


def comparison_table(rows: Sequence[tuple[str, Score]], metric: str, best: str) -> Table:
    """Honest score with its interval against the naive score; `best` is set in bold."""
    table = _numbers(metric, "honest", "95 % interval", "naive", "optimism")
    for name, score in rows:
        table.add_row(
            escape(name),
            f"{score.honest:.4f}",
            f"{score.low:.4f} to {score.high:.4f}",
            f"{score.naive:.4f}",
            f"{score.naive - score.honest:+.4f}",
            style="bold" if name == best else None,
        )
    return table


def label_table(
    score: Score, rates: Mapping[str, float], expected: Mapping[str, float], errors: Mapping[str, float]
) -> Table:
    """Precision, recall and F1 of every label under the honest decisions; its rate in train and, estimated with a
    standard error, in test.
    """
    table = _numbers("label", "rate", "in test, est.", "precision", "recall", "F1")
    for name, label in score.labels.items():
        numbers = (f"{number:.3f}" for number in (label.precision, label.recall, label.f1))
        table.add_row(escape(name), f"{rates[name]:.3f}", f"{expected[name]:.3f} ± {errors[name]:.3f}", *numbers)
    return table


def threshold_table(score: Score) -> Table:
    """Every label's threshold and its spread over folds, and what it gains over 0.5 with a 95 % interval."""
    table = _numbers("label", "threshold", "F1 more than at 0.5", "")
    for name, label in score.labels.items():
        cut = "-" if label.threshold is None else f"{label.threshold:.3f} ± {label.threshold_spread:.3f}"
        gain = f"{label.gain:+.3f} ({label.gain_low:+.3f}, {label.gain_high:+.3f})"
        table.add_row(escape(name), cut, gain, "" if label.worth_tuning else "not worth tuning")
    return table


def worth_table(worths: Sequence[Worth], seconds: Mapping[str, float]) -> Table:
    """The honest score without every base model, what the stack gains by it (95 % interval), its training time."""
    table = _numbers("base model", "without", "gain by it", "training", "")
    for worth in worths:
        table.add_row(
            escape(worth.model),
            f"{worth.without:.4f}",
            f"{worth.low:+.4f} to {worth.high:+.4f}",
            duration(seconds[worth.model]) if seconds[worth.model] else "-",
            "" if worth.told_apart else "could go",
        )
    return table


def error_table(models: Sequence[str], correlation: NDArray[np.float64]) -> Table:
    """Correlation of the models' errors; columns are numbered as the rows."""
    table = _numbers("correlation of errors", *(str(number) for number in range(1, len(models) + 1)))
    for number, name in enumerate(models):
        cells = [f"{value:.2f}" if other < number else "" for other, value in enumerate(correlation[number])]
        table.add_row(f"{number + 1} {escape(name)}", *cells)
    return table


def _numbers(first: str, *others: str) -> Table:
    table = plain_table(first, *others)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
