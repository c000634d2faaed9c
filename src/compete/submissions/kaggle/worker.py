"""The process that talks to Kaggle: `python -m compete.submissions.kaggle.worker`.

It reads requests, a line of JSON each, and answers each with a line of JSON. Kaggle's client knows no time limits,
prints where it likes, logs in when it is imported, closes the standard input when it has no credentials, and can block
for six minutes: all that stays in here, and the parent ends this process when its patience does. When the parent is
gone, so is the worker.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from compete.submissions.kaggle.uploads import TELLING, DatasetRefusedError, UploadFailedError, Uploads

PAGE = 100


class ServiceError(Exception):
    """Kaggle answered with an error in a form that the client takes for an empty answer."""


class Session:
    """A client that is logged in; every public method is an operation, its result plain JSON."""

    def __init__(self) -> None:
        import kaggle

        self.api = kaggle.api
        self.reached: set[str] = set()
        self.uploads = Uploads(self.api, self.reached)
        self.api.get_response_processor = lambda: self._check
        if not self.api.config_values.get("auth_method"):
            self.api.authenticate()  # what went wrong at the import was swallowed there

    def competition(self, slug: str) -> dict[str, Any]:
        from kagglesdk.competitions.types.competition_api_service import ApiGetCompetitionRequest

        request = ApiGetCompetitionRequest()
        request.competition_name = slug
        with self.api.build_kaggle_client() as client:
            found = client.competitions.competition_api_client.get_competition(request)
        return {
            "deadline": _time(found.deadline),
            "notebooks_only": bool(found.is_kernels_submissions_only),
            "closed": bool(found.submissions_disabled),
            "entered": bool(found.user_has_entered),
        }

    def limits(self, slug: str) -> dict[str, Any]:
        found = self.api.competition_get_submission_limits(slug)
        spent = {"today": found.num_today, "total": found.num_total, "allowed": found.num_allowed_now}
        return {**spent, "by_total": bool(found.limited_by_total)}

    def submissions(self, slug: str) -> list[dict[str, Any]]:
        """All of the team's, newest first."""
        from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest

        def page(client: Any, token: str) -> Any:
            request = ApiListSubmissionsRequest()
            request.competition_name, request.page_size, request.page_token = slug, PAGE, token
            return client.competitions.competition_api_client.list_submissions(request)

        return [_submission(each) for answer in self._pages(page) for each in answer.submissions]

    def files(self, slug: str) -> list[dict[str, Any]]:
        def page(client: Any, token: str) -> Any:
            return self.api.competition_list_files(slug, page_token=token or None, page_size=PAGE)

        return [{"name": each.name, "bytes": each.total_bytes} for answer in self._pages(page) for each in answer.files]

    def download(self, slug: str, folder: str) -> None:
        """Write <folder>/<slug>.zip."""
        self.api.competition_download_files(slug, path=folder, force=True, quiet=True)

    def operation(self, name: str) -> Callable[..., Any]:
        """One of this or of `Uploads`."""
        found: Callable[..., Any] = getattr(self.uploads if hasattr(self.uploads, name) else self, name)
        return found

    def submit(self, slug: str, file: str, message: str) -> int:
        """The reference; 0 if the upload failed, of which the client says nothing more."""
        reference = int(self.api.competition_submit(file, message, slug, quiet=True).ref)
        # From CreateSubmission on it may have been counted: the parent must not take that for a failed upload.
        if reference <= 0 and "CreateSubmission" in self.reached:
            raise ValueError("Kaggle's answer names no submission")
        return reference

    def submit_code(self, slug: str, file: str, message: str, kernel: str, version: int) -> int:
        sent = self.api.competition_submit_code(file, message, slug, kernel=kernel, kernel_version=version)
        return int(sent.ref)

    def _pages(self, page: Callable[[Any, str], Any]) -> Iterator[Any]:
        with self.api.build_kaggle_client() as client:
            # The first page's token is empty, and so is what the last page names as its next: it has been seen by then.
            token, seen = "", set[str]()
            while token not in seen:
                seen.add(token)
                answer = page(client, token)
                yield answer
                token = answer.next_page_token or ""

    def _check(self, response: Any) -> None:
        """Called by the client with every answer that it takes for a good one."""
        # Kaggle's addresses end in the name of the call: CreateSubmission, StartSubmissionUpload.
        called = response.request.url.rsplit("/", 1)[-1]
        self.reached.add(called)
        if "application/json" not in response.headers.get("Content-Type", ""):
            return
        body = response.json()
        said = body.get("error") if isinstance(body, dict) else None
        if isinstance(said, str) and called in TELLING:
            return
        if isinstance(body, dict) and (said or int(body.get("code") or 0) >= 400):
            raise ServiceError(_reason(body) or "an error without a reason")


