"""Calls to Kaggle, each with a time limit, in a process that may hang, print and die as it likes.

A failure is one of three things, and the difference decides what may be sent again:

    SubmissionError / UserError   Kaggle refused, and says why: nothing was counted
    KaggleError                   Kaggle failed or was not reached: nothing was counted
    UnknownOutcome                it may have been counted: Kaggle's list has to be asked
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compete.environments import for_kaggle
from compete.errors import CompeteError, KaggleError, SubmissionError, UserError
from compete.submissions.kaggle.credentials import HELP, Credentials, find_credentials, redacted
from compete.submissions.kaggle.uploads import UNDER_WAY

SITE = "https://www.kaggle.com"
# Seconds. Answers take one or two; an upload or a download takes what its size takes.
PATIENCE = 60.0
SLOWEST = 50_000  # bytes a second
_COUNTED = ("submit", "submit_code", "create_dataset", "create_version", "push_notebook")
# What is no call about a competition: what a refusal is about, in its place.
_ELSEWHERE = {
    "account": "your account",
    "dataset": "the dataset",
    "dataset_status": "the dataset",
    "create_dataset": "the dataset",
    "create_version": "the dataset",
    "notebook": "the notebook",
    "push_notebook": "the notebook",
    "notebook_run": "the notebook",
    "notebook_files": "the notebook",
    "notebook_output": "the notebook",
}


class UnknownOutcome(KaggleError):  # noqa: N818 - it is no error yet
    """A submission, a dataset or a notebook was on its way when the answer failed to come."""


@dataclass
class KaggleClient:
    """Operations of `kaggle_worker.Session` on one competition."""

    slug: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    _worker: _Worker | None = None
    _answered: bool = False
    _found: list[Credentials] = field(default_factory=list, repr=False)

    def call(self, operation: str, seconds: float | None = None, **arguments: Any) -> Any:
        """The operation's result; seconds: the time limit, PATIENCE by default."""
        self._found = find_credentials(self.environment, self._home)
        if not self._found:
            raise UserError(f"no Kaggle credentials were found: {HELP}")
        seconds = PATIENCE if seconds is None else seconds
        about = {} if operation in _ELSEWHERE else {"slug": self.slug}
        request = {"operation": operation, "arguments": {**about, **arguments}}
        self._worker = self._worker or _Worker(self.environment)
        try:
            answer = self._worker.ask(request, seconds)
        except TimeoutError:
            # An answer that is still to come would be taken for that of the next request.
            self.close()
            raise self._lost(operation, f"Kaggle did not answer within {seconds:.0f} s") from None
        except EOFError:
            self.close()
            raise self._lost(operation, "the process that talks to Kaggle ended") from None
        except BaseException:  # Ctrl-C
            self.close()
            raise
        if "result" in answer:
            self._answered = True
            return answer["result"]
        raise self._error(operation, answer)

    def send(self, operation: str, seconds: float | None = None, **arguments: Any) -> int:
        """An operation that counts; the submission's reference."""
        reference = int(self.call(operation, seconds, **arguments))
        if reference <= 0:  # what the client says of a failed upload, without raising anything
            raise KaggleError("the upload to Kaggle failed and nothing was counted: the same command tries again")
        return reference

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> KaggleClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _home(self) -> Path:
        return Path(self.environment.get("HOME") or Path.home())

    def _lost(self, operation: str, what: str) -> CompeteError:
        if operation in _COUNTED:
            return UnknownOutcome(what)
        return KaggleError(f"{what}. Is the network up? The same command tries again.")

    def _error(self, operation: str, answer: Mapping[str, Any]) -> CompeteError:
        """The error that an answer of the worker stands for."""
        kind, reason = answer["failed"], redacted(str(answer["reason"]), self.environment, self._home).strip()
        if kind == "proxy" and self._answered:
            kind = "connection"  # behind a proxy, a connection that Kaggle cut looks like that too
        under_way = operation in _COUNTED and (operation == "submit_code" or _uploaded(answer))
        if kind == "credentials":
            return UserError(f"Kaggle's client could not log in with {self._used()}: {HELP}")
        if kind == "home":
            return UserError(
                f"Kaggle's client cannot write {reason}: make it writable, or set HOME and KAGGLE_CONFIG_DIR "
                "to folders that are"
            )
        if kind == "file":
            return UserError(reason)
        if kind == "upload":
            return KaggleError(
                f"the upload of {reason} to Kaggle failed and nothing was made of it: the same command goes on with it"
            )
        # 408: Kaggle gave up waiting. Of a call that counts, that does not say whether it was counted.
        if kind == "status" and answer["status"] < 500 and not (answer["status"] == 408 and under_way):
            return self._refusal(operation, answer["status"], reason)
        words = {
            "status": f"Kaggle answered with an error ({answer.get('status')}{f': {reason}' if reason else ''})",
            "proxy": "the proxy (HTTPS_PROXY) refused to connect to Kaggle: correct or unset that variable",
            "connection": "no connection to Kaggle",
        }
        what = words.get(kind, f"Kaggle's answer could not be read ({reason}); a newer `kaggle` may read it")
        if under_way:
            return UnknownOutcome(what)
        return UserError(what) if kind == "proxy" else KaggleError(f"{what}. The same command tries again.")

    def _refusal(self, operation: str, status: int, reason: str) -> CompeteError:
        page, said = f"{SITE}/competitions/{self.slug}", f' ("{reason.rstrip(".")}")' if reason else ""
        if status == 401:
            return UserError(f"Kaggle refused {self._used()}{said}: {HELP}")
        if operation in _ELSEWHERE and status != 429:
            return SubmissionError(f"Kaggle refused {_ELSEWHERE[operation]}{said or f' (status {status})'}; see {SITE}")
        if status == 403:
            return UserError(
                f"Kaggle does not let this account into {self.slug!r}{said}: join the competition and accept its rules "
                f"on {page}/rules, then run the same command again"
            )
        if status == 404 and operation == "submit_code":
            return UserError(
                f"Kaggle knows no such version of that notebook{said}: look at --kernel and --kernel-version"
            )
        if status == 404:
            return UserError(
                f"Kaggle knows no competition {self.slug!r}{said}: [submission] kaggle is the last part of its "
                f"address, {SITE}/competitions/SLUG"
            )
        if status == 429:
            return KaggleError(f"Kaggle asks for fewer calls{said}: run the same command again in some minutes")
        return SubmissionError(f"Kaggle refused{said or f' (status {status})'}; see {page}")

    def _used(self) -> str:
        """The credentials that were used, by name and place, and those that waited behind them."""
        first, *others = self._found  # as they were before the call: the client deletes a login that was revoked
        behind = f" (found and not used: {', '.join(each.place for each in others)})" if others else ""
        return f"the {first.kind} in {first.place}{behind}"


def _uploaded(answer: Mapping[str, Any]) -> bool:
    """Whether Kaggle had accepted the beginning of an upload: from there on the next call counts."""
    return "StartSubmissionUpload" in answer["reached"] or UNDER_WAY in answer["reached"]


class _Worker:
    """The process, and its answers as they come."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # -P: a file of the user's that is called like a library must not run here, beside the credentials.
        command = [sys.executable, "-P", "-m", "compete.submissions.kaggle.worker"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=for_kaggle(environment), encoding="utf-8"
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Raises TimeoutError, or EOFError if the process ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EOFError from None
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if not line:
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        # The end: every answer is a line that is not empty.
        self._answers.put("")
