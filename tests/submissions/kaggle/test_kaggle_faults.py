"""Whatever goes wrong at a step of a submission: the same command, run again, ends with exactly one."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from compete.errors import CompeteError, SubmissionError
from compete.submissions.csv_file import CheckedFile
from compete.submissions.kaggle import client as kaggle_client
from compete.submissions.kaggle import kaggle_leaderboard as kaggle
from compete.submissions.kaggle.client import KaggleClient
from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard, wait_for_score
from compete.submissions.ledger import Entry, Outcome, ledger_of
from compete.submissions.sending import Prepared, submit
from support.kaggle_service import Fault, KaggleService
from support.kaggle_toy import PASSWORD, SLUG, Submitter, assert_sent_once, guesses, toy_competition, wait_until

pytestmark = pytest.mark.slow

BEFORE = ("GetCompetition", "GetSubmissionLimits", "StartSubmissionUpload")
CALLS = (*BEFORE, "CreateSubmission")

# The exit code of the first try.
ANSWERS: dict[str, tuple[Fault, int]] = {
    "400": (Fault("", "flat", status=400, message="Bad request"), 2),
    "401": (Fault("", "flat", status=401, message="Unauthenticated"), 2),
    "401 nested": (Fault("", "nested", status=401, message="Unauthenticated"), 2),
    "403": (Fault("", "flat", status=403, message="You must accept this competition's rules"), 2),
    "403 html": (Fault("", "html", status=403), 2),
    "404": (Fault("", "flat", status=404, message="Not found"), 2),
    "404 empty": (Fault("", "empty", status=404), 2),
    "429": (Fault("", "flat", status=429, message="Too many requests", retry_after=1), 1),
    "429 html": (Fault("", "html", status=429), 1),
    "500": (Fault("", "flat"), 1),
    "500 nested": (Fault("", "nested"), 1),
    "502 html": (Fault("", "html", status=502), 1),
    "503 empty": (Fault("", "empty", status=503), 1),
    "200 with an error": (Fault("", "flat", status=200, code=500), 1),
    "200 with a silent error": (Fault("", "flat", status=200, code=500, message=""), 1),
    "200 with a nested error": (Fault("", "nested", status=200, code=500), 1),
    "200 html": (Fault("", "html", status=200), 1),
    "malformed": (Fault("", "malformed"), 1),
    "null": (Fault("", "null"), 1),
    "short": (Fault("", "short"), 1),
    # 1 on a direct connection; through a proxy, as here, the client cannot tell it from the proxy's refusal.
    "cut": (Fault("", "cut"), 1),
}


@pytest.fixture(scope="module")
def service() -> Iterator[KaggleService]:
    with KaggleService([toy_competition()]) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: KaggleService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KaggleClient]:
    """One client for all: its process starts anew after a call that hung."""
    environment = service.environment(tmp_path_factory.mktemp("home")) | PASSWORD
    with KaggleClient(SLUG, environment) as made:
        yield made


@pytest.fixture
def target(service: KaggleService, client: KaggleClient, monkeypatch: pytest.MonkeyPatch) -> KaggleLeaderboard:
    monkeypatch.setattr(kaggle, "SETTLED", 0.05)
    monkeypatch.setattr(kaggle, "_BETWEEN_LOOKS", 0.02)
    service.submissions.clear()
    service.faults.clear()
    return KaggleLeaderboard(client, "f1_macro")


@pytest.fixture(scope="module")
def submitter_once(tmp_path_factory: pytest.TempPathFactory) -> Submitter:
    return Submitter.make(tmp_path_factory.mktemp("faults") / "ws", guesses(1))


@pytest.fixture
def submitter(submitter_once: Submitter) -> Submitter:
    """In a workspace that has sent nothing yet."""
    shutil.rmtree(submitter_once.folder, ignore_errors=True)
    submitter_once.csv.write_bytes(guesses(1))
    return submitter_once


def first_try(submitter: Submitter, target: KaggleLeaderboard) -> tuple[int, str]:
    """Exit code and message, as the command line would end."""
    try:
        submitter.run(target)
    except CompeteError as error:
        assert_clear(str(error))
        return error.exit_code, str(error)
    return 0, ""


def assert_clear(message: str) -> None:
    """One sentence or two in plain words: no traceback, no page, no library's own words."""
    assert len(message) > 20
    assert "\n" not in message
    assert not re.search(r"Traceback|HTTPConnection|Max retries|<html|<h1|object at 0x|urllib3|None", message), message