def _submission(found: Any) -> dict[str, Any]:
    return {
        "ref": int(found.ref),
        "message": found.description or "",
        "file": found.file_name or "",
        "sent": _time(found.date),
        "status": found.status.name.lower(),
        "public": _score(found.public_score),
        "private": _score(found.private_score),
        "error": found.error_description or "",
    }


def _score(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _time(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC; the client hands out times without a zone that are meant so."""
    return None if moment is None else f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}+00:00"


def _reason(body: Any) -> str:
    """The reason in an error's body, in either of Kaggle's two shapes."""
    if not isinstance(body, dict):
        return ""
    inside = body.get("error")
    if isinstance(inside, dict):
        return str(inside.get("message") or "")
    return str(body.get("message") or inside or "")


def _failure(error: BaseException, session: Session | None) -> dict[str, Any]:
    """What went wrong, in a form the parent can judge by; without a session, while the client was imported."""
    import requests

    reached = sorted(session.reached) if session else []  # calls that Kaggle had answered before
    answer: dict[str, Any] = {"failed": "unreadable", "reached": reached, "reason": type(error).__name__}
    if isinstance(error, SystemExit):
        return {**answer, "failed": "credentials", "reason": ""}
    if isinstance(error, OSError) and error.filename and session is None:
        return {**answer, "failed": "home", "reason": str(error.filename)}
    if isinstance(error, UploadFailedError):
        return {**answer, "failed": "upload", "reason": str(error)}
    if isinstance(error, DatasetRefusedError):
        return {**answer, "failed": "status", "status": 400, "reason": str(error)}
    response = getattr(error, "response", None)
    if response is not None and isinstance(error, requests.HTTPError):
        answer["reason"] = response.reason or ""
        with contextlib.suppress(ValueError):
            answer["reason"] = _reason(response.json()) or response.reason or ""
        status = response.status_code
        return {**answer, "failed": "status", "status": status if status >= 400 else 500}
    if isinstance(error, ServiceError):
        return {**answer, "failed": "status", "status": 500, "reason": str(error)}
    if isinstance(error, requests.exceptions.ProxyError):
        return {**answer, "failed": "proxy"}
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return {**answer, "failed": "connection"}
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {**answer, "failed": "file", "reason": "no space left on the disk: nothing of it was kept"}
    if isinstance(error, OSError) and error.filename:
        return {**answer, "failed": "file", "reason": f"{error.strerror}: {error.filename}"}
    return answer


def main() -> None:
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    # The client closes standard input and prints to standard output: it gets others.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    lines: Iterator[str] = _until_parent_ends(requests)
    session: Session | None = None
    for line in lines:
        request = json.loads(line)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                session = session or Session()
                session.reached.clear()
                answer = {"result": session.operation(request["operation"])(**request["arguments"])}
            except (Exception, SystemExit) as error:
                answer = _failure(error, session)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _until_parent_ends(requests: io.TextIOBase | Any) -> Iterator[str]:
    """Requests; read beside the work, so that the end of the parent ends a call that hangs, too."""
    import queue

    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in requests:
            waiting.put(line)
        # sys.exit would end this thread alone, and leave the call that hangs.
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


if __name__ == "__main__":
    main()
    sys.exit(0)
