"""The stand-in for Kaggle, seen through the unmodified client in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from support.kaggle_service import Competition, Fault, KaggleService, Moment

pytestmark = pytest.mark.slow

FILES = {"train.csv": b"id,y\n1,0\n", "test.csv": b"id\n2\n", "sample_submission.csv": b"id,y\n2,0\n"}
PASSWORD = {"KAGGLE_USERNAME": "ann", "KAGGLE_KEY": "secret"}

PRELUDE = """
import json
import kaggle
from requests import RequestException

api = kaggle.api
seen = {}


def attempt(name, call):
    try:
        seen[name] = str(call())
    except Exception as error:
        response = getattr(error, "response", None)
        text = response.text if response is not None else ""
        seen[name] = f"{type(error).__name__}|{getattr(response, 'status_code', '')}|{error}|{text}"


def submissions(**paging):
    return [
        [s.ref, s.status.name, s.public_score, s.private_score, s.error_description, s.description, s.file_name]
        for s in api.competition_submissions("toy", **paging)
    ]
"""

TOUR = """
from kagglesdk.competitions.types import competition_api_service as types

answer = api.competition_list_files("toy", page_size=2)
seen["files"] = [[file.name, file.total_bytes] for file in answer.files]
seen["more files"] = [file.name for file in api.competition_list_files("toy", answer.next_page_token).files]
api.competition_download_file("toy", "train.csv", "data", quiet=True)
api.competition_download_files("toy", "data", quiet=True)
seen["competitions"] = [[c.ref, c.max_daily_submissions] for c in api.competitions_list().competitions]
seen["sent"] = api.competition_submit("good.csv", "first", "toy", quiet=True).ref
seen["pending"] = submissions()
api.competition_submit("empty.csv", "second", "toy", quiet=True)
seen["newest"] = submissions(page_size=1)
seen["next"] = submissions(page_size=1, page_number=2)
limits = api.competition_get_submission_limits("toy")
seen["limits"] = [limits.num_today, limits.num_total, limits.num_allowed_now]
attempt("third", lambda: api.competition_submit("good.csv", "third", "toy", quiet=True))
board = [row for row in api.competition_leaderboard_view("toy")]
seen["leaderboard"] = [[row.team_name, row.score] for row in board]
with api.build_kaggle_client() as client:
    ask = types.ApiGetSubmissionRequest()
    ask.ref = seen["sent"]
    seen["one"] = client.competitions.competition_api_client.get_submission(ask).public_score
    ask = types.ApiListSubmissionsRequest()
    ask.competition_name, ask.page_size = "toy", 1
    seen["token"] = client.competitions.competition_api_client.list_submissions(ask).next_page_token
"""


def score(csv: bytes) -> tuple[float, float] | str:
    return (0.7, 0.6) if csv else "Submission must have columns id,y"


@pytest.fixture
def service() -> Iterator[KaggleService]:
    toy = Competition("toy", dict(FILES), score, daily_limit=2, pending_polls=1, rivals={"rival": (0.8, 0.5)})
    with KaggleService([toy]) as running:
        yield running


def start(service: KaggleService, home: Path, script: str, **variables: str) -> subprocess.Popen[str]:
    (home / "good.csv").write_bytes(b"id,y\n2,1\n")
    (home / "empty.csv").touch()
    return subprocess.Popen(
        [sys.executable, "-c", f"{PRELUDE}\n{script}\nprint(json.dumps(seen))"],
        cwd=home,
        env={**service.environment(home), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(service: KaggleService, home: Path, script: str, **variables: str) -> Any:
    """What the script put into `seen`, run by the client with ann's password unless told otherwise."""
    process = start(service, home, script, **(variables or PASSWORD))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


