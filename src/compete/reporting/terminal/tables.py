"""The tables of the terminal: readable at 80 columns, without colour, and in a pipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from compete.oof.honest_scores import Score
from compete.oof.state import ModelState, State
from compete.reporting.durations import time_text
from compete.reporting.terminal.plain_table import ByWidth, PlainTable, broken, in_blocks
from compete.score_text import range_text, score_text
from compete.submissions.ledger import UNKNOWN, Entry

if TYPE_CHECKING:  # it needs what takes long to import
    from compete.submissions.leaderboard.finalists import Finalists

_STYLES = {
    State.FRESH: "green",
    State.STALE: "yellow",
    State.DAMAGED: "red",
    State.MISSING: "dim",
    State.ORPHAN: "yellow",
}


# What of 80 columns a table with many columns of numbers leaves for names.
_FOR_NAMES = 24


def status_table(
    states: Mapping[str, ModelState], families: Mapping[str, str], scores: Mapping[str, Score], metric: str
) -> Table:
    """Every base model: folds done, state, honest score, training time."""
    table = PlainTable("model", "family", numbers=["folds"])
    # Names of models fold before those of families do, but for long ones of the user's own.
    table.columns[1].no_wrap = all(len(family) <= len("sequence_classifier") for family in families.values())
    table.add_column("state", no_wrap=True)
    for title in (f"honest\n{broken(metric)}", "time"):
        table.add_number(title)
    for name, state in states.items():
        score = scores.get(name)
        table.add_row(
            escape(name),
            escape(families.get(name, state.kind)),
            f"{state.folds_done}/{len(state.parts)}",
            f"[{_STYLES[state.state]}]{state_text(state)}[/]",
            score_text(score.honest if score else None),
            time_text(state.seconds),
        )
    return table


def provenance_table(states: Mapping[str, ModelState]) -> Table:
    """What the model of every fold has seen: folds' labels, the test texts, through what."""
    table = PlainTable("model", "fold", "labels seen", "test texts", "through")
    table.add_number("seeds\napart")
    for name, state in states.items():
        for fold in range(len(state.parts)):
            seen, spread = state.seen(fold), state.parts[fold].record.get("seed_spread")
            cells = ["not told" if state.kind == "imported" else "not trained", "-", "-"]
            if seen is not None:
                texts = "seen" if seen.test_texts else "no"
                tuned = [f"settings tuned on {', '.join(map(str, sorted(seen.tuned_on)))}"] if seen.tuned_on else []
                cells = [", ".join(map(str, sorted(seen.folds))), texts, ", ".join([*seen.through, *tuned]) or "-"]
            shown = escape(name) if fold == 0 else ""
            table.add_row(shown, str(fold), *map(escape, cells), "-" if spread is None else f"{spread:.4f}")
    return table


