"""The process that runs one job: `python -P -m compete.execution.child`.

It reads the job from its first line of input and answers with lines of JSON on its output. Whatever the job
itself prints goes to the job's log. When its input ends, the parent is gone (killed, perhaps), and the child
ends too, so that no orphan goes on writing into the workspace.
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


def main() -> None:
    request = json.loads(sys.stdin.readline())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    _redirect_output(Path(request["log"]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        call_target(request["target"], request["payload"], lambda fraction: _answer(answers, progress=fraction))
    except Exception as error:  # the parent decides what a failure means
        _answer(answers, failed=type(error).__name__, message=str(error))
        traceback.print_exc()  # into the log, which may be on a full disk
    else:
        _answer(answers, finished=True)


def _answer(answers: TextIO, **content: object) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _redirect_output(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    sys.stdout.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _end_with_parent() -> None:
    # The descriptor itself, not sys.stdin: a buffered reader's lock would trouble the interpreter's exit.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
