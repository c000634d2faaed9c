from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import cast

import pytest

from compete.errors import StoreError
from compete.submissions.ledger import Ledger, NewSubmission, Outcome, SubmissionStatus

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
FIRST = NewSubmission(
    target="local",
    file="001_logistic.csv",
    content="c0ffee",
    source="stack logistic",
    metric="f1_macro",
    validation=0.5279,
    fold_plan="f01d",
    probabilities="abcd",
    message="stack logistic, honest macro-F1 0.5279 [c0ffee]",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "submissions" / "ledger.sqlite")


VERSION_0 = """
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
    message TEXT NOT NULL
) STRICT;
CREATE TABLE outcomes (
    number INTEGER NOT NULL REFERENCES submissions (number),
    recorded TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('scored', 'sent', 'refused')),
    reference TEXT,
    public REAL,
    private REAL
) STRICT;
"""


def outcomes(ledger: Ledger) -> list[tuple[int, str, float | None]]:
    with contextlib.closing(sqlite3.connect(ledger.path)) as database:
        return database.execute("SELECT number, status, private FROM outcomes ORDER BY rowid").fetchall()


def test_a_ledger_that_nobody_wrote_is_empty_and_stays_unwritten(ledger: Ledger) -> None:
    assert ledger.entries() == []
    assert ledger.sent_on(NOON, "local") == 0
    assert not ledger.path.parent.exists()


def test_a_submission_is_pending_until_its_outcome_is_recorded(ledger: Ledger) -> None:
    number = ledger.add(FIRST, NOON)
    (entry,) = ledger.entries()
    assert (entry.number, entry.created, entry.submission) == (number, NOON, FIRST)
    assert entry.pending and entry.outcome == Outcome("pending")
    ledger.record(number, Outcome("scored", "001_logistic.csv", 0.5))
    (entry,) = ledger.entries()
    assert not entry.pending and entry.outcome == Outcome("scored", "001_logistic.csv", 0.5)


def test_a_missing_validation_score_stays_missing(ledger: Ledger) -> None:
    ledger.add(replace(FIRST, validation=None), NOON)
    assert ledger.entries()[0].submission.validation is None


def test_the_latest_outcome_counts_and_the_older_ones_are_kept(ledger: Ledger) -> None:
    first, second = ledger.add(FIRST, NOON), ledger.add(replace(FIRST, file="002.csv"), NOON)
    ledger.record(first, Outcome("sent"), NOON)
    ledger.record(second, Outcome("refused", "too late"), NOON)
    ledger.record(first, Outcome("scored", None, 0.5), NOON - timedelta(days=1))  # a clock that was set back
    ledger.record(first, Outcome("scored", None, 0.5, 0.25), NOON - timedelta(days=1))
    assert [entry.outcome for entry in ledger.entries()] == [
        Outcome("scored", None, 0.5, 0.25),
        Outcome("refused", "too late"),
    ]
    assert outcomes(ledger) == [
        (first, "sent", None),
        (second, "refused", None),
        (first, "scored", None),
        (first, "scored", 0.25),
    ]


def test_numbers_grow_and_entries_come_oldest_first(ledger: Ledger) -> None:
    numbers = [ledger.add(replace(FIRST, file=f"{n:03d}.csv"), NOON - timedelta(days=n)) for n in (1, 2, 3)]
    assert numbers == [1, 2, 3]
    reopened = Ledger(ledger.path)
    assert [entry.submission.file for entry in reopened.entries()] == ["001.csv", "002.csv", "003.csv"]
    assert reopened.add(FIRST, NOON) == 4


def test_an_outcome_of_no_submission_or_of_no_known_kind_is_refused(ledger: Ledger) -> None:
    number, unknown = ledger.add(FIRST, NOON), cast(SubmissionStatus, "arrived")
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        ledger.record(number + 1, Outcome("sent"))
    with pytest.raises(StoreError, match="CHECK"):
        ledger.record(number, Outcome(unknown))
    assert outcomes(ledger) == []


def test_submissions_are_counted_by_utc_day_and_target(ledger: Ledger) -> None:
    midnight = datetime(2024, 3, 2, tzinfo=UTC)
    for moment in (midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=23, minutes=59)):
        ledger.add(FIRST, moment)
    ledger.add(replace(FIRST, target="kaggle"), midnight)
    assert ledger.sent_on(midnight - timedelta(hours=1), "local") == 1
    assert ledger.sent_on(midnight + timedelta(hours=5), "local") == 2
    assert ledger.sent_on(midnight, "kaggle") == 1
    assert ledger.sent_on(midnight + timedelta(days=1), "local") == 0
    # 19:30 of March 1 in New York is March 2 in UTC already.
    assert ledger.sent_on(datetime(2024, 3, 1, 19, 30, tzinfo=timezone(timedelta(hours=-5))), "local") == 2


@pytest.mark.parametrize(
    ("status", "counted"),
    [("pending", 1), ("sent", 1), ("scored", 1), ("failed", 1), ("refused", 0), ("lost", 0)],
)
def test_every_status_is_kept_and_only_what_never_arrived_is_free(
    ledger: Ledger, status: SubmissionStatus, counted: int
) -> None:
    ledger.record(ledger.add(FIRST, NOON), Outcome(status, note="they said so"), NOON)
    (entry,) = ledger.entries()
    assert entry.outcome == Outcome(status, note="they said so")
    assert (entry.counted, entry.pending) == (bool(counted), status == "pending")
    assert ledger.sent_on(NOON, "local") == counted