def fold_rates_table(labels: Sequence[str], rates: Sequence[tuple[str, Sequence[float]]], rows: Sequence[int]) -> Group:
    """Label rates of every fold in per cent: a row per label, a column per fold; many folds go on below."""
    width = max(len("100.0"), *(len(str(count)) for count in rows)) + 2
    blocks: list[PlainTable | str] = []
    for block in in_blocks(len(rates), (80 - _FOR_NAMES) // width):
        table = PlainTable("% by fold", numbers=[rates[number][0] for number in block])
        table.add_row("rows", *(str(rows[number]) for number in block))
        for place, label in enumerate(labels):
            table.add_row(escape(label), *(f"{100 * rates[number][1][place]:.1f}" for number in block))
        blocks += [table, ""] if block.stop < len(rates) else [table]
    return Group(*blocks)


def fold_means_table(
    targets: Sequence[str], means: Sequence[Sequence[float]], spreads: Sequence[Sequence[float]], rows: Sequence[int]
) -> Group:
    """Mean and standard deviation of every target by fold: a row per target; many folds go on below.

    means, spreads: of all training rows, then of every fold, each (n_targets,).
    """
    cells = [
        [_mean_text(mean, spread) for mean, spread in zip(*of_fold, strict=True)]
        for of_fold in zip(means, spreads, strict=True)
    ]
    width = max(len(cell) for column in cells for cell in column) + 2
    names = ["all", *map(str, range(len(rows) - 1))]
    blocks: list[PlainTable | str] = []
    for block in in_blocks(len(rows), max(1, (80 - _FOR_NAMES) // width)):
        table = PlainTable("mean and spread", numbers=[names[number] for number in block])
        table.add_row("rows", *(str(rows[number]) for number in block))
        for place, target in enumerate(targets):
            table.add_row(escape(target), *(cells[number][place] for number in block))
        blocks += [table, ""] if block.stop < len(rows) else [table]
    return Group(*blocks)


def scores_table(entries: Sequence[Entry], private: bool) -> Table | ByWidth:
    """Every submission: validation, public and private score, the gaps between them, and what public was expected.

    In a narrow terminal what was expected makes way for the private scores.
    """
    if not private or not any(entry.submission.public_low is not None for entry in entries):
        return _scores_table(entries, private, expected=True)
    with_all, without = (_scores_table(entries, private, expected=expected) for expected in (True, False))
    return ByWidth(with_all, without, columns=100)


def _scores_table(entries: Sequence[Entry], private: bool, *, expected: bool) -> Table:
    several = len({entry.submission.metric for entry in entries}) > 1
    expected = expected and any(entry.submission.public_low is not None for entry in entries)
    titles = ["valid.", "public", "gap", *(["expected"] if expected else []), *(["private", "gap"] if private else [])]
    table = PlainTable("no.", "sent (UTC)", "what", *(["metric"] if several else []), numbers=titles)
    table.columns[0].no_wrap = True
    for entry in entries:
        validation, public, secret = entry.submission.validation, entry.outcome.public, entry.outcome.private
        cells: list[str] = [entry.submission.metric] if several else []
        cells += [score_text(validation), score_text(public) if public is not None else entry.outcome.status]
        cells += [_shift(validation, public), *([_range(entry)] if expected else [])]
        cells += [score_text(secret), _shift(public, secret)] if private else []
        table.add_row(
            str(entry.number),
            "-" if entry.created == UNKNOWN else f"{entry.created:%m-%d %H:%M}",
            escape(entry.submission.source),
            *cells,
        )
    return table


def shipment_table(steps: Sequence[tuple[str, str, str, str]]) -> Table:
    """Every step of a shipment: what it does, how much goes out, how it stands, what came of it."""
    table = PlainTable("step", "state", "result", numbers=["size"])
    for number, (what, size, state, result) in enumerate(steps, 1):
        table.add_row(f"{number}. {escape(what)}", state, escape(result), size)
    return table


def finalists_table(found: Finalists) -> Table:
    """What may be expected of every submission on the private leaderboard, the best first."""
    table = PlainTable("no.", "what", numbers=["valid.", "public", "behind the first", "best of all"])
    table.columns[0].no_wrap = True
    for each in found.candidates:
        sent = each.entry.submission
        table.add_row(
            str(each.entry.number),
            escape(sent.source),
            score_text(sent.validation),
            score_text(each.entry.outcome.public),
            f"{score_text(each.behind, sent.validation)} ± {score_text(each.deviation, sent.validation)}",
            f"{100 * each.best:.0f} %",
        )
    return table


def state_text(state: ModelState) -> str:
    """A model's state as people say it."""
    if state.state is State.MISSING and state.folds_done:
        return "partly trained"
    if state.state is State.MISSING:
        return "not for this task" if state.unfit else "not trained"
    return state.state.value


def _mean_text(mean: float, spread: float) -> str:
    """Both with as many digits as give the spread three."""
    digits = max(0, 2 - math.floor(math.log10(spread))) if spread > 0 else 2
    return f"{mean:,.{digits}f} ± {spread:,.{digits}f}"


def _range(entry: Entry) -> str:
    """Where the public score was expected."""
    low, high = entry.submission.public_low, entry.submission.public_high
    if low is None or high is None:
        return "-"
    like = max(abs(low), abs(high))
    return f"{low:.3f}-{high:.3f}" if 0.01 <= like < 1000 else range_text(low, high)


def _shift(before: float | None, after: float | None) -> str:
    return "-" if before is None or after is None else score_text(after - before, before, sign=True)
