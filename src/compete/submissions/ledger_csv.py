"""The ledger as a CSV, a row per submission: to export, and to read what others noted."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from compete.competition.metric_names import every_metric, is_own, metric_info
from compete.errors import DataError
from compete.spreadsheets import as_it_was, no_formula
from compete.submissions.ledger import UNKNOWN, Entry, NewSubmission, Outcome, SubmissionStatus

_NUMBERS = (
    "validation", "low", "high", "public_low", "public_high", "private_low", "private_high", "public", "private",
)  # fmt: skip
_MOST_BYTES = 64 * 2**20
_NEEDED = ("source", "metric", "validation", "public")


def to_csv(entries: list[Entry]) -> str:
    """Every submission with its latest outcome; times in UTC, empty cells for what is not known.

    What a spreadsheet would take for a formula has an apostrophe before it, which `from_csv` takes away again.
    """
    columns = ["number", "created", *(f.name for f in fields(NewSubmission)), *(f.name for f in fields(Outcome))]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        row = {"number": entry.number, "created": "" if entry.created == UNKNOWN else entry.created.isoformat()}
        cells = {**row, **asdict(entry.submission), **asdict(entry.outcome)}
        writer.writerow({name: no_formula(cell) if isinstance(cell, str) else cell for name, cell in cells.items()})
    return buffer.getvalue()


def from_csv(path: Path) -> list[Entry]:
    """Entries from a CSV with the columns source, metric, validation and public at least."""
    if path.exists() and not path.is_file():  # a pipe may never end
        raise DataError(f"{path} cannot be read (it is no file)")
    if path.is_file() and path.stat().st_size > _MOST_BYTES:
        raise DataError(f"{path} has {path.stat().st_size:,} bytes: no ledger is that long")
    try:
        # -sig: some spreadsheets begin a CSV with a byte-order mark, which would stick to the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error})") from None
    missing = [column for column in _NEEDED if rows and column not in rows[0]]
    if missing or not rows:
        raise DataError(f"{path} is no ledger: it lacks {', '.join(missing) or 'rows'}")
    return [
        _entry(path, number, {name: as_it_was(cell or "") for name, cell in row.items() if isinstance(name, str)})
        for number, row in enumerate(rows, start=1)
    ]


def _entry(path: Path, number: int, row: dict[str, str]) -> Entry:
    if metric_info(row["metric"]) is None and not is_own(row["metric"]):
        names = ", ".join(every_metric())
        raise DataError(f"{path} row {number}: no metric {row['metric']!r}; there are {names}")
    values: dict[str, Any] = {}
    for name in _NUMBERS:
        try:
            values[name] = float(row[name]) if row.get(name) else None
        except ValueError:
            # Refused below, as infinity is.
            values[name] = math.nan
        if values[name] is not None and not math.isfinite(values[name]):
            raise DataError(f"{path} row {number}: {name} is {row[name]!r}, expected a number")
    texts: dict[str, Any] = {name: row.get(name) or "" for name in ("target", "file", "content", "source", "metric")}
    texts |= {name: row.get(name) or "" for name in ("fold_plan", "probabilities", "message")}
    known = row.get("status") in get_args(SubmissionStatus)
    scored = values["public"] is not None or values["private"] is not None
    status: Any = row["status"] if known else "scored" if scored else "sent"
    outcome = Outcome(
        status, row.get("reference") or None, values.pop("public"), values.pop("private"), row.get("note") or ""
    )
    try:
        created = datetime.fromisoformat(row["created"]) if row.get("created") else UNKNOWN
        created = created if created.tzinfo else created.replace(tzinfo=UTC)
    except ValueError:
        raise DataError(f"{path} row {number}: created is {row['created']!r}, expected ISO 8601") from None
    return Entry(number, created, NewSubmission(**texts, **values), outcome, created)
