"""A process that submits in forks of itself and kills them with SIGKILL: `python -m support.kaggle_driver WORKSPACE`.

It has loaded everything once, so that a point to die at costs a fork. An order is a line of JSON on standard input,
{"kill_at": N}: the fork dies at its N-th step, never if N is 0. The answers are the fork's process id, as soon as there
is one, and, when it has ended, {"killed", "steps", "last"}.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compete.submissions.kaggle import kaggle_leaderboard as kaggle
from compete.submissions.kaggle.client import KaggleClient
from compete.submissions.kaggle.kaggle_leaderboard import KaggleLeaderboard
from support.kaggle_toy import SLUG, Submitter

# What changes a file, starts a process or ends one; sqlite's own writes are invisible, its statements are not.
EVENTS = ("os.rename", "os.remove", "os.mkdir", "subprocess.Popen", "sqlite3.connect")


def main() -> None:
    submitter = Submitter.open(Path(sys.argv[1]))
    kaggle.SETTLED, kaggle._BETWEEN_LOOKS = 0.05, 0.02
    for line in sys.stdin:
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            _submit(submitter, json.loads(line)["kill_at"], writer)
        os.close(writer)
        print(process, flush=True)
        with os.fdopen(reader, encoding="utf-8") as pipe:
            steps = pipe.read().splitlines()
        _, status = os.waitpid(process, 0)
        print(json.dumps({"killed": os.WIFSIGNALED(status), "steps": len(steps), "last": steps[-1:]}), flush=True)


def _submit(submitter: Submitter, kill_at: int, writer: int) -> None:
    """Runs in the fork and never returns."""
    taken = 0

    def step(what: str) -> None:
        nonlocal taken
        taken += 1
        os.write(writer, f"{what}\n".encode())
        if taken == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(step)
    try:
        submitter.run(KaggleLeaderboard(KaggleClient(SLUG), "f1_macro"))
    finally:
        os._exit(0)


def watch(step: Callable[[str], None]) -> None:
    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in EVENTS:
            step(f"{event} {str(arguments[0])[-40:]}")

    def statement(text: str) -> None:
        first = text.split()[:1]
        if first not in (["PRAGMA"], ["SELECT"], []) or "user_version =" in text:  # what only reads leaves no trace
            step(" ".join(text.split())[:40])

    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database: sqlite3.Connection = connect(*arguments, **options)
        database.set_trace_callback(statement)
        return database

    sqlite3.connect = watched  # type: ignore[assignment]
    sys.addaudithook(audit)


if __name__ == "__main__":
    main()
