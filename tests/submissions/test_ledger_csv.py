from __future__ import annotations

import csv
from dataclasses import astuple, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compete.errors import DataError
from compete.submissions.ledger import Entry, NewSubmission, Outcome
from compete.submissions.ledger_csv import from_csv, to_csv

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SENT = NewSubmission(
    target="kaggle toy",
    file="001_logistic.csv",
    content="c0ffee",
    source='stack "a, b"',
    metric="f1_macro",
    validation=1 / 3,
    fold_plan="f01d",
    probabilities="abcd",
    message="[01234567] stack, honest macro-F1 0.3333\nsecond line",
    low=0.1,
    high=0.2,
    public_low=0.3,
    public_high=0.4,
    private_low=0.5,
    private_high=0.6,
)
ENTRIES = [
    Entry(1, NOON, SENT, Outcome("scored", "54000001", 0.7, 0.8, "fine"), NOON),
    Entry(2, NOON, replace(SENT, validation=None, low=None, high=None), Outcome("scored", "x", 0.1 + 0.2), NOON),
    Entry(3, NOON, replace(SENT, metric="log_loss", source="größe"), Outcome("sent", "y"), NOON),
]
MINIMAL = "source,metric,validation,public\nstack a,f1_macro,0.5,0.4\nstack b,f1_macro,0.6,\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "noted.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_was_exported_is_read_back_with_every_number_in_its_place(tmp_path: Path) -> None:
    read = from_csv(write(tmp_path, to_csv(ENTRIES)))
    assert [each.submission for each in read] == [each.submission for each in ENTRIES]
    scores = [(each.outcome.status, each.outcome.public, each.outcome.private) for each in read]
    assert scores == [("scored", 0.7, 0.8), ("scored", 0.1 + 0.2, None), ("sent", None, None)]
    assert [(each.number, each.created) for each in read] == [(1, NOON), (2, NOON), (3, NOON)]


def test_the_export_holds_everything_under_its_own_name(tmp_path: Path) -> None:
    with write(tmp_path, to_csv(ENTRIES)).open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["number"], first["created"]) == ("1", "2024-03-01T12:00:00+00:00")
    expected = [*astuple(SENT), "scored", "54000001", 0.7, 0.8, "fine"]
    assert list(first.values())[2:] == [str(value) for value in expected]
    assert (first["public"], first["private"], first["public_low"]) == ("0.7", "0.8", "0.3")


def test_four_columns_are_enough(tmp_path: Path) -> None:
    one, two = from_csv(write(tmp_path, "\ufeff" + MINIMAL))  # as a spreadsheet writes it
    assert (one.submission.source, one.submission.validation, one.outcome) == (
        "stack a",
        0.5,
        Outcome("scored", public=0.4),
    )
    assert (two.number, two.submission.validation, two.outcome) == (2, 0.6, Outcome("sent"))
    assert one.submission.public_low is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("b,f1_macro", "b,f2", r"row 2: no metric 'f2'; there are f1_macro, .*log_loss"),
        ("0.5", "half", r"row 1: validation is 'half', expected a number"),
        ("0.6,", '0.6,"0,4"', r"row 2: public is '0,4', expected a number"),
        ("metric,validation", "score,validation", r"is no ledger: it lacks metric"),
        ("validation,public", "valid.,publ.", r"is no ledger: it lacks validation, public"),
        (MINIMAL, "source,metric,validation,public\n", r"is no ledger: it lacks rows"),
        (MINIMAL, "", r"is no ledger: it lacks rows"),
        (MINIMAL, "created," + MINIMAL.replace("stack", "yesterday,stack"), r"row 1: created is 'yesterday'"),
    ],
)
def test_a_bad_file_is_refused_and_says_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, MINIMAL.replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        from_csv(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        from_csv(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("source,größe\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv cannot be read"):
        from_csv(tmp_path / "latin.csv")
