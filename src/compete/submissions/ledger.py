"""The ledger: every submission that was ever made, in SQLite, append-only.

`submissions` holds what was known before sending and is written first; `outcomes` holds what became of it, a row each
time. The state of a submission is its last outcome; one without any, or "pending", was cut off while it was sent.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from compete.atomic import disk_full_is_said
from compete.competition.names import checked_submission_file
from compete.competition.workspace import Workspace
from compete.errors import DiskFullError, StoreError
from compete.printable import shown

_SCHEMA = """
CREATE TABLE submissions (
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
    message TEXT NOT NULL,
    low REAL,
    high REAL,
    public_low REAL,
    public_high REAL,
    private_low REAL,
    private_high REAL
) STRICT;
CREATE TABLE outcomes (
    number INTEGER NOT NULL REFERENCES submissions (number),
    recorded TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'sent', 'scored', 'failed', 'refused', 'lost')),
    reference TEXT,
    public REAL,
    private REAL,
    note TEXT NOT NULL DEFAULT ''
) STRICT;
"""
# From the ledgers of version 0, which knew neither ranges nor notes.
_FROM_0 = """
ALTER TABLE outcomes RENAME TO outcomes_0;
ALTER TABLE submissions RENAME TO submissions_0;
{schema}
INSERT INTO submissions SELECT *, NULL, NULL, NULL, NULL, NULL, NULL FROM submissions_0;
INSERT INTO outcomes SELECT *, '' FROM outcomes_0;
DROP TABLE outcomes_0;
DROP TABLE submissions_0;
"""
_VERSION = 1
OUTSIDE = "outside compete"
_NOTEBOOK = ", notebook "
UNKNOWN = datetime(1, 1, 1, tzinfo=UTC)  # when a submission was sent, where nobody noted it


@dataclass(frozen=True)
class NewSubmission:
    """What is known before sending."""

    target: str
    file: str
    """Its name in submissions/."""
    content: str
    """Hash of what it says, independent of how it is written."""
    source: str
    """What was submitted ("stack logistic", "base model linear"), and the notebook that was sent in its place."""
    metric: str
    validation: float | None
    """Its honest score; None for a file that was made elsewhere."""
    fold_plan: str
    probabilities: str
    """Hash of the test probabilities it was cut from."""
    message: str
    """Sent along, and unique by its tag, so that a target can be asked whether it arrived."""
    low: float | None = None
    """Of the interval of the honest score."""
    high: float | None = None
    public_low: float | None = None
    """Where the public score was expected; then where the private one was."""
    public_high: float | None = None
    private_low: float | None = None
    private_high: float | None = None

    def is_of(self, title: str) -> bool:
        """Whether it is the base model or stack of this title, sent as a file or by a notebook."""
        return self.source == title or self.source.startswith(f"{title}{_NOTEBOOK}")


def ledger_title(title: str, notebook: str = "") -> str:
    """What the ledger calls a source; notebook: what is sent in the file's place."""
    return f"{title}{_NOTEBOOK}{notebook}" if notebook else title


SubmissionStatus = Literal["pending", "sent", "scored", "failed", "refused", "lost"]


@dataclass(frozen=True)
class Outcome:
    """What became of a submission."""

    status: SubmissionStatus
    """"pending" while it is being sent; "sent", counted and not scored yet; "scored"; "failed", counted and not fit to
    be scored; "refused" and "lost", not counted, for a reason or because it never arrived."""
    reference: str | None = None
    """The target's own name for it."""
    public: float | None = None
    private: float | None = None
    note: str = ""
    """The target's words."""


@dataclass(frozen=True)
class Entry:
    """A submission with its latest outcome, and when that was recorded; "pending" while there is none."""

    number: int
    created: datetime
    submission: NewSubmission
    outcome: Outcome
    changed: datetime

    @property
    def pending(self) -> bool:
        return self.outcome.status == "pending"

    @property
    def counted(self) -> bool:
        """Whether it counts against the day's limit, as far as is known."""
        return self.outcome.status not in ("refused", "lost")


T = TypeVar("T")
_OUTCOME_COLUMNS = len(fields(Outcome))


