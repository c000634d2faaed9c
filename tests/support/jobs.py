"""Jobs of the local executor: what they do, and how one waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from compete.execution.jobs import Event, Job
from compete.execution.local import LocalExecutor

# The children import it by name. No job outlives a failed test by long: `beat` ends after 1000.
TARGETS = '''
import json, os, signal, sys, time
from pathlib import Path


def write(payload, report):
    with Path(payload["file"]).open("a") as file:
        file.write(payload["content"])


def tell_gpus(payload, report):
    Path(payload["file"]).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    time.sleep(0.5)


def raise_error(payload, report):
    raise ValueError("fold 3 has no rows")


def leave(payload, report):
    os._exit(3)


def leave_politely(payload, report):
    sys.exit("enough")


def be_killed(payload, report):
    os.kill(os.getpid(), signal.SIGKILL)


def steps(payload, report):
    report(0.25)
    report(0.5, "loss 0.31, é")
    report(1.0)


def chatter(payload, report):
    print("printed: é")
    print("an error", file=sys.stderr)
    os.system("echo from a child of the child")
    print('{"finished": true}')


def environment(payload, report):
    Path(payload["file"]).write_text(json.dumps(dict(os.environ)))


def ids(payload, report):
    print("in", os.getpid())
    Path(payload["file"]).write_text(json.dumps({"process": os.getpid(), "parent": os.getppid()}))


def span(payload, report):
    start = time.monotonic()
    time.sleep(0.2)
    Path(payload["file"]).write_text(json.dumps([start, time.monotonic()]))


def meet(payload, report):
    """Ends when the other job is there too."""
    Path(payload["mine"]).touch()
    for _ in range(1000):
        if Path(payload["other"]).exists():
            return
        time.sleep(0.02)
    raise TimeoutError


def leave_a_worker_behind(payload, report):
    if os.fork() == 0:
        beat(payload, report)
    time.sleep(0.2)
    os._exit(3)


def beat(payload, report):
    for _ in range(1000):
        write({"file": payload["file"], "content": "x"}, report)
        time.sleep(0.02)
'''
MakeJob = Callable[..., Job]


def run(jobs: list[Job], workers: int = 2, threads: int = 1) -> list[Event]:
    return list(LocalExecutor(workers, threads).run(jobs))


def names(events: list[Event], kind: type[Event]) -> list[str]:
    return [event.job.name for event in events if isinstance(event, kind)]


def is_still(heart: Path) -> bool:
    """Whether nobody writes to the file any more, over a time of many beats."""
    size = heart.stat().st_size
    time.sleep(0.4)
    return heart.stat().st_size == size


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
