"""The tables of `compete stack`, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from compete.competition.metric_names import metric_info
from compete.oof.honest_scores import Score
from compete.reporting.durations import time_text
from compete.reporting.terminal.plain_table import PlainTable, in_blocks
from compete.score_text import range_text, score_text
from compete.stacking.leave_one_out import Contribution

_PAIRS = 10  # columns of correlations that leave room for names
_FOR_CUTS = 56  # columns of the terminal


def comparison_table(rows: Sequence[tuple[str, Score]], metric: str, best: str) -> Table:
    """Honest score with its interval against the naive score; `best` is set in bold."""
    table = PlainTable(metric, numbers=["honest", "95 % interval", "naive", "optimism"])
    for name, score in rows:
        table.add_row(
            escape(name),
            score_text(score.honest),
            range_text(score.low, score.high),
            score_text(score.naive),
            score_text(_sign(score) * (score.naive - score.honest), score.honest, sign=True),
            style="bold" if name == best else None,
        )
    return table


def _sign(score: Score) -> int:
    """-1 for a loss, of which a lower naive value is what promises too much."""
    info = metric_info(score.metric)
    return 1 if info is None else info.sign


def label_table(
    score: Score,
    rates: Mapping[str, float],
    expected: Mapping[str, Mapping[str, float] | None],
    noun: str = "label",
) -> Table:
    """Precision, recall and F1 of every label or class under the honest decisions; its rate in train, and the 95 %
    interval of its rate in test (expected), a dash where nothing is known of it.
    """
    table = PlainTable(noun, numbers=["rate", "in test, 95 %", "precision", "recall", "F1"])
    for name, label in score.labels.items():
        numbers = (f"{number:.3f}" for number in (label.precision, label.recall, label.f1))
        of_test = expected[name]
        told = "-" if of_test is None else f"{of_test['low']:.3f} to {of_test['high']:.3f}"
        table.add_row(escape(name), f"{rates[name]:.3f}", told, *numbers)
    return table


def threshold_table(score: Score) -> Table:
    """Every label's threshold and its spread over folds, and what it gains over 0.5 with a 95 % interval."""
    table = PlainTable("label", numbers=["threshold", "F1 more than at 0.5", ""])
    for name, label in score.labels.items():
        cut = "-" if label.threshold is None else f"{label.threshold:.3f} ± {label.threshold_spread:.3f}"
        gain = f"{label.gain:+.3f} ({label.gain_low:+.3f}, {label.gain_high:+.3f})"
        table.add_row(escape(name), cut, gain, "" if label.worth_tuning else "not worth tuning")
    return table


def offset_table(score: Score) -> Table:
    """What is added to every class's log-probability before the highest is taken, and the F1 that it has more than
    where the most probable class is taken, with a 95 % interval."""
    table = PlainTable("class", numbers=["offset", "F1 more than without", ""])
    for (name, label), offset in zip(score.labels.items(), score.decision["offsets"], strict=True):
        gain = f"{label.gain:+.3f} ({label.gain_low:+.3f}, {label.gain_high:+.3f})"
        table.add_row(escape(name), f"{offset:+.3f}", gain, "" if label.gain_low > 0 else "no more than noise")
    return table


def target_table(score: Score) -> Table:
    """Errors of every target under the honest predictions, in its own units, and the share of right grades where grades
    are decided."""
    decided = any(target.right is not None for target in score.targets.values())
    table = PlainTable("target", numbers=["RMSE", "MAE", "Pearson", "bias", *(["right"] if decided else [])])
    for name, target in score.targets.items():
        cells = [score_text(target.rmse), score_text(target.mae), f"{target.pearson:.4f}"]
        cells += [score_text(target.bias, target.rmse, sign=True)]
        cells += [f"{100 * (target.right or 0):.1f} %"] if decided else []
        table.add_row(escape(name), *cells)
    return table


def cuts_table(score: Score) -> Group:
    """From which number on a grade is given: a row per target, a column per grade but the lowest, many go on below."""
    grades, cuts = score.decision["grades"], score.decision["cuts"]
    texts = [[score_text(cut, max(map(abs, row))) for cut in row] for row in cuts]
    width = max(len(text) for row in texts for text in row) + 2
    blocks: list[PlainTable | str] = []
    for block in in_blocks(len(grades) - 1, max(1, _FOR_CUTS // width)):
        table = PlainTable("grade given from", numbers=[f"{grades[number + 1]:g}" for number in block])
        for name, row in zip(score.targets, texts, strict=True):
            table.add_row(escape(name), *(row[number] for number in block))
        blocks += [table, ""] if block.stop < len(grades) - 1 else [table]
    return Group(*blocks)


def leave_one_out_table(found: Sequence[Contribution], seconds: Mapping[str, float]) -> Table:
    """The honest score without every base model, what the stack gains by it (95 % interval), its training time."""
    table = PlainTable("base model", numbers=["without", "gain by it", "training", ""])
    for each in found:
        table.add_row(
            escape(each.model),
            score_text(each.without),
            " to ".join(score_text(end, each.without, sign=True) for end in (each.low, each.high)),
            time_text(seconds[each.model]),
            "" if each.significant else "could go",
        )
    return table


def error_table(models: Sequence[str], correlation: NDArray[np.float64]) -> Group:
    """Correlation of the models' errors, every pair once; columns are numbered as the rows, many go on below."""
    blocks: list[PlainTable | str] = []
    for block in in_blocks(len(models) - 1, _PAIRS):
        table = PlainTable("", "correlation of errors", numbers=[str(other + 1) for other in block])
        for number in range(block.start, len(models)):
            cells = [f"{correlation[number, other]:.2f}" if other < number else "" for other in block]
            table.add_row(str(number + 1), escape(models[number]), *cells)
        blocks += [table, ""] if block.stop < len(models) - 1 else [table]
    return Group(*blocks)