def download(service: KaggleService, headers: dict[str, str]) -> tuple[int, bytes, Message]:
    """A file, without the client in between: it would wait two seconds before it resumes."""
    with closing(HTTPConnection("127.0.0.1", service.port)) as connection:
        connection.request("GET", "http://localhost/files/toy/train.csv", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def test_the_client_takes_it_for_kaggle(service: KaggleService, tmp_path: Path) -> None:
    seen = ask(service, tmp_path, TOUR)
    assert seen["files"] == [["train.csv", 9], ["test.csv", 5]]
    assert seen["more files"] == ["sample_submission.csv"]
    assert (tmp_path / "data" / "train.csv").read_bytes() == FILES["train.csv"]
    with zipfile.ZipFile(tmp_path / "data" / "toy.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    assert seen["competitions"] == [["https://www.kaggle.com/competitions/toy", 2]]
    first, second = service.submissions
    assert seen["pending"] == [[first.ref, "PENDING", "", "", "", "first", "good.csv"]]
    assert seen["newest"] == [[second.ref, "PENDING", "", "", "", "second", "empty.csv"]]
    assert seen["next"] == [[first.ref, "COMPLETE", "0.70000", "", "", "first", "good.csv"]]
    assert seen["token"] and seen["one"] == "0.70000"
    assert seen["limits"] == [2, 2, 0]
    assert "|400|Submission not allowed: Your team has used its daily" in seen["third"]
    assert seen["leaderboard"] == [["rival", "0.80000"], ["ann", "0.70000"]]
    assert (first.content, second.content, second.error) == (b"id,y\n2,1\n", b"", score(b""))
    assert service.today() == 2
    assert not service.escapes
    by_endpoint = {request.endpoint: request.authorization for request in service.requests}
    assert (by_endpoint["ListSubmissions"] or "").startswith("Basic ")
    assert by_endpoint["PutBlob"] is None


def test_the_close_reveals_private_scores_and_outside_submissions_count(service: KaggleService, tmp_path: Path) -> None:
    service.tokens["KGAT_1"] = "ann"
    service.competitions["toy"].pending_polls = 0
    service.add_outside_submission("toy", b"id", date=datetime.now(UTC) - timedelta(days=1), description="from the web")
    service.add_outside_submission("toy", b"id", owner="bob")
    service.competitions["toy"].closed = True
    script = 'seen["all"] = submissions()\nseen["top"] = [r.score for r in api.competition_leaderboard_view("toy")]'
    seen = ask(service, tmp_path, script, KAGGLE_API_TOKEN="KGAT_1")
    assert [row[1:4] for row in seen["all"]] == [["COMPLETE", "0.70000", "0.60000"]]
    assert seen["top"] == ["0.60000", "0.50000"]
    assert service.today(owner="ann") == 0 and service.today() == 1
    assert service.requests[0].endpoint == "IntrospectToken"
    assert {request.authorization for request in service.requests} == {"Bearer KGAT_1"}


def test_refusals(service: KaggleService, tmp_path: Path) -> None:
    for slug, difference in {
        "strict": {"rules_accepted": False},
        "stranger": {"joined": False},
        "notebooks": {"notebooks_only": True, "notebooks": {"ann/book": b"id"}},
    }.items():
        service.competitions[slug] = Competition(slug, dict(FILES), score, **difference)  # type: ignore[arg-type]
    script = """
for slug in ("strict", "stranger", "notebooks", "nowhere"):
    attempt(slug, lambda: api.competition_submit("good.csv", "x", slug, quiet=True))
attempt("download", lambda: api.competition_download_file("strict", "train.csv", "data", quiet=True))
attempt("notebook", lambda: api.competition_submit_code("out.csv", "x", "notebooks", "ann/book", 3).ref)
api.config_values["key"] = "wrong"
attempt("wrong key", lambda: submissions())
"""
    seen = ask(service, tmp_path, script)
    status = {name: text.split("|")[1] for name, text in seen.items() if "|" in text}
    assert status == {
        "strict": "403",
        "stranger": "403",
        "notebooks": "400",
        "nowhere": "404",
        "download": "403",
        "wrong key": "401",
    }
    assert "You must accept this competition's rules" in seen["download"].split("|")[2]
    assert "only accepts Submissions from Notebooks" not in seen["notebooks"].split("|")[2]  # the client loses it
    assert "only accepts Submissions from Notebooks" in seen["notebooks"].split("|")[3]
    assert seen["notebook"] == str(service.submissions[0].ref)
    assert not service.escapes


def test_faults_of_the_answer(service: KaggleService, tmp_path: Path) -> None:
    """Each fault meets one listing of submissions, in order."""
    service.add_outside_submission("toy", b"id")
    listing = {
        "flat": Fault("ListSubmissions", "flat", status=429, retry_after=1),
        "nested": Fault("ListSubmissions", "nested", status=500),
        "empty": Fault("ListSubmissions", "empty", status=403),
        "html": Fault("ListSubmissions", "html", status=200),
        "hidden": Fault("ListSubmissions", "nested", status=200, code=500),
        "malformed": Fault("ListSubmissions", "malformed"),
        "null": Fault("ListSubmissions", "null"),
        "null list": Fault("ListSubmissions", "null-list"),
        "status": Fault("ListSubmissions", "unknown-status"),
        "short": Fault("ListSubmissions", "short"),
        "cut": Fault("ListSubmissions", "cut"),
    }
    service.faults = list(listing.values())
    seen = ask(service, tmp_path, f"for name in {[*listing, 'well']}: attempt(name, submissions)")
    assert {name: text.split("|")[0] for name, text in seen.items() if name not in ("hidden", "well")} == {
        "flat": "HTTPError",
        "nested": "HTTPError",
        "empty": "HTTPError",
        "html": "JSONDecodeError",
        "malformed": "JSONDecodeError",
        "null": "TypeError",
        "null list": "TypeError",
        "status": "KeyError",
        "short": "ChunkedEncodingError",
        "cut": "ProxyError",  # the ConnectionError of a client that goes through a proxy
    }
    assert seen["hidden"] == "[]"
    assert "COMPLETE" in seen["well"]
    assert not service.faults


def test_faults_of_a_submission(service: KaggleService, tmp_path: Path) -> None:
    service.competitions["toy"].daily_limit = 9
    service.faults = [
        Fault("PutBlob", "empty"),
        Fault("CreateSubmission", "cut"),
        Fault("CreateSubmission", "cut", counted=True),
        Fault("CreateSubmission", "html", status=504, counted=True),
        Fault("CreateSubmission", "late", seconds=0.2),
    ]
    names = ["refused upload", "lost", "counted", "gateway", "late"]
    script = f"for n in {names}: attempt(n, lambda: api.competition_submit('good.csv', n, 'toy', quiet=True).ref)"
    seen = ask(service, tmp_path, script)
    assert seen.pop("refused upload") == "0"
    assert [text.split("|")[0] for text in seen.values()] == ["ProxyError"] * 2 + ["HTTPError", "ProxyError"]
    deadline = time.monotonic() + 10
    while service.today() < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [each.description for each in service.submissions] == ["counted", "gateway", "late"]


def test_downloads_can_be_resumed(service: KaggleService) -> None:
    content = FILES["train.csv"]
    status, whole, headers = download(service, {})
    assert (status, whole, headers["Last-Modified"]) == (200, content, "Mon, 05 Jan 2026 10:00:00 GMT")
    assert download(service, {"Range": "bytes=5-", "If-Range": headers["ETag"]})[:2] == (206, content[5:])
    assert download(service, {"Range": "bytes=5-", "If-Range": '"older"'})[:2] == (200, content)


@pytest.mark.parametrize(("moment", "counted"), [("before", 0), ("after", 1)])
def test_a_client_can_be_killed_at_a_step(service: KaggleService, tmp_path: Path, moment: Moment, counted: int) -> None:
    running: list[subprocess.Popen[str]] = []

    def kill(endpoint: str, now: Moment) -> None:
        if (endpoint, now) == ("CreateSubmission", moment):
            os.kill(running[0].pid, signal.SIGKILL)
            running[0].wait()
            # What a dead client has sent is carried out all the same, unless a fault says that it never arrived.
            if moment == "before":
                service.faults.append(Fault("CreateSubmission", "cut"))

    service.on_request = kill
    running.append(start(service, tmp_path, 'api.competition_submit("good.csv", "x", "toy")', **PASSWORD))
    running[0].communicate(timeout=60)
    assert running[0].returncode == -signal.SIGKILL
    assert service.today() == counted


def test_a_hanging_answer_does_not_delay_the_end(tmp_path: Path) -> None:
    with KaggleService([Competition("toy", {}, score)]) as service:
        service.faults.append(Fault("ListSubmissions", "hang"))
        process = start(service, tmp_path, "attempt('list', submissions)", **PASSWORD)
        while "ListSubmissions" not in service.endpoints():
            assert process.poll() is None
            time.sleep(0.02)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert "ProxyError" in process.communicate(timeout=60)[0]


def test_a_forgotten_setting_ends_here_and_is_noticed(service: KaggleService, tmp_path: Path) -> None:
    seen = ask(service, tmp_path, "attempt('list', submissions)", **PASSWORD, KAGGLE_API_ENVIRONMENT="")
    assert seen["list"].startswith("ProxyError")
    assert service.escapes == ["CONNECT api.kaggle.com:443"]
    assert not service.requests


def test_a_failure_of_the_stand_in_is_raised(tmp_path: Path) -> None:
    def broken(csv: bytes) -> str:
        raise ZeroDivisionError

    with (
        pytest.raises(RuntimeError, match="ZeroDivisionError"),
        KaggleService([Competition("toy", {}, broken)]) as service,
    ):
        ask(service, tmp_path, "attempt('send', lambda: api.competition_submit('good.csv', '', 'toy', quiet=True))")
