"""`kill -9` at any step of a submission: the same command, run again, ends with exactly one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compete.errors import CompeteError, SubmissionError
from compete.submissions.kaggle import kaggle_leaderboard as kaggle
from compete.submissions.kaggle.client import KaggleClient
from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard
from compete.submissions.ledger import ledger_of
from support.kaggle_service import Fault, KaggleService, Moment, Submission
from support.kaggle_toy import (
    PASSWORD,
    SLUG,
    Submitter,
    assert_sent_once,
    guesses,
    toy_competition,
    wait_until,
    workers,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked for in /proc"),
]
TESTS = Path(__file__).parents[2]
ENDPOINTS = ("GetCompetition", "GetSubmissionLimits", "StartSubmissionUpload", "PutBlob", "CreateSubmission")


class Killed:
    """A workspace, the service, and a driver whose forks submit and die; see `support.kaggle_driver`."""

    def __init__(self, root: Path, service: KaggleService, client: KaggleClient, environment: dict[str, str]) -> None:
        self.service = service
        self.submitter = Submitter.make(root, guesses(1))
        self.target = KaggleLeaderboard(client, "f1_macro")
        self.marker = f"compete-test-{uuid.uuid4().hex}"
        self.points: list[str] = []
        # One thread: what a fork inherits of the others' locks would hang it.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "support.kaggle_driver", str(root)],
            env=environment | single | {"MARKER": self.marker, "PYTHONPATH": str(TESTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __enter__(self) -> Killed:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.communicate(timeout=60)

    def die(self, kill_at: int = 0, at: tuple[str, Moment] | None = None, drop: bool = False) -> dict[str, Any]:
        """Submit in a fork that dies at its step `kill_at`, or when the service is `at` that moment of a request.

        drop: the service never gets that request.
        """
        assert self._driver.stdin is not None and self._driver.stdout is not None
        process: list[int] = []
        known, done = threading.Event(), threading.Event()

        def on_request(endpoint: str, moment: Moment) -> None:
            if (endpoint, moment) == at:
                known.wait(60)
                os.kill(process[0], signal.SIGKILL)
                wait_until(lambda: not workers(self.marker))
                if drop:
                    self.service.faults.append(Fault(endpoint, "cut"))
            if at and endpoint == at[0] and (moment == "after" or drop):
                done.set()

        self.service.on_request = on_request
        self._driver.stdin.write(json.dumps({"kill_at": kill_at}) + "\n")
        self._driver.stdin.flush()
        process.append(int(self._driver.stdout.readline()))
        known.set()
        ended: dict[str, Any] = json.loads(self._driver.stdout.readline())
        assert wait_until(lambda: not workers(self.marker)), "the process that talks to Kaggle outlives its parent"
        if at is not None:
            assert ended["killed"] and done.wait(60)
            self.points.append(" ".join(at) + " dropped" * drop)
        elif ended["killed"]:
            self.points.append(ended["last"][0])
        self.service.on_request = None
        return ended

    def run_again(self) -> None:
        """To the end, which is one submission, whoever made it."""
        with contextlib.suppress(SubmissionError):  # it was sent, and recorded, before the end came
            self.submitter.run(self.target)
        assert_sent_once(self.service, self.submitter)
        with pytest.raises(SubmissionError, match="the same content was submitted before"):
            self.submitter.run(self.target)
        known = self.submitter.entries()
        entries = self.target.refresh(ledger_of(self.submitter.competition.workspace))
        assert [(e.number, e.counted) for e in entries] == [(e.number, e.counted) for e in known]
        assert len(self.service.submissions) == 1
        assert not [entry for entry in entries if ".compete-tmp" in entry.submission.file]

    def start_over(self) -> None:
        shutil.rmtree(self.submitter.folder, ignore_errors=True)
        self.service.submissions.clear()
        self.service.faults.clear()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    with KaggleService([toy_competition()]) as service:
        environment = service.environment(tmp_path_factory.mktemp("home")) | PASSWORD
        with (
            KaggleClient(SLUG, environment) as client,
            Killed(tmp_path_factory.mktemp("kills") / "ws", service, client, environment) as made,
        ):
            yield made


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch, killed: Killed) -> None:
    monkeypatch.setattr(kaggle, "SETTLED", 0.05)
    monkeypatch.setattr(kaggle, "_BETWEEN_LOOKS", 0.02)
    killed.start_over()


class Snapshot:
    """What workspace and service hold now, to go back to."""

    def __init__(self, killed: Killed, folder: Path) -> None:
        self.killed, self.folder = killed, folder / "submissions"
        self.sent: list[Submission] = list(killed.service.submissions)
        shutil.copytree(killed.submitter.folder, self.folder)

    def restore(self) -> None:
        self.killed.start_over()
        self.killed.service.submissions.extend(self.sent)
        shutil.copytree(self.folder, self.killed.submitter.folder)


def kill_at_every_step(killed: Killed, begin: Callable[[], None], then: int = 1) -> list[str]:
    """Kill at the first step, at the second, ... until the command ends before it can be killed; each step's name.

    then: once the outcome of a submission is written down, only at every so-manieth.
    """
    steps, at = list[str](), 1
    while True:
        begin()
        ended = killed.die(kill_at=at)
        killed.run_again()
        if not ended["killed"]:
            assert at - then <= ended["steps"] < at
            return steps
        steps += ended["last"]
        at += then if any("INSERT INTO outcomes" in step for step in steps) else 1


def test_at_every_step_of_the_command(killed: Killed) -> None:
    steps = kill_at_every_step(killed, killed.start_over)
    text = "\n".join(steps)
    assert all(what in text for what in ("os.rename", "Popen", "CREATE TABLE", "INSERT INTO outcomes", "COMMIT")), text
    assert len(steps) >= 20, text


@pytest.mark.parametrize("moment", ["before", "dropped", "after"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_at_every_call_to_kaggle(killed: Killed, endpoint: str, moment: str) -> None:
    killed.die(at=(endpoint, "after" if moment == "after" else "before"), drop=moment == "dropped")
    counted = endpoint == "CreateSubmission" and moment != "dropped"
    assert len(killed.service.submissions) == counted
    killed.run_again()


def test_while_a_submission_that_was_cut_off_is_settled(killed: Killed, tmp_path: Path) -> None:
    """The command was killed after Kaggle had counted it; the second one is killed as well."""
    killed.die(at=("CreateSubmission", "after"))
    assert len(killed.service.submissions) == 1
    snapshot = Snapshot(killed, tmp_path)
    steps = kill_at_every_step(killed, snapshot.restore)
    assert "INSERT INTO outcomes" in "\n".join(steps)
    for moment in ("before", "after"):
        snapshot.restore()
        killed.die(at=("ListSubmissions", moment))
        killed.run_again()


def test_while_a_submission_that_never_arrived_is_sent_again(killed: Killed, tmp_path: Path) -> None:
    killed.service.faults.append(Fault("CreateSubmission", "cut"))
    with pytest.raises(CompeteError, match="did not arrive"):
        killed.submitter.run(killed.target)
    snapshot = Snapshot(killed, tmp_path)
    # Once the one that never arrived is settled, it is a submission as any other, which dies at every step above.
    steps = kill_at_every_step(killed, snapshot.restore, then=4)
    assert "INSERT INTO outcomes" in "\n".join(steps) and len(steps) >= 6


def test_enough_points_were_tried(killed: Killed) -> None:
    """Behind the others: a submission has more than forty places to die at."""
    if len(killed.points) < 15:
        pytest.skip("only when the whole file runs")
    assert len(killed.points) >= 40, killed.points