def ledger_of(workspace: Workspace) -> Ledger:
    return Ledger(workspace.ledger)


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
                "INSERT INTO outcomes (number, recorded, status, reference, public, private, note) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, _stamp(now), *astuple(outcome)),
            )

    def entries(self) -> list[Entry]:
        """All submissions, oldest first."""
        if not self.path.exists():
            return []
        columns = ", ".join(f"s.{field.name}" for field in fields(NewSubmission))
        with self._open() as database:
            rows = database.execute(
                f"""SELECT s.number, s.created, coalesce(o.recorded, s.created), coalesce(o.status, 'pending'),
                o.reference, o.public, o.private, coalesce(o.note, ''), {columns}
                FROM submissions s LEFT JOIN outcomes o
                ON o.rowid = (SELECT max(rowid) FROM outcomes WHERE number = s.number)
                ORDER BY s.number"""
            ).fetchall()
        try:
            return [_entry(*row) for row in rows]
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self.path} cannot be used as a ledger: {error}") from None

    def file_of(self, entry: Entry) -> Path:
        """Where the file of a submission lies; raises UserError for a name that leads out of submissions/."""
        return self.path.parent / checked_submission_file(entry.submission.file)

    def sent_on(self, day: datetime, target: str) -> int:
        """How many submissions count against `target`'s limit on the UTC day of `day`.

        One that had to be sent again counts on the day it was.
        """
        if not self.path.exists():
            return 0
        date = day.astimezone(UTC).date()
        with self._open() as database:
            again = database.execute(
                "SELECT number, max(recorded) FROM outcomes WHERE status = 'pending' GROUP BY number"
            )
            try:
                sent = {number: _moment(recorded) for number, recorded in again}
            except (TypeError, ValueError) as error:
                raise StoreError(f"{self.path} cannot be used as a ledger: {error}") from None
        return sum(
            entry.submission.target == target and sent.get(entry.number, entry.created).date() == date and entry.counted
            for entry in self.entries()
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with disk_full_is_said(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _made_private(self.path)
        try:
            # As a context, a connection commits or rolls back, and stays open: it is closed by the other one.
            with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as database, database:
                # Somebody else's file: neither its views and triggers nor its indices may call functions of SQLite's.
                database.execute("PRAGMA trusted_schema = OFF")
                database.execute("PRAGMA cell_size_check = ON")
                database.execute("PRAGMA foreign_keys = ON")
                _prepare(database)
                _refuse_other_tables(database)
                yield database
        except sqlite3.DatabaseError as error:
            # SQLite says "database or disk is full".
            if "full" in str(error):
                raise DiskFullError(
                    f"no space left on the disk for {self.path}: make some, then run the same command, which "
                    "finds out what became of a submission that was under way"
                ) from None
            raise StoreError(f"{self.path} cannot be used as a ledger: {error}") from None


def _prepare(database: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an older version up to date, in one transaction."""
    if _version(database) == _VERSION:
        return
    # As SQLite advises before tables are renamed and dropped; inside a transaction the pragma has no effect.
    database.execute("PRAGMA foreign_keys = OFF")
    # This transaction is our own, also where other commands open the ledger now.
    level, database.isolation_level = database.isolation_level, None
    database.execute("BEGIN EXCLUSIVE")
    # Looked at again under the lock: another command may have been first.
    found = _version(database)
    if found < _VERSION:
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'submissions'").fetchone()
        script = _FROM_0.format(schema=_SCHEMA) if tables else _SCHEMA
        # executescript would commit the transaction before it begins.
        for statement in script.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_VERSION}")
    database.execute("COMMIT")
    database.isolation_level = level
    database.execute("PRAGMA foreign_keys = ON")


def _made_private(path: Path) -> None:
    """The file, empty if there was none, for the user and his group alone; its journal gets the same rights.

    Raises StoreError for what is no file: SQLite would wait for a pipe.
    """
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} cannot be used as a ledger: it is no file")
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660))


def _refuse_other_tables(database: sqlite3.Connection) -> None:
    """Views and triggers in a ledger are nobody's of compete's, and would decide what is read and written."""
    found = database.execute("SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone()
    if found is not None:
        raise sqlite3.DatabaseError(f"it has a {found[0]}, {shown(found[1])}, which compete never made")


def _entry(number: object, created: object, changed: object, *values: Any) -> Entry:
    """A row; raises TypeError or ValueError for what compete never writes."""
    submission = _typed(NewSubmission, values[_OUTCOME_COLUMNS:])
    outcome = _typed(Outcome, values[:_OUTCOME_COLUMNS])
    if outcome.status not in get_args(SubmissionStatus):
        raise ValueError(f"a submission is {shown(outcome.status)}")
    if not isinstance(number, int):
        raise TypeError("a submission without a number")
    return Entry(number, _moment(created), submission, outcome, _moment(changed))


def _typed(kind: Callable[..., T], values: Sequence[Any]) -> T:
    """SQLite has types of columns, but somebody else's table may have none."""
    for field, value in zip(fields(kind), values, strict=True):  # type: ignore[arg-type]
        wanted = str if "str" in str(field.type) or "Status" in str(field.type) else (int, float)
        if not isinstance(value, wanted) and not (value is None and "None" in str(field.type)):
            raise TypeError(f"{field.name} of a submission is {shown(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{field.name} of a submission is {value}")
    return kind(*values)


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise sqlite3.DatabaseError(f"a newer compete wrote it (version {version})")
    return int(version)


def _stamp(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