def run_again(service: KaggleService, submitter: Submitter, target: KaggleLeaderboard) -> None:
    """Without faults: sends it, finds it, or says that it was sent before; never a second time."""
    service.faults.clear()
    try:
        submitter.run(target)
    except SubmissionError as error:
        assert "the same content was submitted before" in str(error)  # noqa: PT017 - only after a first success
    assert_sent_once(service, submitter)
    with pytest.raises(SubmissionError, match="the same content was submitted before"):
        submitter.run(target)
    assert_sent_once(service, submitter)
    before = [(entry.number, entry.counted) for entry in submitter.entries()]
    refreshed = target.refresh(ledger_of(submitter.competition.workspace))
    assert [(entry.number, entry.counted) for entry in refreshed] == before


# Of the two calls that only ask, one has every answer: the other's are read by the same lines.
WRONG = [
    (endpoint, name)
    for endpoint in CALLS
    for name in (("401", "429", "500 nested", "null", "cut") if endpoint == "GetSubmissionLimits" else ANSWERS)
]
# Whether it was counted or not, a list that fails fails in the same way.
UNLISTED = [
    *((name, True) for name in (*ANSWERS, "null-list", "unknown-status")),
    *((name, False) for name in ("401", "429", "500", "200 html", "malformed", "null", "cut", "null-list")),
]


@pytest.mark.parametrize(("endpoint", "name"), WRONG)
def test_a_wrong_answer(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, endpoint: str, name: str
) -> None:
    fault, expected = ANSWERS[name]
    service.faults.append(replace(fault, endpoint=endpoint))
    code, message = first_try(submitter, target)
    assert not service.faults, "the fault met no request"
    if name == "cut" and endpoint in BEFORE:
        assert code in (1, 2)
    elif name == "short" and endpoint == "CreateSubmission":
        assert code == 0  # counted, and found in the list
    else:
        assert code == expected, message
        assert not service.submissions
        assert not submitter.counted()
    if name in ("400", "401", "403", "404", "429"):
        assert fault.message.rstrip(".") in message
    run_again(service, submitter, target)


@pytest.mark.parametrize("name", ["500", "502 html", "503 empty", "200 html", "malformed", "null", "cut"])
def test_a_lost_answer_to_a_submission_that_was_counted(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, name: str
) -> None:
    service.faults.append(replace(ANSWERS[name][0], endpoint="CreateSubmission", counted=True))
    assert first_try(submitter, target) == (0, "")
    assert_sent_once(service, submitter)
    run_again(service, submitter, target)


@pytest.mark.parametrize(("name", "counted"), UNLISTED)
def test_a_list_that_cannot_be_had_when_it_is_needed(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, name: str, counted: bool
) -> None:
    """The submission was cut off, and Kaggle's list, which would tell, fails as well: now, and once more later."""
    more = {kind: (Fault("", kind), 1) for kind in ("null-list", "unknown-status")}
    unlisted = replace((ANSWERS | more)[name][0], endpoint="ListSubmissions")
    service.faults.append(Fault("CreateSubmission", "cut", counted=counted))
    service.faults += [replace(unlisted), replace(unlisted)]
    code, message = first_try(submitter, target)
    assert (code, "whether the submission arrived is not known yet" in message) == (1, True)
    assert len(service.submissions) == counted
    code, message = first_try(submitter, target)
    assert code in (1, 2)
    assert len(service.submissions) == counted, "it was sent while nobody knew whether it had arrived"
    assert not service.faults
    run_again(service, submitter, target)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PutBlob", "flat", status=400),
        Fault("PutBlob", "html", status=401),
        Fault("PutBlob", "html", status=403),
        Fault("PutBlob", "empty", status=404),
        Fault("PutBlob", "empty", status=500),
        Fault("PutBlob", "html", status=503),
        Fault("PutBlob", "short"),
        Fault("PutBlob", "cut", counted=True),
        Fault("PutBlob", "late", seconds=0.2),
        Fault("PutBlob", "empty", status=503, retry_after=1),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.retry_after}",
)
def test_a_refused_upload(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, fault: Fault
) -> None:
    service.faults.append(replace(fault))
    code, message = first_try(submitter, target)
    if code:  # the client tries some of them again by itself
        assert (code, "upload to Kaggle failed" in message) == (1, True)
        assert not service.submissions
    run_again(service, submitter, target)


@pytest.mark.parametrize("endpoint", [*CALLS, "PutBlob", "ListSubmissions"])
@pytest.mark.parametrize("counted", [True, False])
def test_an_answer_that_never_comes(
    service: KaggleService,
    submitter: Submitter,
    target: KaggleLeaderboard,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
    counted: bool,
) -> None:
    target.client.call("limits")  # the process is up before its patience is short
    if endpoint == "ListSubmissions":
        service.faults.append(Fault("CreateSubmission", "cut", counted=counted))
    service.faults.append(Fault(endpoint, "hang", counted=counted))
    with monkeypatch.context() as patch:
        for module in (kaggle, kaggle_client):
            patch.setattr(module, "PATIENCE", 1.0)
        if endpoint == "CreateSubmission" and counted:
            patch.setattr(target, "listed", patiently(target))
        code, message = first_try(submitter, target)
    assert (code == 0) == (endpoint == "CreateSubmission" and counted)
    if code:
        assert code == 1
        assert "did not answer within 1 s" in message
    run_again(service, submitter, target)


