"""The process that jobs are forked from: `python -P -m compete.execution.warm`.

Importing torch, transformers and peft takes seconds, a fork milliseconds. This process imports what a job needs before
it forks, once, and then does nothing else: it runs no thread, trains nothing, and touches no GPU, so that what is
forked is as good as new. It reads from the socket that is its standard input

    {"start": 3, "imports": [...], "environment": {...}}    with a socket of the job's own: fork, and do that job there
    {"kill": 3}                                             end it, with what it started itself

and tells {"ended": 3, "returncode": 0} when a job's process is over. It ends when the socket does.

multiprocessing's forkserver does much the same. It takes what to import once, its environment from the parent's, and
imports the parent's main module again in every process: a notebook's or script's own code would run as often as jobs.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from compete.execution import child

_MESSAGE = 65536
_DESCRIPTORS = 64


def main() -> None:
    # Asking whether there is a GPU must not open it: an opened one cannot be used after a fork.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    control = socket.socket(fileno=os.dup(0))
    # A job that reads its standard input finds it empty, and not the messages for this process.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    mine = _serve(control)
    if mine is not None:
        os._exit(_work(mine))


def _serve(control: socket.socket) -> int | None:
    """Fork jobs until the parent hangs up, which gives None; in a job's own process, the descriptor of its socket."""
    ended, wake = os.pipe()
    for descriptor in (ended, wake):
        os.set_blocking(descriptor, False)
    # The end of a job has to wake `select`; Python writes to `wake` only for signals that have a handler.
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    numbers: dict[int, int] = {}  # of jobs, by process
    # Messages may arrive in pieces or several at once; their sockets arrive in the same order.
    waiting, sockets = b"", list[int]()
    while True:
        ready, _, _ = select.select([control.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, _MESSAGE)
            _reap(control, numbers)
        if control.fileno() not in ready:
            continue
        content, received, _, _ = socket.recv_fds(control, _MESSAGE, _DESCRIPTORS)
        if not content:
            return None
        sockets += received
        *lines, waiting = (waiting + content).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "kill" in message:
                _kill(next((process for process, number in numbers.items() if number == message["kill"]), None))
                continue
            mine = sockets.pop(0)
            process = _fork(message)
            if process == 0:
                for descriptor in (control.detach(), ended, wake, *sockets):
                    os.close(descriptor)
                return mine
            os.close(mine)
            numbers[process] = message["start"]


def _work(requests: int) -> int:
    """Do the job; the exit code.

    The interpreter's own way to end would take every module apart, and copy each page that they lie on: half a second
    with torch.
    """
    code: object = 0
    try:
        child.work(requests, os.dup(requests))
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()  # folders for the time being are removed there
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1


def _fork(message: dict[str, Any]) -> int:
    """Import what the job needs and fork; 0 in the job's own process, which then is as if it had been started anew."""
    for name in [name for name in message["imports"] if name not in sys.modules]:
        with contextlib.suppress(Exception):  # what cannot be imported fails in the job itself, and is said there
            importlib.import_module(name)
        gc.collect()
        gc.freeze()  # what is there now stays out of collections, whose marks would copy every page it lies on
    process = os.fork()
    if process == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()  # a group of its own: it can be ended with all that it starts
        os.environ.update(message["environment"])
    return process


def _reap(control: socket.socket, numbers: dict[int, int]) -> None:
    for process in list(numbers):
        # WNOWAIT leaves it unreaped: its number cannot be another process's before the group is killed.
        if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            continue
        _kill(process)  # its group: a worker that the job forked would hold its answers open
        _, status = os.waitpid(process, 0)
        report = {"ended": numbers.pop(process), "returncode": os.waitstatus_to_exitcode(status)}
        with contextlib.suppress(OSError):  # the parent may be gone
            control.sendall(json.dumps(report).encode() + b"\n")


def _kill(process: int | None) -> None:
    if process is not None:
        for end in (os.killpg, os.kill):  # the second for one that has not made its group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
