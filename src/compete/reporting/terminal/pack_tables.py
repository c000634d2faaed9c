"""Tables of packs for code competitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from compete.reporting.terminal.plain_table import PlainTable
from compete.score_text import range_text, score_text

if TYPE_CHECKING:  # they need what takes long to import
    from compete.code_competitions.manifest import Manifest
    from compete.code_competitions.notebook_rehearsal import Played

_MOST_STEPS = 12


def pack_table(manifest: Manifest) -> Table:
    """Every member in the order of prediction."""
    table = PlainTable("model", "weights", numbers=["folds", "gain", "s per\n1,000 rows", "s to\nload", "MB"])
    for member in manifest.members:
        table.add_row(
            escape(member.name),
            member.precision,
            str(member.folds),
            "" if member.gain is None else f"{member.gain:+.4f}",
            f"{1000 * member.seconds_per_row:.2f}",
            f"{member.seconds_to_load:.1f}",
            f"{manifest.bytes.get(f'weights/{member.name}', 0) / 1e6:.1f}",
        )
    return table


def steps_table(manifest: Manifest) -> Table:
    """What is expected of the submission by which members are done."""
    table = PlainTable("where these are done", "combined by", numbers=["honest", "95 %"])
    for step in manifest.steps[:_MOST_STEPS]:
        stack = "alone" if step.stack is None else step.stack
        table.add_row(
            escape(", ".join(step.members)), escape(stack), score_text(step.honest), range_text(step.low, step.high)
        )
    if len(manifest.steps) > _MOST_STEPS:
        table.add_row(f"and {len(manifest.steps) - _MOST_STEPS} more", "", "", "")
    return table


def rehearsed_table(played: Sequence[Played]) -> Table:
    """The runs of a notebook."""
    table = PlainTable("test set", numbers=["rows", "seconds", "peak MB", "valid"])
    for run in played:
        table.add_row(
            run.what, str(run.rows), f"{run.seconds:.1f}", f"{run.peak / 2**20:.0f}", "yes" if run.ok else "no"
        )
    return table
