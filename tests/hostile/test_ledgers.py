"""Ledgers, and scores of somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.hostile import (
    ESCAPE,
    Case,
    cases,
    ledger,
    pipe,
    quote,
    writes,
)

pytestmark = pytest.mark.slow


def ledgers() -> Iterator[Case]:
    look = ("scores",)
    kept = ("is", "cannot be used as a ledger")
    yield Case("ledger: a pipe", look, kept, pipe("submissions/ledger.sqlite"))
    yield Case("ledger: text", look, kept, writes("submissions/ledger.sqlite", "number,created\n" * 100))
    for what, statement in {
        "a status of nobody's": "PRAGMA ignore_check_constraints = ON",
        "a time that is none": "UPDATE submissions SET created = 'yesterday'",
        "an endless score": "UPDATE submissions SET validation = 9e999",
    }.items():
        changed = (statement, "UPDATE outcomes SET status = 'won'") if statement.startswith("PRAGMA") else (statement,)
        yield Case(f"ledger with {what}", look, kept[1:], ledger(*changed))
    yield Case("ledger with a view", look, ("view", *kept[1:]), ledger("CREATE VIEW spy AS SELECT * FROM submissions"))
    trigger = "CREATE TRIGGER spy AFTER INSERT ON outcomes BEGIN DELETE FROM submissions; END"
    yield Case("ledger with a trigger", look, ("trigger", *kept[1:]), ledger(trigger))
    loose = (
        "ALTER TABLE submissions RENAME TO old",
        "CREATE TABLE submissions AS SELECT * FROM old",
        "UPDATE submissions SET source = x'00ff'",
    )
    yield Case("ledger with other types", look, kept[1:], ledger(*loose))
    yield Case("ledger with escape sequences", look, (), ledger(f"UPDATE submissions SET source = {quote(ESCAPE)}"), 0)
    yield Case("ledger with markup", look, (), ledger("UPDATE submissions SET source = '[/red] [bold'"), 0)
    yield Case("scores from a pipe", ("scores", "--from", "pipe.csv"), ("is no file",), pipe("pipe.csv"))
    yield Case("scores from a device", ("scores", "--from", "/dev/zero"), ("is no file",))
    text = f"source,metric,validation,public\n{ESCAPE},f1_macro,0.5,0.4\n"
    yield Case("scores from escape sequences", ("scores", "--from", "mine.csv"), (), writes("mine.csv", text), 0)
    metric = f"source,metric,validation,public\nx,{ESCAPE},0.5,0.4\n"
    yield Case(
        "scores of a metric of escape sequences",
        ("scores", "--from", "mine.csv"),
        ("no metric",),
        writes("mine.csv", metric),
    )


@cases(ledgers, least=13)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
