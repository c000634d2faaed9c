"""What a job's process does: `python -P -m compete.execution.child`, or a fork of `warm`.

It reads the job from its first line of input and answers with lines of JSON. Whatever the job itself prints goes to
the job's log. When its input ends, the parent is gone (killed, perhaps), and the process ends too, so that no orphan
goes on writing into the workspace.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import TextIO

from compete.execution.jobs import call_target
from compete.printable import printable


def main() -> None:
    # Descriptor 1 becomes the log's, for whatever the job prints.
    answers = os.dup(1)
    work(sys.stdin.fileno(), answers)


def work(requests: int, answers: int) -> None:
    """Do the one job that is read from the descriptor `requests`; progress and outcome are written to `answers`."""
    request = json.loads(_first_line(requests))
    to_parent = os.fdopen(answers, "w", encoding="utf-8")
    _redirect_output(Path(request["log"]), os.O_APPEND if request["goes_on"] else os.O_TRUNC)
    threading.Thread(target=_end_with_parent, args=(requests,), daemon=True).start()

    def report(fraction: float, doing: str = "") -> None:
        _answer(to_parent, progress=fraction, doing=doing)

    try:
        call_target(request["target"], request["payload"], report)
    except Exception as error:  # the parent decides what a failure means
        _answer(to_parent, failed=type(error).__name__, message=str(error))
        sys.stderr.write(printable(traceback.format_exc()))  # into the log, which may be on a full disk
    else:
        _answer(to_parent, finished=True)


def _first_line(descriptor: int) -> bytes:
    # Of the descriptor itself, not of a buffered reader: its lock would trouble the interpreter's exit.
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(descriptor, 65536)
        if not part:
            os._exit(1)  # the parent is gone before it said what to do
        line += part
    return line


def _answer(answers: TextIO, **content: object) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _redirect_output(log: Path, how: int) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    # Not for all: a traceback may quote texts and paths. And where somebody laid a link, nothing is written through it.
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | how | getattr(os, "O_NOFOLLOW", 0), 0o640)
    sys.stdout.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _end_with_parent(requests: int) -> None:
    while os.read(requests, 4096):
        pass
    os._exit(1)  # sys.exit would end this thread alone


if __name__ == "__main__":
    main()
