"""The table of `compete log`, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from compete.experiments.run_log import Logged, Step
from compete.printable import on_one_line
from compete.reporting.durations import time_text
from compete.reporting.terminal.plain_table import PlainTable
from compete.score_text import score_text

_MOST_CHANGES = 4
_LONGEST_CHANGE = 60


def log_table(runs: Sequence[Logged]) -> Table:
    """A row per run; scores of a kind that none has are left out."""
    names = ["command", "what", "what changed"]
    scores = [name for name in ("honest", "naive", "public") if any(_of(each, name) is not None for each in runs)]
    dated = any(each.run.when for each in runs)
    table = PlainTable(*(["when (UTC)"] if dated else []), *names, numbers=scores)
    timed = any(each.run.seconds for each in runs)
    if timed:
        table.add_number("time")
    for each in runs:
        run = each.run
        told = [run.when[:16].replace("T", " ")] if dated else []
        told += [run.command, run.name, changes_text(each)]
        numbers = [score_text(_of(each, name)) for name in scores]
        table.add_row(
            *(escape(on_one_line(cell)) for cell in told), *numbers, *([time_text(run.seconds or 0)] if timed else [])
        )
    return table


def changes_text(logged: Logged) -> str:
    """What changed since the last run of the same name, in short; what else is to be known."""
    changes = [each if len(each) <= _LONGEST_CHANGE else f"{each[: _LONGEST_CHANGE - 1]}…" for each in logged.changes]
    more = [f"and {len(changes) - _MOST_CHANGES} more"] if len(changes) > _MOST_CHANGES else []
    ended = [] if logged.run.ended == "done" else [logged.run.ended]
    note = [logged.run.note] if logged.run.note else []
    return "; ".join([*ended, *changes[:_MOST_CHANGES], *more, *note]) or ("first run" if logged.first else "nothing")


def road_sentences(steps: Sequence[Step]) -> list[str]:
    """From the first score to the best, and what moved it."""
    if not steps:
        return []
    first, last = steps[0], steps[-1]
    better = [step for step in steps if step.is_better]
    best = better[-1] if better else first
    sentences = [
        f"from {score_text(first.score)} ({first.logged.run.name}) to {score_text(best.score)} "
        f"({best.logged.run.name}) in {last.number} scored runs"
    ]
    return [
        *sentences,
        *(
            f"- {step.logged.run.name}: {score_text(step.gained, step.score, sign=True)} ({changes_text(step.logged)})"
            for step in better
        ),
    ]


def _of(logged: Logged, name: str) -> float | None:
    found: float | None = getattr(logged.run, name)
    return found
