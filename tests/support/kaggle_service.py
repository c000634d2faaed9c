"""A stand-in for Kaggle's service that the unmodified `kaggle` client talks to, on this machine only.

The client runs in a process of its own with `KaggleService.environment`: KAGGLE_API_ENVIRONMENT=LOCALHOST makes it ask
`http://localhost`, and the proxy variables bring those requests here, on any free port. Whatever is meant for another
host ends here too, is refused and is kept in `KaggleService.escapes`.

    with KaggleService([Competition("toy", {"train.csv": b"id,y"}, solution=lambda csv: (0.7, 0.6))]) as service:
        subprocess.run([...], env=service.environment(home) | {"KAGGLE_USERNAME": "ann", "KAGGLE_KEY": "secret"})
        assert service.today() == 1 and not service.escapes
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote, unquote

from support.kaggle_storage import METHODS as STORAGE_METHODS
from support.kaggle_storage import Storage
from support.kaggle_wire import Answer, Fault, Json, RefusedError, Request, WireServer

__all__ = ["Competition", "Fault", "KaggleService", "Request", "Submission"]

Row = TypeVar("Row")
Moment = Literal["before", "after"]


@dataclass
class Competition:
    """A competition and where the caller stands in it.

    `solution` scores a CSV file's bytes: (public, private), or the text of an error.
    """

    slug: str
    files: dict[str, bytes]
    solution: Callable[[bytes], tuple[float, float] | str]
    daily_limit: int = 5
    joined: bool = True
    rules_accepted: bool = True
    notebooks_only: bool = False
    deadline: datetime = datetime(2099, 1, 1, tzinfo=UTC)
    closed: bool = False  # private scores and the private leaderboard are shown
    pending_polls: int = 0  # how many answers show a new submission as PENDING
    rivals: dict[str, tuple[float, float]] = field(default_factory=dict)  # team -> (public, private)
    higher_is_better: bool = True
    notebooks: dict[str, bytes] = field(default_factory=dict)  # "owner/slug" -> the file that it writes
    metric: str = "Macro F1"
    files_changed: datetime = datetime(2026, 1, 5, 10, tzinfo=UTC)


@dataclass
class Submission:
    """One used submission, as the service keeps it."""

    ref: int
    competition: str
    owner: str
    file_name: str
    description: str
    content: bytes
    date: datetime
    scores: tuple[float, float] | None  # (public, private); None: it could not be scored
    error: str = ""
    polls_left: int = 0

    @property
    def status(self) -> str:
        if self.polls_left:
            return "PENDING"
        return "COMPLETE" if self.scores else "ERROR"

    def as_json(self, reveal_private: bool) -> Json:
        public, private = self.scores or (0.0, 0.0)
        complete = self.status == "COMPLETE"
        return {
            "ref": self.ref,
            "totalBytes": len(self.content),
            "date": _timestamp(self.date),
            "description": self.description,
            "errorDescription": self.error if self.status == "ERROR" else "",
            "fileName": self.file_name,
            "publicScore": f"{public:.5f}" if complete else "",
            "privateScore": f"{private:.5f}" if complete and reveal_private else "",
            "status": self.status,
            "submittedBy": self.owner,
            "teamName": self.owner,
        }


@dataclass
class _Upload:
    owner: str
    file_name: str
    content: bytes | None = None


class KaggleService:
    """The service itself: a context manager that listens on 127.0.0.1 while it is entered.

    Its attributes may be read and changed at any time; `lock` makes several of them one step. `on_request(endpoint,
    moment)` is called without the lock, "before" anything is done for a request and "after" it was carried out but
    not answered: the places to kill a client at. An exception in it, or in a `solution`, is raised on leaving.
    """

    def __init__(self, competitions: Sequence[Competition] = ()) -> None:
        self.competitions: dict[str, Competition] = {each.slug: each for each in competitions}
        self.accounts: dict[str, str] = {"ann": "secret"}  # username -> key
        self.tokens: dict[str, str] = {}  # access token -> username
        self.submissions: list[Submission] = []
        self.requests: list[Request] = []
        self.escapes: list[str] = []  # what was meant for another host
        self.faults: list[Fault] = []
        self.on_request: Callable[[str, Moment], None] | None = None
        self.largest_page = 100
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.storage = Storage()
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.crashes: list[str] = []
        self._uploads: dict[str, _Upload] = {}
        self._server: WireServer | None = None

    def __enter__(self) -> KaggleService:
        self.closing.clear()
        self._server = WireServer(self)
        # The poll interval bounds how long leaving takes.
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._server is not None
        self.closing.set()
        self._server.shutdown()
        self._server.cut_connections()
        self._server.server_close()
        self._server = None
        if self.crashes and kind is None:
            raise RuntimeError("the stand-in for Kaggle failed:\n" + "\n".join(self.crashes))

    @property
    def port(self) -> int:
        assert self._server is not None, "the service runs inside a with statement"
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, home: Path) -> dict[str, str]:
        """The whole environment of a client process: this one's, without its Kaggle settings and credentials."""
        foreign = ("KAGGLE_", "XDG_CONFIG_HOME", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), self.url)
        # Set to nothing rather than left out, so that the result can also be laid over another environment.
        unset = dict.fromkeys(("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "KAGGLE_API_TOKEN"), "")
        return {**kept, **proxies, **unset, "HOME": str(home), "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}

    def today(self, slug: str | None = None, owner: str | None = None) -> int:
        """How many submissions were used on this day, in UTC."""
        with self.lock:
            day = self.clock().date()
            mine = [each for each in self.submissions if slug in (None, each.competition)]
            return sum(each.date.date() == day for each in mine if owner in (None, each.owner))

    def add_outside_submission(
        self,
        slug: str,
        content: bytes,
        *,
        owner: str | None = None,
        file_name: str = "submission.csv",
        description: str = "",
        date: datetime | None = None,
    ) -> Submission:
        """A submission made on the web page or from another machine; `owner` is the first account by default."""
        with self.lock:
            submission = self._add(slug, owner or next(iter(self.accounts)), file_name, description, content)
            submission.date = (date or submission.date).astimezone(UTC)
            return submission

    def endpoints(self) -> list[str]:
        """The endpoints asked so far, in order."""
        with self.lock:
            return [request.endpoint for request in self.requests]

    # What the handler calls

    def arrive(self, request: Request) -> Fault | None:
        """Logs a request and takes the fault that waits for it, if there is one."""
        with self.lock:
            self.requests.append(request)
        self.tell(request.endpoint, "before")
        with self.lock:
            for fault in self.faults:
                if fault.endpoint == request.endpoint:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def carry_out(self, request: Request) -> Answer:
        """Does what was asked for; a refusal is an answer too."""
        try:
            with self.lock:
                answer = self._route(request)
        except RefusedError as refusal:
            answer = refusal.answer()
        self.tell(request.endpoint, "after")
        return answer

    def tell(self, endpoint: str, moment: Moment) -> None:
        if self.on_request is not None:
            self.on_request(endpoint, moment)

    def _route(self, request: Request) -> Answer:
        # Blobs and files lie at signed addresses on the real service, which ask for no credentials either.
        if request.endpoint == "PutBlob":
            return self._put_blob(request)
        if request.endpoint == "GetOutput":
            return self.storage.get_output(request)
        if request.endpoint in ("GetFile", "GetZip"):
            return self._get_data(request)
        body = json.loads(request.body or b"{}")
        if request.endpoint == "IntrospectToken":
            username = self.tokens.get(body.get("token", ""))
            return _json({"active": username is not None, "username": username or ""})
        if request.endpoint in STORAGE_METHODS:
            return STORAGE_METHODS[request.endpoint](self.storage, self._user(request.authorization or ""), body)
        method = self._METHODS.get(request.endpoint)
        if method is None:
            raise RefusedError(404, f"{request.endpoint} is not served")
        return method(self, self._user(request.authorization or ""), body)

    def _user(self, authorization: str) -> str:
        scheme, _, value = authorization.partition(" ")
        if scheme == "Bearer" and value in self.tokens:
            return self.tokens[value]
        if scheme == "Basic":
            username, _, key = base64.b64decode(value).decode().partition(":")
            if key and self.accounts.get(username) == key:
                return username
        raise RefusedError(401, "Unauthenticated")

    def _competition(self, slug: str) -> Competition:
        if slug not in self.competitions:
            raise RefusedError(404, f"Competition not found: {slug}")
        return self.competitions[slug]

    # Competitions and their files

    def _list_competitions(self, user: str, body: Json) -> Answer:
        found = [each for slug, each in self.competitions.items() if body.get("search", "") in slug]
        page, token = self._page(found, body)
        return _json({"competitions": [self._about(each, user) for each in page], "nextPageToken": token})

    def _get_competition(self, user: str, body: Json) -> Answer:
        return _json(self._about(self._competition(body.get("competitionName", "")), user))

    def _about(self, competition: Competition, user: str) -> Json:
        teams = [team for team, _, _ in self._board(competition, competition.closed)]
        deadline = min(competition.deadline, self.clock()) if competition.closed else competition.deadline
        return {
            "id": 1 + list(self.competitions).index(competition.slug),
            "ref": f"https://www.kaggle.com/competitions/{competition.slug}",
            "title": competition.slug.replace("-", " ").title(),
            "deadline": _timestamp(deadline),
            "teamCount": len(teams),
            "userHasEntered": competition.joined,
            "userRank": 1 + teams.index(user) if user in teams else None,
            "maxDailySubmissions": competition.daily_limit,
            "evaluationMetric": competition.metric,
            "isKernelsSubmissionsOnly": competition.notebooks_only,
        }

    def _list_data_files(self, user: str, body: Json) -> Answer:
        competition = self._competition(body.get("competitionName", ""))
        page, token = self._page(list(competition.files.items()), body)
        date = _timestamp(competition.files_changed)
        files = [{"ref": name, "name": name, "totalBytes": len(data), "creationDate": date} for name, data in page]
        return _json({"files": files, "nextPageToken": token})

    def _download_data_file(self, user: str, body: Json) -> Answer:
        competition, name = self._competition(body.get("competitionName", "")), body["fileName"]
        _check_rules(competition)
        if name not in competition.files:
            raise RefusedError(404, f"File not found: {name}")
        return _redirect(f"/files/{competition.slug}/{name}")

    def _download_data_files(self, user: str, body: Json) -> Answer:
        competition = self._competition(body.get("competitionName", ""))
        _check_rules(competition)
        return _redirect(f"/zips/{competition.slug}.zip")  # the client takes the ending from the address

    def _get_data(self, request: Request) -> Answer:
        slug, _, name = unquote(request.path).split("/", 2)[2].partition("/")
        competition = self._competition(slug.removesuffix(".zip"))
        data = _zip(competition.files) if request.endpoint == "GetZip" else competition.files[name]
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        changed = format_datetime(competition.files_changed.astimezone(UTC), usegmt=True)
        headers = {"ETag": tag, "Last-Modified": changed, "Accept-Ranges": "bytes"}
        asked = request.headers.get("Range", "")
        if not asked or request.headers.get("If-Range", tag) != tag:
            return Answer(200, data, "application/octet-stream", headers)
        first = int(asked.removeprefix("bytes=").rstrip("-"))
        headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        return Answer(206, data[first:], "application/octet-stream", headers)

    # Submissions

    def _start_submission_upload(self, user: str, body: Json) -> Answer:
        _check_may_submit(self._competition(body.get("competitionName", "")))
        token = f"blob-{len(self._uploads) + 1}"
        self._uploads[token] = _Upload(user, body["fileName"])
        return _json({"token": token, "createUrl": f"http://localhost/blob-upload/{token}"})

    def _put_blob(self, request: Request) -> Answer:
        token = request.path.rpartition("/")[2]
        if token in self.storage.blobs:
            return self.storage.put(request)
        upload = self._uploads.get(token)
        if upload is None:
            raise RefusedError(404, "No such upload")
        upload.content = request.body
        return Answer(200, b"", "text/plain")

    def _create_submission(self, user: str, body: Json) -> Answer:
        competition = self._competition(body.get("competitionName", ""))
        _check_may_submit(competition)
        if competition.notebooks_only:
            message = "Submission not allowed:  This competition only accepts Submissions from Notebooks."
            raise RefusedError(400, message, nested=True)
        self._check_allowance(competition, user)
        upload = self._uploads.get(body["blobFileTokens"])
        if upload is None or upload.owner != user or upload.content is None:
            raise RefusedError(400, "Submission not allowed: no file was uploaded.")
        # A token may be used again: the real call is not idempotent either, each one counts.
        return self._submitted(competition, user, upload.file_name, body, upload.content)

    def _create_code_submission(self, user: str, body: Json) -> Answer:
        competition = self._competition(body.get("competitionName", ""))
        _check_may_submit(competition)
        notebook = f"{body['kernelOwner']}/{body['kernelSlug']}"
        written = self.storage.to_submit(user, body)
        if written is None:
            written = competition.notebooks.get(notebook)
        if written is None:
            raise RefusedError(404, f"Notebook not found: {notebook}")
        self._check_allowance(competition, user)
        return self._submitted(competition, user, body.get("fileName", ""), body, written)

    def _check_allowance(self, competition: Competition, user: str) -> None:
        if self.today(competition.slug, user) >= competition.daily_limit:
            allowance = f"Your team has used its daily Submission allowance ({competition.daily_limit}) today, "
            raise RefusedError(
                400, f"Submission not allowed: {allowance}please try again tomorrow UTC (5.1 hours from now)."
            )

    def _submitted(self, competition: Competition, user: str, file_name: str, body: Json, content: bytes) -> Answer:
        added = self._add(competition.slug, user, file_name, body.get("submissionDescription", ""), content)
        return _json({"message": f"Successfully submitted to {competition.slug}", "ref": added.ref})

    def _add(self, slug: str, owner: str, file_name: str, description: str, content: bytes) -> Submission:
        competition = self.competitions[slug]
        result = competition.solution(content)
        scores, error = (None, result) if isinstance(result, str) else (result, "")
        ref, polls = 54_000_001 + len(self.submissions), competition.pending_polls
        added = Submission(ref, slug, owner, file_name, description, content, self.clock(), scores, error, polls)
        self.submissions.append(added)
        return added

    def _list_submissions(self, user: str, body: Json) -> Answer:
        competition = self._competition(body.get("competitionName", ""))
        mine = [each for each in self.submissions if (each.competition, each.owner) == (competition.slug, user)]
        page, token = self._page(sorted(mine, key=lambda each: (each.date, each.ref), reverse=True), body)
        return _json({"submissions": [self._poll(each) for each in page], "nextPageToken": token})

    def _get_submission(self, user: str, body: Json) -> Answer:
        found = [each for each in self.submissions if each.ref == body.get("ref")]
        if not found:
            raise RefusedError(404, "Submission not found")
        if found[0].owner != user:
            raise RefusedError(403, "Permission 'submissions.get' was denied")
        return _json(self._poll(found[0]))

    def _poll(self, submission: Submission) -> Json:
        shown = submission.as_json(self.competitions[submission.competition].closed)
        submission.polls_left = max(0, submission.polls_left - 1)
        return shown

    def _get_submission_limits(self, user: str, body: Json) -> Answer:
        competition = self._competition(body.get("competitionName", ""))
        today = self.today(competition.slug, user)
        total = sum((each.competition, each.owner) == (competition.slug, user) for each in self.submissions)
        left = max(0, competition.daily_limit - today) if competition.joined else 0
        return _json({"numToday": today, "numTotal": total, "numAllowedNow": left, "limitedByTotal": False})

    def _get_leaderboard(self, user: str, body: Json) -> Answer:
        competition = self._competition(body.get("competitionName", ""))
        board = self._board(competition, competition.closed and not body.get("overridePublic"))
        rows = [
            {"teamId": zlib.crc32(team.encode()), "teamName": team, "submissionDate": date, "score": score}
            for team, score, date in board
        ]
        page, token = self._page(rows, body)
        return _json({"submissions": page, "nextPageToken": token})

    def _board(self, competition: Competition, private: bool) -> list[tuple[str, str, str]]:
        """(team, score, date), the best first: of each team's two best public submissions the better one."""
        sign = 1 if competition.higher_is_better else -1
        long_ago = _timestamp(competition.files_changed)
        rows = [(scores[private], team, long_ago) for team, scores in competition.rivals.items()]
        for owner in self.accounts:
            mine = [each for each in self.submissions if (each.competition, each.owner) == (competition.slug, owner)]
            scored = [(each.scores, each.date) for each in mine if each.status == "COMPLETE" and each.scores]
            chosen = sorted(scored, key=lambda each: -sign * each[0][0])[:2]
            rows += [(scores[private], owner, _timestamp(date)) for scores, date in chosen]
        best: dict[str, tuple[str, str, str]] = {}
        for score, team, date in sorted(rows, key=lambda row: -sign * row[0]):
            best.setdefault(team, (team, f"{score:.5f}", date))
        return list(best.values())

    def _page(self, rows: Sequence[Row], body: Json) -> tuple[Sequence[Row], str]:
        """The rows asked for and the token of the next page, which is empty after the last."""
        size = min(body.get("pageSize") or 20, self.largest_page)
        token = body.get("pageToken") or f"from-{size * (max(1, body.get('page') or 1) - 1)}"
        first = int(token.removeprefix("from-"))
        return rows[first : first + size], f"from-{first + size}" if first + size < len(rows) else ""

    _METHODS: Mapping[str, Callable[[KaggleService, str, Json], Answer]] = {
        "ListCompetitions": _list_competitions,
        "GetCompetition": _get_competition,
        "ListDataFiles": _list_data_files,
        "DownloadDataFile": _download_data_file,
        "DownloadDataFiles": _download_data_files,
        "StartSubmissionUpload": _start_submission_upload,
        "CreateSubmission": _create_submission,
        "CreateCodeSubmission": _create_code_submission,
        "ListSubmissions": _list_submissions,
        "GetSubmission": _get_submission,
        "GetSubmissionLimits": _get_submission_limits,
        "GetLeaderboard": _get_leaderboard,
    }


def _check_rules(competition: Competition) -> None:
    if not competition.rules_accepted:
        raise RefusedError(403, "You must accept this competition's rules before you'll be able to download files.")


def _check_may_submit(competition: Competition) -> None:
    if not competition.rules_accepted:
        raise RefusedError(403, "You must accept this competition's rules before you can submit.")
    if not competition.joined:
        raise RefusedError(403, "Permission 'competitions.participate' was denied")


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(body: Json) -> Answer:
    return Answer(200, json.dumps(body).encode())


def _redirect(path: str) -> Answer:
    return Answer(302, headers={"Location": f"http://localhost{quote(path)}"})


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # a fixed date: equal files, equal ETag
    return buffer.getvalue()
