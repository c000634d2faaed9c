"""Credentials stay where they are, whatever goes wrong, and a message says what to do about it."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compete.cli.main import main
from compete.submissions.kaggle import client as kaggle_client
from compete.submissions.kaggle import kaggle_leaderboard as kaggle
from support.kaggle_service import Fault, KaggleService
from support.kaggle_toy import PASSWORD, command, guesses, ledger_rows, toy_competition, toy_workspace

pytestmark = pytest.mark.slow

KEY = "SECRET-0f3b9d-KEY"
TOKEN = "KGAT_SECRET-77ad21-TOKEN"
REFRESH = "SECRET-55c0de-REFRESH"
BASIC = base64.b64encode(f"ann:{KEY}".encode()).decode()
BEHIND_A_PROXY = "SECRET-proxy-password"
SECRETS = (KEY, TOKEN, REFRESH, BASIC, BEHIND_A_PROXY)


@dataclass(frozen=True)
class Place:
    """Where credentials lie: the variables that hold them, the files under HOME, and how a message names the place."""

    name: str
    variables: dict[str, str]
    files: dict[str, str]
    shown: str

    def lay(self, home: Path) -> None:
        for file, content in self.files.items():
            path = home / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            path.chmod(0o600)


def login(expires: timedelta = timedelta(hours=1)) -> str:
    return json.dumps(
        {
            "refresh_token": REFRESH,
            "access_token": TOKEN,
            "access_token_expiration": (datetime.now(UTC) + expires).isoformat(),
            "username": "ann",
            "scopes": ["resources.admin:*"],
        }
    )


STORED_KEY = json.dumps({"username": "ann", "key": KEY})
PLACES = [
    Place("token variable", {"KAGGLE_API_TOKEN": TOKEN}, {}, "the variable KAGGLE_API_TOKEN"),
    Place("token file", {}, {".kaggle/access_token": TOKEN}, "~/.kaggle/access_token"),
    Place("kaggle.json", {}, {".kaggle/kaggle.json": STORED_KEY}, "~/.kaggle/kaggle.json"),
    Place("config kaggle.json", {}, {".config/kaggle/kaggle.json": STORED_KEY}, "~/.config/kaggle/kaggle.json"),
    Place(
        "key variables",
        {"KAGGLE_USERNAME": "ann", "KAGGLE_KEY": KEY},
        {},
        "the variables KAGGLE_USERNAME and KAGGLE_KEY",
    ),
    Place("login", {}, {".kaggle/credentials.json": login()}, "~/.kaggle/credentials.json"),
]


@pytest.fixture
def service() -> Iterator[KaggleService]:
    with KaggleService([toy_competition()]) as running:
        running.accounts["ann"] = KEY
        running.tokens[TOKEN] = "ann"
        yield running


@dataclass
class Shell:
    """The command line in this process, in a workspace with a file to send; what it printed is kept."""

    root: Path
    home: Path
    printed: Callable[[], str]
    said: str = ""

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and the message."""
        sys.argv = ["compete", *arguments]
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        text = self.printed()
        self.said += text
        assert "Traceback" not in text
        assert isinstance(code, int)
        return code, next((line for line in text.splitlines() if line.startswith("error: ")), text)

    def submit(self, *options: str) -> tuple[int, str]:
        return self.run("submit", "mine.csv", "--yes", *options)

    def assert_no_secret(self) -> None:
        """In nothing that was printed, and in no file of the workspace, the ledger among them."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        for secret in SECRETS:
            assert secret not in self.said
            assert [path.name for path in files if secret.encode() in path.read_bytes()] == []


@pytest.fixture
def shell(
    service: KaggleService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    for name, value in service.environment(home).items():
        monkeypatch.setenv(name, value)
    toy_workspace(tmp_path / "ws")
    (tmp_path / "ws" / "mine.csv").write_bytes(guesses(1))
    monkeypatch.chdir(tmp_path / "ws")
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(kaggle, "SETTLED", 0.2)
    monkeypatch.setattr(kaggle, "_BETWEEN_LOOKS", 0.05)

    def printed() -> str:
        out, err = capfd.readouterr()
        return out + err

    return Shell(tmp_path / "ws", home, printed)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_no_secret_is_told(service: KaggleService, shell: Shell, monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    """Refusals and failures one after the other, then a success; the service tells everything that it was sent."""
    place.lay(shell.home)
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)
    token = place.name in ("token variable", "token file", "login")
    header = f"Bearer {TOKEN}" if token else f"Basic {BASIC}"
    own = {"login": REFRESH, "token variable": TOKEN, "token file": TOKEN}.get(place.name, KEY)
    everything = f"got Authorization: {header}, and knows {own}"
    service.faults.append(Fault("GetCompetition", "flat", status=401, message=everything))
    code, message = shell.submit()
    assert code == 2
    assert f"in {place.shown}" in message
    assert "kaggle.com/settings" in message
    assert "not used" not in message
    service.faults.append(Fault("GetSubmissionLimits", "nested", status=500, message=everything))
    assert shell.submit()[0] == 1
    service.faults.append(Fault("CreateSubmission", "flat", status=400, message=everything))
    assert shell.submit()[0] == 2
    service.faults.append(Fault("CreateSubmission", "flat", status=500, message=everything))
    assert shell.submit()[0] == 1
    assert shell.submit()[0] == 0, shell.said
    assert {request.authorization for request in service.requests if request.endpoint != "PutBlob"} == {header}
    assert [(status, ref) for _, status, ref in ledger_rows(shell.root)][-1] == ("sent", "54000001")
    assert shell.run("scores", "--refresh", "--export", "ledger.csv")[0] == 0
    shell.assert_no_secret()


def test_the_first_credentials_win_and_the_others_are_named(
    service: KaggleService, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that Kaggle refuses is sent all the same: the message must not blame the good key behind it."""
    PLACES[2].lay(shell.home)
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN.replace("77", "99"))
    code, message = shell.submit()
    assert code == 2
    used, _, unused = message.partition("not used")
    assert "KAGGLE_API_TOKEN" in used and "kaggle.json" not in used.partition("found")[0]
    assert "~/.kaggle/kaggle.json" in unused
    assert TOKEN.replace("77", "99") not in shell.said
    shell.assert_no_secret()