def patiently(target: KaggleLeaderboard) -> Callable[[], list[dict[str, Any]]]:
    """The list, asked by a new process that has the time to start."""
    return lambda: list(target.client.call("submissions", 60.0))


def test_an_upload_that_nobody_takes(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself would go on trying for six minutes."""
    target.client.call("limits")
    service.faults.append(Fault("PutBlob", "cut", times=100))
    with monkeypatch.context() as patch:
        patch.setattr(kaggle, "PATIENCE", 1.0)
        code, message = first_try(submitter, target)
    assert (code, "did not answer" in message) == (1, True)
    run_again(service, submitter, target)


def test_a_submission_that_turns_up_late_is_waited_for(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle, "SETTLED", 3.0)
    service.faults.append(Fault("CreateSubmission", "late", seconds=0.5))
    assert first_try(submitter, target) == (0, "")
    run_again(service, submitter, target)


def test_a_submission_that_turns_up_late_is_waited_for_by_the_next_command(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle, "SETTLED", 4.0)
    service.faults += [Fault("CreateSubmission", "late", seconds=1.0), Fault("ListSubmissions", "flat")]
    code, message = first_try(submitter, target)
    assert (code, "not known yet" in message) == (1, True)
    assert not service.submissions
    assert first_try(submitter, target) == (0, "")
    run_again(service, submitter, target)


def test_the_last_of_the_day_is_found_before_the_limit_is_looked_at(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.competitions[SLUG], "daily_limit", 1)
    service.faults += [Fault("CreateSubmission", "cut", counted=True), Fault("ListSubmissions", "empty")]
    assert first_try(submitter, target)[0] == 1
    assert first_try(submitter, target) == (0, "")
    assert_sent_once(service, submitter)


def test_another_submission_first_settles_the_one_that_was_cut_off(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard
) -> None:
    service.faults += [Fault("CreateSubmission", "cut", counted=True), Fault("ListSubmissions", "empty")]
    assert first_try(submitter, target)[0] == 1
    submitter.csv.write_bytes(guesses(2))
    assert first_try(submitter, target) == (0, "")
    references = [entry.outcome.reference for entry in submitter.counted()]
    assert references == [str(each.ref) for each in service.submissions]
    assert [each.content for each in service.submissions] == [guesses(1), guesses(2)]


class Interrupted:
    """A target whose command dies as soon as the submission is on its way."""

    def __init__(self, target: KaggleLeaderboard) -> None:
        self.target, self.name = target, target.name
        self.find, self.ready = target.find, target.ready

    def send(self, file: CheckedFile, message: str) -> Outcome:
        with contextlib.suppress(CompeteError):
            self.target.send(file, message)
        raise KeyboardInterrupt


def test_a_prompt_that_was_long_unanswered_shortens_no_waiting(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle, "SETTLED", 1.0)
    service.faults.append(Fault("CreateSubmission", "late", seconds=0.4))
    asked, carried_out = service.endpoints().count("CreateSubmission"), list[str]()
    tell = {"before": lambda endpoint: None, "after": carried_out.append}
    monkeypatch.setattr(service, "on_request", lambda endpoint, moment: tell[moment](endpoint))

    def think(prepared: Prepared, left: int) -> bool:
        time.sleep(1.1)
        return True

    with pytest.raises(KeyboardInterrupt):
        submit(submitter.competition, submitter.prepare(target), Interrupted(target), confirm=think)
    first_try(submitter, target)
    assert wait_until(
        lambda: asked + carried_out.count("CreateSubmission") == service.endpoints().count("CreateSubmission") > asked
    )
    assert_sent_once(service, submitter)


def test_waiting_for_a_score_outlasts_a_failure(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard
) -> None:
    entry = submitter.run(target)
    assert entry is not None
    service.faults += [Fault("ListSubmissions", "empty", status=502), Fault("ListSubmissions", "cut")]
    ledger = ledger_of(submitter.competition.workspace)

    def look() -> list[Entry]:
        return target.refresh(ledger)

    assert wait_for_score(entry, look, seconds=10).outcome.status == "scored"


@pytest.mark.parametrize("status", [403, 502])
def test_a_page_instead_of_a_reason_is_told_in_plain_words(
    service: KaggleService, submitter: Submitter, target: KaggleLeaderboard, status: int
) -> None:
    service.faults.append(Fault("GetCompetition", "html", status=status))
    assert "HTTPError" not in first_try(submitter, target)[1]
