"""The tables of the terminal: readable at 80 columns, without colour, and in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from compete.oof.state import ModelState, State
from compete.reporting.progress import duration
from compete.stacking.scores import Score
from compete.submissions.ledger import UNKNOWN, Entry

if TYPE_CHECKING:  # it needs what takes long to import
    from compete.submissions.finalists import Finalists

_STYLES = {
    State.FRESH: "green",
    State.STALE: "yellow",
    State.DAMAGED: "red",
    State.MISSING: "dim",
    State.ORPHAN: "yellow",
}


def status_table(
    states: Mapping[str, ModelState], families: Mapping[str, str], scores: Mapping[str, Score], metric: str
) -> Table:
    """Every base model: folds done, state, honest score, training time."""
    table = plain_table("model", "family", "folds", "state", f"honest {metric}", "time")
    for column in (2, 4, 5):
        table.columns[column].justify = "right"
    for name, state in states.items():
        score = scores.get(name)
        table.add_row(
            escape(name),
            escape(families.get(name, state.kind)),
            f"{state.folds_done}/{len(state.parts)}",
            f"[{_STYLES[state.state]}]{_state_text(state)}[/]",
            f"{score.honest:.4f}" if score else "-",
            duration(state.seconds) if state.seconds else "-",
        )
    return table


def fold_rates_table(labels: Sequence[str], rates: Sequence[tuple[str, Sequence[float]]], rows: Sequence[int]) -> Table:
    """Label rates of every fold in per cent: a row per label, a column per fold."""
    table = plain_table("% by fold")
    for name, _ in rates:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("rows", *(str(count) for count in rows))
    for number, label in enumerate(labels):
        table.add_row(escape(label), *(f"{100 * values[number]:.1f}" for _, values in rates))
    return table


def scores_table(entries: Sequence[Entry], private: bool) -> Table:
    """Every submission: validation, public and private score, the gaps between them, and what public was expected."""
    several = len({entry.submission.metric for entry in entries}) > 1
    table = plain_table("no.", "sent (UTC)", "what", *(["metric"] if several else []))
    expected = any(entry.submission.public_low is not None for entry in entries)
    titles = ["valid.", "public", "gap", *(["expected"] if expected else []), *(["private", "gap"] if private else [])]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for entry in entries:
        validation, public, secret = entry.submission.validation, entry.outcome.public, entry.outcome.private
        cells: list[str] = [entry.submission.metric] if several else []
        cells += [_score(validation), _score(public) if public is not None else entry.outcome.status]
        cells += [_shift(validation, public), *([_range(entry)] if expected else [])]
        cells += [_score(secret), _shift(public, secret)] if private else []
        table.add_row(
            str(entry.number),
            "-" if entry.created == UNKNOWN else f"{entry.created:%m-%d %H:%M}",
            escape(entry.submission.source),
            *cells,
        )
    return table


def finalists_table(found: Finalists) -> Table:
    """What may be expected of every submission on the private leaderboard, the best first."""
    table = plain_table("no.", "what")
    for title in ("valid.", "public", "behind the first", "best of all"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.candidates:
        sent = each.entry.submission
        table.add_row(
            str(each.entry.number),
            escape(sent.source),
            _score(sent.validation),
            _score(each.entry.outcome.public),
            f"{each.behind:.4f} ± {each.deviation:.4f}",
            f"{100 * each.best:.0f} %",
        )
    return table


def plain_table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _state_text(state: ModelState) -> str:
    if state.state is State.MISSING and state.folds_done:
        return "partly trained"
    return "not trained" if state.state is State.MISSING else state.state.value


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _range(entry: Entry) -> str:
    """Where the public score was expected."""
    low, high = entry.submission.public_low, entry.submission.public_high
    return "-" if low is None or high is None else f"{low:.3f}-{high:.3f}"


def _shift(before: float | None, after: float | None) -> str:
    return "-" if before is None or after is None else f"{after - before:+.4f}"