def test_a_login_that_was_revoked(service: KaggleService, shell: Shell) -> None:
    """The client deletes the file when Kaggle refuses to renew the login."""
    Place("login", {}, {".kaggle/credentials.json": login(timedelta(hours=-1))}, "").lay(shell.home)
    service.faults.append(Fault("GenerateAccessToken", "flat", status=401, message="revoked", times=5))
    code, message = shell.submit()
    assert code == 2
    assert "kaggle.com/settings" in message
    shell.assert_no_secret()


def test_a_proxy_that_refuses(service: KaggleService, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Kaggle's true address, which the stand-in refuses to connect to; the proxy's password is a secret too."""
    proxy = service.url.replace("//", f"//ann:{BEHIND_A_PROXY}@")
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT")
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    code, message = shell.submit()
    assert (code, "HTTPS_PROXY" in message) == (2, True)
    assert service.escapes and not service.requests
    shell.assert_no_secret()


def test_a_proxy_that_is_not_there(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://ann:{BEHIND_A_PROXY}@127.0.0.1:9")
    for name, value in PLACES[4].variables.items():
        monkeypatch.setenv(name, value)
    code, message = shell.submit()
    assert (code, "HTTPS_PROXY" in message) == (2, True)
    shell.assert_no_secret()


def test_an_answer_that_never_comes(service: KaggleService, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    PLACES[1].lay(shell.home)
    for module in (kaggle, kaggle_client):
        monkeypatch.setattr(module, "PATIENCE", 3.0)
    service.faults.append(Fault("IntrospectToken", "hang"))
    code, message = shell.submit()
    assert (code, "did not answer" in message) == (1, True)
    shell.assert_no_secret()


def test_no_credentials_at_all(service: KaggleService, shell: Shell) -> None:
    for arguments in (("submit", "mine.csv", "--yes"), ("scores", "--refresh"), ("download",)):
        code, message = shell.run(*arguments)
        assert code == 2
        assert "no Kaggle credentials" in message and "kaggle.com/settings" in message
    assert not service.requests


def test_a_home_that_cannot_be_written(
    service: KaggleService, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOME lies below a regular file, which nobody can write to, not even root."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))
    for name, value in PLACES[4].variables.items():
        monkeypatch.setenv(name, value)
    code, message = shell.submit()
    assert code == 2
    assert "HOME" in message and str(tmp_path / "file") in message
    assert not service.submissions
    shell.assert_no_secret()


@pytest.fixture
def ann(service: KaggleService, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell whose credentials are good."""
    for name, value in PLACES[4].variables.items():
        monkeypatch.setenv(name, value)
    return shell


def test_a_slug_that_is_wrong(service: KaggleService, ann: Shell) -> None:
    declaration = ann.root / "competition.toml"
    declaration.write_text(declaration.read_text(encoding="utf-8").replace('"toy"', '"tyo"'), encoding="utf-8")
    code, message = ann.submit()
    assert (code, "Kaggle knows no competition 'tyo'" in message) == (2, True)
    assert "[submission] kaggle" in message


def test_rules_that_were_not_accepted(service: KaggleService, ann: Shell) -> None:
    service.competitions["toy"].rules_accepted = False
    for arguments in (("submit", "mine.csv", "--yes"), ("download",)):
        code, message = ann.run(*arguments)
        assert code == 2
        assert "https://www.kaggle.com/competitions/toy/rules" in message
        assert "You must accept this competition's rules" in message
    service.competitions["toy"].rules_accepted = True
    service.competitions["toy"].joined = False
    code, message = ann.submit()
    assert (code, "https://www.kaggle.com/competitions/toy/rules" in message) == (2, True)
    assert not service.submissions


def test_a_deadline_that_has_passed(service: KaggleService, ann: Shell) -> None:
    service.competitions["toy"].deadline = datetime(2026, 1, 2, 23, 59, tzinfo=UTC)
    code, message = ann.submit()
    assert code == 2
    assert "deadline of toy passed on 2026-01-02 23:59 UTC" in message and "--late" in message
    assert not service.submissions and not list((ann.root / "submissions").glob("*.csv"))
    assert ann.submit("--late")[0] == 0
    assert len(service.submissions) == 1


def test_a_submission_without_rows(service: KaggleService, ann: Shell) -> None:
    (ann.root / "mine.csv").write_bytes(guesses(1).splitlines(keepends=True)[0])
    code, message = ann.submit()
    assert code == 2
    assert re.search(r"0 rows, expected 100", message)
    assert not service.requests


def test_a_module_in_the_workspace_does_not_stand_in_for_one_of_the_client(service: KaggleService, ann: Shell) -> None:
    (ann.root / "requests.py").write_text("raise SystemExit('mine')", encoding="utf-8")
    code, message = ann.submit()
    assert (code, len(service.submissions)) == (0, 1), message


def test_the_real_command_line_tells_no_secret_either(service: KaggleService, tmp_path: Path) -> None:
    """What the other tests do in one process, once as a user does it, with --traceback."""
    toy_workspace(tmp_path / "ws")
    (tmp_path / "ws" / "mine.csv").write_bytes(guesses(1))
    service.faults.append(Fault("GetCompetition", "flat", status=500, message=f"got Bearer {TOKEN}"))
    variables = PASSWORD | {"KAGGLE_API_TOKEN": TOKEN}
    ended = command(
        service, tmp_path / "home", tmp_path / "ws", "submit", "mine.csv", "--yes", "--traceback", **variables
    )
    assert ended.returncode == 1
    assert "KaggleError" in ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr
