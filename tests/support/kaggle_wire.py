"""The wire between the Kaggle client and its stand-in: HTTP, what leaves the machine, and faults on demand."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

Json = dict[str, Any]
FaultKind = Literal[
    "flat",  # {"code", "message"} with HTTP `status`; status=200, code=500, message="" is taken for an empty result
    "nested",  # {"error": {"code", "message", "status"}}, which the client does not read
    "html",  # a page, as a gateway answers; also with status=200
    "empty",  # no body
    "malformed",  # HTTP 200 and half a JSON object
    "null",  # HTTP 200 and the JSON value null
    "null-list",  # the true answer with its lists replaced by null
    "unknown-status",  # the true answer with a submission status that the client does not know
    "short",  # the true answer, cut off half-way through its body
    "hang",  # no answer until the client or the service goes away
    "cut",  # the connection is closed without an answer
    "late",  # cut at once, carried out `seconds` later: it was under way when the client died
]


@dataclass(frozen=True)
class Request:
    """One request as it arrived. `endpoint` is the method's name, or PutBlob, GetFile, GetZip, GetOutput."""

    method: str
    endpoint: str
    authorization: str | None
    path: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What goes back to the client; `headers` win over what is worked out from the rest."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with the next `times` requests to `endpoint`.

    `counted`: the request is carried out although its answer is lost. The kinds that disturb the true answer
    (null-list, unknown-status, short) and `late` are carried out in any case; what is still late when the service
    closes is dropped.
    """

    endpoint: str
    kind: FaultKind
    times: int = 1
    status: int = 500
    code: int | None = None  # the code in the body, if it is not the HTTP status
    message: str = "The service is unwell"
    retry_after: int | None = None
    counted: bool = False
    seconds: float = 0.0

    @property
    def carries_out(self) -> bool:
        return self.counted or self.kind in ("null-list", "unknown-status", "short", "late")

    def disturb(self, answer: Answer | None) -> Answer | None:
        """What the client gets instead of `answer`; None: nothing."""
        if self.kind in ("hang", "cut", "late"):
            return None
        if self.kind == "malformed":
            return Answer(200, b'{"submissions": [{"ref": 5')
        if self.kind == "null":
            return Answer(200, b"null")
        if answer is None or not self.carries_out or self.kind in ("flat", "nested", "html", "empty"):
            return self._error()
        if self.kind == "short":
            length = {"Content-Length": str(len(answer.body))}
            return replace(answer, body=answer.body[: len(answer.body) // 2], headers={**answer.headers, **length})
        return replace(answer, body=json.dumps(self._spoil(json.loads(answer.body))).encode())

    def _error(self) -> Answer:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.kind == "html":
            page = f"<html><body><h1>{self.message}</h1></body></html>"
            return Answer(self.status, page.encode(), "text/html; charset=utf-8", headers)
        if self.kind == "empty":
            return Answer(self.status, b"", "text/plain", headers)
        refusal = RefusedError(self.code or self.status, self.message, nested=self.kind == "nested")
        return replace(refusal.answer(), status=self.status, headers=headers)

    def _spoil(self, body: Json) -> Json:
        if self.kind == "null-list":
            return {key: None if isinstance(value, list) else value for key, value in body.items()}
        if "submissions" in body:
            return {**body, "submissions": [{**row, "status": "RESCORING"} for row in body["submissions"]]}
        return {**body, "status": "RESCORING"}


class RefusedError(Exception):
    """What the service refuses to do; Kaggle has two shapes of telling so, and the client reads the flat one only."""

    def __init__(self, status: int, message: str, *, nested: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.nested = nested

    def answer(self) -> Answer:
        error: Json = {"code": self.status, **({"message": self.message} if self.message else {})}
        body = {"error": {**error, "status": "FAILED_PRECONDITION"}} if self.nested else error
        return Answer(self.status, json.dumps(body).encode())


class Service(Protocol):
    """What the wire needs to know of the service."""

    escapes: list[str]
    crashes: list[str]
    lock: threading.RLock
    closing: threading.Event

    def arrive(self, request: Request) -> Fault | None: ...

    def carry_out(self, request: Request) -> Answer: ...


class WireServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1, one thread a connection, one request a connection."""

    daemon_threads = True

    def __init__(self, service: Service) -> None:
        self.service = service
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)  # closes the socket
        finally:
            with self._changed:
                self._open.discard(request)
                self._changed.notify_all()

    def cut_connections(self) -> None:
        """Ends what is still under way, so that no socket outlives the service."""
        with self._changed:
            for connection in self._open:
                _shut(connection)
            self._changed.wait_for(lambda: not self._open, timeout=5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that went away is nobody's fault
            self.service.crashes.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    server: WireServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read `KaggleService.requests`."""

    def do_CONNECT(self) -> None:
        self._refuse_to_leave()

    def _serve(self) -> None:
        service, address, body = self.server.service, urlsplit(self.path), self._body()
        self.close_connection = True
        if address.netloc != "localhost":
            self._refuse_to_leave()
            return
        headers = {name.title(): value for name, value in self.headers.items()}
        authorization = headers.get("Authorization")
        request = Request(self.command, _endpoint(address.path), authorization, address.path, body, headers)
        fault = service.arrive(request)
        if fault is None:
            self._send(service.carry_out(request))
            return
        if fault.kind == "late":
            _shut(self.connection)
            if service.closing.wait(fault.seconds):
                return
        answer = fault.disturb(service.carry_out(request) if fault.carries_out else None)
        if answer is not None:
            self._send(answer)
        elif fault.kind == "hang":
            self._hang()

    do_GET = do_POST = do_PUT = do_HEAD = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _refuse_to_leave(self) -> None:
        with self.server.service.lock:
            self.server.service.escapes.append(f"{self.command} {self.path}")
        self._send(Answer(HTTPStatus.BAD_GATEWAY, b"this test does not leave the machine", "text/plain"))

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            length = int(self.headers.get("Content-Length", 0))
            return self._exactly(length)
        chunks = []  # the client sends an empty file so
        while size := int(self.rfile.readline() or b"0", 16):
            chunks.append(self._exactly(size + 2)[:-2])
        self._exactly(2)
        return b"".join(chunks)

    def _exactly(self, length: int) -> bytes:
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionResetError("the client died while it sent this; the service never saw the request")
        return data

    def _send(self, answer: Answer) -> None:
        headers = {"Content-Length": str(len(answer.body)), "Content-Type": answer.content_type, **answer.headers}
        self.send_response(answer.status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _hang(self) -> None:
        while not self.server.service.closing.wait(0.05):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1):
                return


def _endpoint(path: str) -> str:
    first, _, last = path.strip("/").partition("/")
    known = {"blob-upload": "PutBlob", "files": "GetFile", "zips": "GetZip", "outputs": "GetOutput"}
    return known.get(first) or last.rpartition("/")[2]


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