def test_a_submission_that_was_cut_off_counts_until_it_is_known_to_be_lost(ledger: Ledger) -> None:
    number = ledger.add(FIRST, NOON)
    assert ledger.sent_on(NOON, "local") == 1
    ledger.record(number, Outcome("lost"), NOON)
    assert ledger.sent_on(NOON, "local") == 0
    ledger.record(number, Outcome("pending"), NOON)  # sent once more
    assert ledger.sent_on(NOON, "local") == 1


def test_an_entry_says_when_it_last_changed(ledger: Ledger) -> None:
    number = ledger.add(FIRST, NOON)
    assert ledger.entries()[0].changed == NOON
    ledger.record(number, Outcome("sent"), NOON + timedelta(hours=2))
    (entry,) = ledger.entries()
    assert (entry.created, entry.changed) == (NOON, NOON + timedelta(hours=2))


def test_ranges_are_kept(ledger: Ledger) -> None:
    ranged = replace(FIRST, low=0.5, high=0.6, public_low=0.4, public_high=0.7, private_low=0.45, private_high=0.65)
    ledger.add(ranged, NOON)
    assert ledger.entries()[0].submission == ranged


def write_version_0(path: Path) -> None:
    """A ledger as the first compete wrote it: two submissions, of which one was scored and then revealed."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript(VERSION_0)
        row = (NOON.isoformat(), *astuple(FIRST)[:9])
        for number in (1, 2, 3):
            database.execute(f"INSERT INTO submissions VALUES (?{', ?' * len(row)})", (number, *row))
        recorded = [
            (1, "sent", None, None, None),
            (3, "refused", "too late", None, None),
            (1, "scored", "001_logistic.csv", 0.5, None),
            (1, "scored", "001_logistic.csv", 0.5, 0.25),
        ]
        for number, *values in recorded:
            database.execute("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", (number, NOON.isoformat(), *values))


def test_a_ledger_of_version_0_is_brought_up_to_date_and_loses_no_row(ledger: Ledger) -> None:
    ledger.path.parent.mkdir()
    write_version_0(ledger.path)
    before = outcomes(ledger)
    entries = ledger.entries()
    assert [(entry.number, entry.created, entry.submission) for entry in entries] == [
        (number, NOON, FIRST) for number in (1, 2, 3)
    ]
    assert [entry.outcome for entry in entries] == [
        Outcome("scored", "001_logistic.csv", 0.5, 0.25),
        Outcome("pending"),
        Outcome("refused", "too late"),
    ]
    assert outcomes(ledger) == before  # the history, in its order, and not the last word alone
    ledger.record(2, Outcome("lost", note="a status and a note that version 0 did not know"))
    assert ledger.add(FIRST, NOON) == 4
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        ledger.record(5, Outcome("sent"))
    assert Ledger(ledger.path).entries()[:1] == entries[:1]


def test_a_new_ledger_and_one_that_was_brought_up_to_date_are_alike(tmp_path: Path) -> None:
    def tables(path: Path) -> list[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT name, replace(sql, '\"', '') FROM sqlite_master ORDER BY name").fetchall()

    write_version_0(tmp_path / "old.sqlite")
    for name in ("old", "new"):
        Ledger(tmp_path / f"{name}.sqlite").add(FIRST, NOON)
    assert tables(tmp_path / "old.sqlite") == tables(tmp_path / "new.sqlite")


def test_the_ledger_of_a_newer_compete_is_refused_and_left_alone(ledger: Ledger) -> None:
    ledger.add(FIRST, NOON)
    with contextlib.closing(sqlite3.connect(ledger.path)) as database:
        database.execute("PRAGMA user_version = 7")
    content = ledger.path.read_bytes()
    for use in (ledger.entries, lambda: ledger.add(FIRST)):
        with pytest.raises(StoreError, match=r"a newer compete wrote it \(version 7\)"):
            use()
    assert ledger.path.read_bytes() == content


def test_times_are_kept_in_utc(ledger: Ledger) -> None:
    ledger.add(FIRST, datetime(2024, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5))))
    before = datetime.now(UTC).replace(microsecond=0)
    ledger.record(ledger.add(FIRST), Outcome("sent"))
    first, second = (entry.created for entry in ledger.entries())
    assert first == datetime(2024, 3, 2, 4, 30, tzinfo=UTC)
    assert first.utcoffset() == second.utcoffset() == timedelta(0)
    assert before <= second <= datetime.now(UTC)
    with contextlib.closing(sqlite3.connect(ledger.path)) as database:
        stamps = database.execute("SELECT created FROM submissions UNION SELECT recorded FROM outcomes").fetchall()
    assert all(stamp.endswith("+00:00") for (stamp,) in stamps)


@pytest.mark.parametrize("content", [b"number,created\n1,2024\n" * 50, b"SQLite format 3\x00" + b"\x00" * 200])
def test_a_file_that_is_no_ledger_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.path.write_bytes(content)
    for use in (ledger.entries, lambda: ledger.add(FIRST), lambda: ledger.record(1, Outcome("sent"))):
        with pytest.raises(StoreError, match=r"ledger\.sqlite cannot be used as a ledger"):
            use()
    assert ledger.path.read_bytes() == content
