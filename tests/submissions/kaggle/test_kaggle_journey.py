"""The command line against the stand-in for Kaggle, from an empty folder to private scores."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compete.submissions.kaggle import kaggle_leaderboard as kaggle
from support.kaggle_service import KaggleService
from support.kaggle_toy import CUES, SLUG, command, command_here, guesses, ledger_rows, solution, toy_competition

pytestmark = pytest.mark.slow

Ended = subprocess.CompletedProcess[str]


@dataclass
class User:
    """Somebody at a terminal, in a workspace."""

    service: KaggleService
    home: Path
    root: Path

    def run(self, *arguments: str) -> Ended:
        return self._checked(command_here(self.service, self.home, self.root, *arguments))

    def run_alone(self, *arguments: str) -> Ended:
        """In a process of its own, as a shell does it."""
        return self._checked(command(self.service, self.home, self.root, *arguments))

    def _checked(self, ended: Ended) -> Ended:
        assert "Traceback" not in ended.stderr, ended.stderr
        assert not self.service.escapes
        return ended

    def done(self, *arguments: str) -> Ended:
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended

    def refused(self, *arguments: str) -> str:
        """The message of a refusal, which sends nothing."""
        before = len(self.service.submissions)
        ended = self.run(*arguments)
        assert ended.returncode == 2, ended.stdout + ended.stderr
        assert len(self.service.submissions) == before
        return ended.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace made from nothing: init, download, two base models, a stack. Everything below copies it."""
    folder = tmp_path_factory.mktemp("journey")
    with KaggleService([toy_competition()]) as service:
        user = User(service, folder / "home", folder)
        assert "compete download" in user.done("init", "ws", "--kaggle", SLUG).stdout
        user.root = folder / "ws"
        told = user.done("download").stdout
        assert f"id 'id', text 'tweet', {len(CUES)} labels: {', '.join(CUES)}" in told
        assert {path.name: path.read_bytes() for path in (user.root / "data").iterdir()} == service.competitions[
            SLUG
        ].files
        declaration = user.root / "competition.toml"
        text = declaration.read_text(encoding="utf-8")
        declared = tomllib.loads(text)
        assert (declared["data"]["train"], declared["data"]["text"]) == ("data/train.csv", "tweet")
        assert (declared["submission"]["target"], declared["submission"]["kaggle"]) == ("kaggle", SLUG)
        declaration.write_text(text.replace("k = 5", "k = 2"), encoding="utf-8")
        user.done("train-base", "linear", "nbsvm", "--workers", "0")
        user.done("stack", "mean")
        assert {request.endpoint for request in service.requests} == {"ListDataFiles", "DownloadDataFiles", "GetZip"}
        assert not list(user.root.glob(".download-*"))
    return user.root


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle, "SETTLED", 0.2)
    monkeypatch.setattr(kaggle, "_BETWEEN_LOOKS", 0.05)


@pytest.fixture
def service() -> Iterator[KaggleService]:
    with KaggleService([toy_competition(pending_polls=1, daily_limit=5)]) as running:
        yield running


@pytest.fixture
def user(service: KaggleService, trained: Path, tmp_path: Path) -> User:
    shutil.copytree(trained, tmp_path / "ws")
    return User(service, tmp_path / "home", tmp_path / "ws")


def test_from_a_stack_to_private_scores(service: KaggleService, user: User) -> None:
    asked = user.run_alone("submit")
    assert asked.returncode == 2
    assert "submissions left today, this one among them: 5" in asked.stderr
    assert "--yes" in asked.stderr.splitlines()[-1]
    assert not service.submissions and not list((user.root / "submissions").glob("*.csv"))

    sent = user.done("submit", "--yes", "--wait")
    assert "submissions left today, this one among them: 5" in sent.stderr
    (counted,) = service.submissions
    scores = solution(counted.content)
    assert isinstance(scores, tuple)
    public, private = scores
    assert 0.3 < public < 1 and public != private
    assert f"{public:.4f}" in sent.stdout
    assert f"{private:.4f}" not in sent.stdout
    assert ledger_rows(user.root) == [("001_mean.csv", "scored", str(counted.ref))]
    assert re.fullmatch(r"\[[0-9a-f]{8}\] stack mean, honest macro-F1 0\.\d{4}", counted.description)

    assert "same content was submitted before: number 1" in user.refused("submit", "--yes")
    outside = service.add_outside_submission(SLUG, guesses(8), description="made on the web page")
    outside.polls_left = 0
    table = user.done("scores", "--refresh").stdout
    elsewhere = solution(outside.content)
    assert isinstance(elsewhere, tuple)
    assert "outside compete" in table and f"{elsewhere[0]:.4f}" in table
    assert f"{private:.4f}" not in table
    service.competitions[SLUG].closed = True
    table = user.done("scores", "--refresh").stdout
    assert f"{private:.4f}" in table and f"{elsewhere[1]:.4f}" in table
    assert user.done("scores").stdout == table
    assert "deadline of toy passed" in user.refused("submit", "linear", "--yes", "--again")
    assert len(ledger_rows(user.root)) == len(service.submissions) == 2


