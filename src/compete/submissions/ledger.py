"""The ledger: every submission that was ever made, in SQLite, append-only.

`submissions` holds what was known before sending and is written first; `outcomes` holds what came back, a row
each time. The state of a submission is its last outcome; one without any was cut off while it was sent.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from compete.atomic import disk_full_is_said
from compete.competition.declaration import MetricName
from compete.errors import DiskFullError, StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    created TEXT NOT NULL,
    target TEXT NOT NULL,
    file TEXT NOT NULL,
    content TEXT NOT NULL,
    source TEXT NOT NULL,
    metric TEXT NOT NULL,
    validation REAL,
    fold_plan TEXT NOT NULL,
    probabilities TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS outcomes (
    number INTEGER NOT NULL REFERENCES submissions (number),
    recorded TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('scored', 'sent', 'refused')),
    reference TEXT,
    public REAL,
    private REAL
) STRICT;
"""


@dataclass(frozen=True)
class NewSubmission:
    """What is known before sending.

    file: name in submissions/; content: hash of what it says, independent of how it is written;
    source: what was submitted ("stack logistic", "base model linear"); validation: its honest score;
    probabilities: hash of the test probabilities it was cut from; message: sent along, and unique by its tag,
    so that a target can be asked whether it arrived.
    """

    target: str
    file: str
    content: str
    source: str
    metric: MetricName
    validation: float | None
    fold_plan: str
    probabilities: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What a target answered. status: "scored", "sent" (no score yet) or "refused"."""

    status: str
    reference: str | None = None
    public: float | None = None
    private: float | None = None


@dataclass(frozen=True)
class Entry:
    """A submission with its latest outcome; status is "pending" while there is none."""

    number: int
    created: datetime
    submission: NewSubmission
    outcome: Outcome

    @property
    def pending(self) -> bool:
        return self.outcome.status == "pending"


class Ledger:
    """The file submissions/ledger.sqlite."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, submission: NewSubmission, now: datetime | None = None) -> int:
        """Write a submission before it is sent; its number."""
        columns = [field.name for field in fields(NewSubmission)]
        with self._open() as database:
            cursor = database.execute(
                f"INSERT INTO submissions (created, {', '.join(columns)}) VALUES (?{', ?' * len(columns)})",
                (_stamp(now), *astuple(submission)),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def record(self, number: int, outcome: Outcome, now: datetime | None = None) -> None:
        """Append what came back for submission `number`."""
        with self._open() as database:
            database.execute(
                "INSERT INTO outcomes (number, recorded, status, reference, public, private) VALUES (?, ?, ?, ?, ?, ?)",
                (number, _stamp(now), *astuple(outcome)),
            )

    def entries(self) -> list[Entry]:
        """All submissions, oldest first."""
        if not self.path.exists():
            return []
        columns = ", ".join(f"s.{field.name}" for field in fields(NewSubmission))
        with self._open() as database:
            rows = database.execute(
                f"""SELECT s.number, s.created, o.status, o.reference, o.public, o.private, {columns}
                FROM submissions s LEFT JOIN outcomes o
                ON o.rowid = (SELECT max(rowid) FROM outcomes WHERE number = s.number)
                ORDER BY s.number"""
            ).fetchall()
        return [
            Entry(number, datetime.fromisoformat(created), NewSubmission(*rest), Outcome(status or "pending", *outcome))
            for number, created, status, *values in rows
            for outcome, rest in [(values[:3], values[3:])]
        ]

    def sent_on(self, day: datetime, target: str) -> int:
        """How many submissions count against `target`'s limit on the UTC day of `day`."""
        date = day.astimezone(UTC).date()
        return sum(
            entry.submission.target == target and entry.created.date() == date and entry.outcome.status != "refused"
            for entry in self.entries()
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with disk_full_is_said(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as database, database:
                database.execute("PRAGMA foreign_keys = ON")
                database.executescript(_SCHEMA)
                yield database
        except sqlite3.DatabaseError as error:
            if "full" in str(error):
                raise DiskFullError(f"no space left on the disk for {self.path}: nothing was sent") from None
            raise StoreError(f"{self.path} cannot be used as a ledger: {error}") from None


def _stamp(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
