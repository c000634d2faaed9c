"""A process that ships in forks of itself and kills them: `python -m support.ship_driver WORKSPACE`.

As `support.kaggle_driver`, with the same orders and answers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from compete.competition.workspace import Workspace
from compete.workflows.ship import ship
from support.kaggle_driver import watch
from support.shipped import short_waits


def main() -> None:
    workspace = Workspace(Path(sys.argv[1]).resolve())
    short_waits()
    for line in sys.stdin:
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            _ship(workspace, json.loads(line)["kill_at"], writer)
        os.close(writer)
        print(process, flush=True)
        with os.fdopen(reader, encoding="utf-8") as pipe:
            steps = pipe.read().splitlines()
        _, status = os.waitpid(process, 0)
        print(json.dumps({"killed": os.WIFSIGNALED(status), "steps": len(steps), "last": steps[-1:]}), flush=True)


def _ship(workspace: Workspace, kill_at: int, writer: int) -> None:
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
        ship(workspace, yes=True)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