def test_files_that_were_made_elsewhere(service: KaggleService, user: User) -> None:
    (user.root / "mine.csv").write_bytes(guesses(1))
    sent = user.done("submit", "mine.csv", "--yes")
    assert "not scored yet: `compete scores --refresh`" in sent.stderr
    assert [each.content for each in service.submissions] == [guesses(1)]
    assert (user.root / "submissions" / "001_mine.csv").read_bytes() == guesses(1)

    (user.root / "same.csv").write_bytes(guesses(1).replace(b"\n", b"\r\n"))
    assert "same content was submitted before" in user.refused("submit", "same.csv", "--yes")
    user.done("submit", "same.csv", "--yes", "--again")
    user.service.competitions[SLUG].daily_limit = 2
    (user.root / "other.csv").write_bytes(guesses(2))
    message = user.refused("submit", "other.csv", "--yes")
    assert "daily limit is spent" in message and "Kaggle counts 2" in message and "00:00 UTC" in message


def test_nearly_the_same_and_the_own_limit(service: KaggleService, user: User) -> None:
    """One cell of 1500 differs: more than 99.9 % are the same."""
    declaration = user.root / "competition.toml"
    text = declaration.read_text(encoding="utf-8")
    declaration.write_text(text.replace("# daily_limit = 5", "daily_limit = 1"), encoding="utf-8")
    first = ["id,joy,anger,trust\n"] + [f"x{n},{n % 2},{n % 3 % 2},{n % 5 % 2}\n" for n in range(500)]
    service.competitions[SLUG].solution = lambda content: (0.5, 0.4)
    (user.root / "data" / "test.csv").write_text(
        "id,tweet\n" + "".join(f"x{n},happy w{n}\n" for n in range(500)), encoding="utf-8"
    )
    (user.root / "data" / "sample_submission.csv").write_text(
        "id,joy,anger,trust\n" + "".join(f"x{n},0,0,0\n" for n in range(500)), encoding="utf-8"
    )
    shutil.rmtree(user.root / "oof")  # of other test rows
    (user.root / "mine.csv").write_text("".join(first), encoding="utf-8")
    user.done("submit", "mine.csv", "--yes")
    (user.root / "near.csv").write_text("".join([*first[:-2], "x498,0,0,0\n", first[-1]]), encoding="utf-8")
    assert re.search(
        r"nearly the same was submitted before: 99\.9\d % .* --again", user.refused("submit", "near.csv", "-y")
    )
    message = user.refused("submit", "near.csv", "--yes", "--again")
    assert "daily limit is spent: 1 of 1" in message and "[submission] daily_limit" in message
    assert service.endpoints().count("GetCompetition") == 1, "Kaggle was asked about what is refused here"


def test_what_was_sent_from_the_web_page_counts_too(service: KaggleService, user: User) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    service.add_outside_submission(SLUG, guesses(7), date=yesterday)
    for number in range(4):
        service.add_outside_submission(SLUG, guesses(10 + number))
    asked = user.run("submit", "linear")
    assert "submissions left today, this one among them: 1" in asked.stderr
    service.add_outside_submission(SLUG, guesses(20))
    assert "Kaggle counts 5 submissions today" in user.refused("submit", "linear", "--yes")
    user.done("scores", "--refresh")
    rows = ledger_rows(user.root)
    assert {reference for _, _, reference in rows} == {str(each.ref) for each in service.submissions}
    assert rows == ledger_rows(user.root)
    user.done("scores", "--refresh")
    assert len(ledger_rows(user.root)) == 6, "the same submissions were taken over twice"


def test_a_competition_that_takes_notebooks_only(service: KaggleService, user: User) -> None:
    toy = service.competitions[SLUG]
    toy.notebooks_only, toy.notebooks = True, {"ann/book": guesses(3)}
    message = user.refused("submit", "linear", "--yes")
    assert "notebooks only" in message and "--kernel OWNER/NOTEBOOK --kernel-version N" in message
    assert "--kernel-version" in user.refused("submit", "linear", "--yes", "--kernel", "ann/book")
    user.done("submit", "linear", "--yes", "--wait", "--kernel", "ann/book", "--kernel-version", "3")
    (sent,) = service.submissions
    assert (sent.content, sent.file_name) == (guesses(3), "submission.csv")
    assert "PutBlob" not in service.endpoints()
    ((_, status, reference),) = ledger_rows(user.root)
    assert (status, reference) == ("scored", str(sent.ref))


def test_a_file_that_kaggle_cannot_score(service: KaggleService, user: User) -> None:
    service.competitions[SLUG].solution = lambda content: "Submission must be longer"
    ended = user.run("submit", "linear", "--yes", "--wait")
    assert ended.returncode == 1
    assert "Kaggle could not score 001_linear.csv: Submission must be longer" in ended.stderr
    assert [(status, ref) for _, status, ref in ledger_rows(user.root)] == [("failed", str(service.submissions[0].ref))]
    assert "same content" in user.refused("submit", "linear", "--yes")
