"""The tables of `compete compare`, readable at 80 columns."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from compete.competition.task import are_probabilities
from compete.experiments.comparing import Compared, Difference, Pair
from compete.printable import on_one_line
from compete.reporting.terminal.plain_table import PlainTable
from compete.score_text import score_text

_LONGEST_TEXT = 200
_NOUNS = {"labels": "label", "classes": "class"}


def pairs_table(found: Compared) -> Table:
    """Every pair, the better one first: difference, 95 % interval, corrected p-value, chance to be better."""
    many = len(found.pairs) > 1
    table = PlainTable("better", "than", numbers=["by", "95 % interval", "p, Holm" if many else "p", "private"])
    honest = {each.name: each.honest for each in found.contestants}
    for pair in found.pairs:
        apart, like = pair.difference, honest[pair.first]
        table.add_row(
            escape(pair.first),
            escape(pair.second),
            score_text(apart.value, like, sign=True),
            _interval(apart, like),
            _p(apart),
            f"{100 * pair.better:.0f} %",
            style="bold" if apart.surely else None,
        )
    return table


def outputs_table(found: Compared) -> Table:
    """The first pair, output by output: F1 of both, or RMSE; those that differ by more than luck in bold."""
    pair = found.pairs[0]
    probabilities = are_probabilities(found.metric.kind)
    measure = "F1" if probabilities else "RMSE"
    table = PlainTable(
        f"{measure} by {_NOUNS.get(found.metric.kind, 'target')}",
        numbers=[on_one_line(pair.first), on_one_line(pair.second), "by", "95 % interval", "p, Holm"],
    )
    for each in pair.outputs:
        like = max(abs(each.first), abs(each.second))
        table.add_row(
            escape(each.name),
            score_text(each.first),
            score_text(each.second),
            score_text(each.difference.value, like, sign=True),
            _interval(each.difference, like),
            _p(each.difference),
            style="bold" if each.difference.surely else None,
        )
    return table


def rows_table(pair: Pair) -> Table:
    """Rows on which the first is right and the second wrong, and the other way round."""
    table = PlainTable("id", "true", on_one_line(pair.first), on_one_line(pair.second), "text")
    for row in pair.rows:
        text = on_one_line(row.text)
        text = text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
        table.add_row(*(escape(on_one_line(cell)) for cell in (row.id, row.true, row.first, row.second)), escape(text))
    return table


def _interval(apart: Difference, like: float) -> str:
    return " to ".join(score_text(end, like, sign=True) for end in (apart.low, apart.high))


def _p(apart: Difference) -> str:
    return "<0.001" if apart.corrected < 0.001 else f"{apart.corrected:.3f}"
