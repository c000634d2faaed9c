"""A toy competition on the stand-in for Kaggle, and workspaces that submit to it."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from compete.cli.main import main
from compete.competition.data import Competition as LoadedCompetition
from compete.competition.data import load_competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.oof.fold_plan import with_plan
from compete.submissions.csv_file import CsvFile
from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard
from compete.submissions.ledger import Entry, ledger_of
from compete.submissions.sending import Prepared, prepare, submit
from support.kaggle_service import Competition, KaggleService

SLUG = "toy"
PASSWORD = {"KAGGLE_USERNAME": "ann", "KAGGLE_KEY": "secret"}
CUES = {"joy": ("happy", "sunny"), "anger": ("furious", "rotten"), "trust": ("reliable", "steady")}
TEST_ROWS = 100

DECLARATION = """\
name = "toy"

[data]
train = "data/train.csv"
test = "data/test.csv"
sample_submission = "data/sample_submission.csv"
id = "id"
text = "tweet"
labels = ["joy", "anger", "trust"]

[folds]
k = 2
seed = 7

[submission]
target = "kaggle"
kaggle = "toy"
daily_limit = 50
"""

Row = dict[str, str]


def rows(count: int, seed: int, prefix: str) -> list[Row]:
    """Posts whose words tell their labels, except every seventh time."""
    random = Random(seed)
    made = []
    for number in range(count):
        labels = {label: int(random.random() < 0.4) for label in CUES}
        words = [random.choice(CUES[label]) for label in CUES if labels[label] != (random.random() < 0.15)]
        words += [f"w{random.randrange(60)}" for _ in range(5)]
        made.append(
            {
                "id": f"{prefix}{number}",
                "tweet": " ".join(words),
                **{label: str(is_on) for label, is_on in labels.items()},
            }
        )
    return made


TRUTH = rows(TEST_ROWS, 2, "b")


def table(lines: Sequence[Row], columns: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue().encode()


def macro_f1(sent: Mapping[str, Mapping[str, str]], truth: Sequence[Row]) -> float:
    scores = []
    for label in CUES:
        pairs = [(int(sent[row["id"]][label]), int(row[label])) for row in truth]
        scores.append(2 * sum(a * b for a, b in pairs) / max(1, sum(a + b for a, b in pairs)))
    return sum(scores) / len(scores)


def solution(content: bytes) -> tuple[float, float] | str:
    """Public and private macro-F1: the first half of the rows, and the rest."""
    sent = {row["id"]: row for row in csv.DictReader(io.StringIO(content.decode()))}
    if set(sent) != {row["id"] for row in TRUTH}:
        return "Submission must have the ids of the test set"
    return macro_f1(sent, TRUTH[: TEST_ROWS // 2]), macro_f1(sent, TRUTH[TEST_ROWS // 2 :])


def toy_competition(**differences: Any) -> Competition:
    files = {
        "train.csv": table(rows(200, 1, "a"), ["id", "tweet", *CUES]),
        "test.csv": table(TRUTH, ["id", "tweet"]),
        "sample_submission.csv": answers(lambda row, label: "0"),
    }
    return Competition(SLUG, files, solution, **{"daily_limit": 50, **differences})


def answers(cell: Callable[[Row, str], str]) -> bytes:
    """A submission in the form of the sample."""
    return table([{"id": row["id"], **{label: cell(row, label) for label in CUES}} for row in TRUTH], ["id", *CUES])


def guesses(seed: int, wrong: float = 0.2) -> bytes:
    """A submission that is wrong in a share of its cells; each seed has its own."""
    random = Random(seed)
    return answers(lambda row, label: str(int(row[label]) ^ (random.random() < wrong)))


def toy_workspace(root: Path) -> Workspace:
    """A workspace with the toy competition's files, as `compete download` leaves it."""
    (root / "data").mkdir(parents=True)
    for name, content in toy_competition().files.items():
        (root / "data" / name).write_bytes(content)
    (root / "competition.toml").write_text(DECLARATION, encoding="utf-8")
    return Workspace(root.resolve())


@dataclass
class Submitter:
    """`compete submit CSV --yes` without the command line: one workspace, one CSV file, as often as it takes."""

    planned: Planned
    csv: Path

    @property
    def competition(self) -> LoadedCompetition:
        return self.planned.competition

    @classmethod
    def make(cls, root: Path, content: bytes) -> Submitter:
        workspace = toy_workspace(root)
        competition = load_competition(workspace)
        path = root / "mine.csv"
        path.write_bytes(content)
        return cls(with_plan(competition), path)

    @classmethod
    def open(cls, root: Path) -> Submitter:
        competition = load_competition(Workspace(root.resolve()))
        return cls(with_plan(competition), root / "mine.csv")

    def prepare(self, target: KaggleLeaderboard) -> Prepared:
        return prepare(self.planned, CsvFile(self.csv), target.name)

    def run(self, target: KaggleLeaderboard) -> Entry | None:
        return submit(self.competition, self.prepare(target), target)

    @property
    def folder(self) -> Path:
        return self.competition.workspace.submissions

    def entries(self) -> list[Entry]:
        return ledger_of(self.competition.workspace).entries()

    def counted(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.counted]


def assert_sent_once(service: KaggleService, submitter: Submitter) -> None:
    """The service has counted the file once, and the ledger knows that one, by its reference."""
    assert [each.content for each in service.submissions] == [submitter.csv.read_bytes()]
    (counted,) = submitter.counted()
    (sent,) = service.submissions
    assert counted.outcome.reference == str(sent.ref)
    assert counted.outcome.status in ("sent", "scored")
    assert counted.submission.message == sent.description
    assert (submitter.folder / counted.submission.file).read_bytes() == sent.content
    assert not service.escapes


def command(
    service: KaggleService, home: Path, cwd: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs `compete` as a user would, with nothing to type into; ann's password unless told otherwise."""
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "compete.cli.main", *arguments],
        cwd=cwd,
        env={**service.environment(home), **(variables or PASSWORD)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def command_here(
    service: KaggleService, home: Path, cwd: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has imported everything once; what talks to Kaggle is a process as ever."""
    home.mkdir(exist_ok=True)
    environment = {**service.environment(home), **(variables or PASSWORD)}
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as changed,
        Path(os.devnull).open(encoding="utf-8") as nothing,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name in os.environ.keys() - environment.keys():
            changed.delenv(name)
        for name, value in environment.items():
            changed.setenv(name, value)
        changed.chdir(cwd)
        changed.setattr(sys, "argv", ["compete", *arguments])
        changed.setattr(sys, "stdin", nothing)
        with pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(sys.argv, int(ended.value.code or 0), out.getvalue(), err.getvalue())


def ledger_rows(workspace: Path) -> list[tuple[Any, ...]]:
    """(file, status, reference) of every submission's last outcome, read without compete."""
    with contextlib.closing(sqlite3.connect(workspace / "submissions" / "ledger.sqlite")) as database:
        return database.execute(
            "SELECT file, status, reference FROM submissions s JOIN outcomes o ON o.rowid = "
            "(SELECT max(rowid) FROM outcomes WHERE number = s.number) ORDER BY s.number"
        ).fetchall()


def workers(marker: str) -> list[int]:
    """Processes of `kaggle_worker` whose environment carries the marker."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            line, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or is another user's
        if b"compete.submissions.kaggle.worker" in line and marker.encode() in variables:
            found.append(int(folder.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
