"""Processes for jobs: forked from a warm one where that is safe, started anew elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

# -P: a file beside competition.toml that is called like a library is not imported in its place.
_PYTHON = (sys.executable, "-P", "-m")
_PATIENCE = 2.0  # seconds for what was killed to end
_KILLED = -9  # exit code of what SIGKILL ended; Windows has no such name


class Process(Protocol):
    """A process that does one job."""

    requests: IO[str]
    """Where it is told which; when this ends, so does the process."""
    answers: IO[str]
    """Lines of JSON."""

    def wait(self) -> int:
        """Its exit code when it has ended, negative for the signal that ended it."""
        ...

    def kill(self) -> None:
        """End it, with what it started itself; nothing happens if it has ended."""
        ...


class Processes(Protocol):
    """Where the processes of one run come from."""

    def start(self, environment: Mapping[str, str], imports: Sequence[str]) -> Process:
        """A new one; `environment` is added to that of the run. imports: modules that its job is going to need."""
        ...

    def close(self) -> None:
        """When no process is running any more."""
        ...


def processes(environment: Mapping[str, str]) -> Processes:
    """Forked where that is safe. On macOS the system's own libraries do not survive a fork; Windows has none."""
    return Forked(environment) if sys.platform == "linux" else Spawned(environment)


class Spawned:
    """Every process is an interpreter of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def start(self, environment: Mapping[str, str], imports: Sequence[str]) -> Process:
        child = subprocess.Popen(
            [*_PYTHON, "compete.execution.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**self.environment, **environment},
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C goes to the parent alone, which then ends its children
        )
        threading.Thread(target=_end_group, args=(child,), daemon=True).start()
        assert child.stdin is not None and child.stdout is not None
        return _SpawnedProcess(child, child.stdin, child.stdout)

    def close(self) -> None:
        pass


@dataclass
class _SpawnedProcess:
    child: subprocess.Popen[str]
    requests: IO[str]
    answers: IO[str]

    def wait(self) -> int:
        return self.child.wait()

    def kill(self) -> None:
        if self.child.poll() is None:
            self.child.kill()  # _end_group ends what it started


def _end_group(child: subprocess.Popen[str]) -> None:
    """When a child has ended, end what it started itself: a forked worker would hold its output open."""
    child.wait()
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


class Forked:
    """Every process is forked from one that has imported what it needs (`compete.execution.warm`)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            self.warm = subprocess.Popen(
                [*_PYTHON, "compete.execution.warm"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                start_new_session=True,
            )
        self.lock = threading.Lock()
        self.started: list[_ForkedProcess] = []
        threading.Thread(target=self._hear_of_ends, daemon=True).start()

    def start(self, environment: Mapping[str, str], imports: Sequence[str]) -> Process:
        mine, theirs = socket.socketpair()
        with theirs, self.lock:
            number = len(self.started)
            message = {"start": number, "imports": list(imports), "environment": dict(environment)}
            process = _ForkedProcess(
                mine,
                mine.makefile("w", encoding="utf-8"),
                mine.makefile("r", encoding="utf-8"),
                lambda: self._tell({"kill": number}),  # a process that is reaped elsewhere is killed there, too
            )
            self.started.append(process)
            # The message takes part of the buffer at most: the whole of it is sent at once.
            try:
                socket.send_fds(self.control, [_line(message)], [theirs.fileno()])
            except OSError:  # the warm process is gone: this one has ended before it began
                process.lose()
        return process

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has ended by itself
            self.control.shutdown(socket.SHUT_RDWR)
        try:
            self.warm.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # in the middle of an import
            self.warm.kill()
            self.warm.wait()
        self.control.close()

    def _tell(self, message: Mapping[str, object]) -> None:
        with self.lock, contextlib.suppress(OSError):  # it has ended, and its jobs with it
            self.control.sendall(_line(message))

    def _hear_of_ends(self) -> None:
        with self.control.makefile("r", encoding="utf-8") as reports, contextlib.suppress(OSError, ValueError):
            for line in reports:
                report = json.loads(line)
                self.started[report["ended"]].has_ended(report["returncode"])
        for process in list(self.started):  # the warm process is gone, and nobody else could end what it forked
            process.lose()


@dataclass
class _ForkedProcess:
    socket: socket.socket
    requests: IO[str]
    answers: IO[str]
    tell_kill: Callable[[], None]
    over: threading.Event = field(default_factory=threading.Event)
    killed: bool = False
    returncode: int = _KILLED

    def wait(self) -> int:
        self.over.wait(_PATIENCE if self.killed else None)
        return self.returncode

    def kill(self) -> None:
        self.killed = True
        self.tell_kill()
        self._hang_up()  # one that is not forked yet, for an import takes its time, need not be waited for

    def has_ended(self, returncode: int) -> None:
        if not self.over.is_set():
            self.returncode = returncode
            self.over.set()
            self.socket.close()  # the two files hold it open as long as they are read

    def lose(self) -> None:
        """Nobody tells any more when it ends: its input ends, and so does it."""
        self._hang_up()
        self.has_ended(_KILLED)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):  # it is over already
            self.socket.shutdown(socket.SHUT_RDWR)


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"
