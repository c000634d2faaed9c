"""The log as a CSV for people: a row per run, no cell of which a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from compete.experiments.run_log import Logged
from compete.spreadsheets import no_formula

COLUMNS = (
    "when", "command", "kind", "name", "ended", "metric", "honest", "low", "high", "naive", "public", "hours", "number",
    "changes", "note",
)  # fmt: skip


def log_cells(logged: Logged) -> dict[str, object]:
    """What of a run is shown, by column."""
    run = logged.run
    own = {name: getattr(run, name) for name in COLUMNS if name != "changes"}
    return {name: "; ".join(logged.changes) if name == "changes" else own[name] for name in COLUMNS}


def log_csv(runs: Sequence[Logged]) -> str:
    """Times in UTC, empty cells for what is not known."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for run in runs:
        cells = log_cells(run)
        writer.writerow({name: no_formula(cell) if isinstance(cell, str) else cell for name, cell in cells.items()})
    return buffer.getvalue()
