"""Jobs on this machine: a process each, several at once, each with its share of the cores."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from compete.execution.jobs import Event, Failed, Finished, Job, Progressed, Started

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def usable_cores() -> int:
    """Cores this process may run on, which a container or batch system can make fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass
class LocalExecutor:
    """`workers` processes at once, each told to use `threads` threads.

    The number of threads never depends on how many jobs are left: sums in another order give other last
    bits, and a resumed run must give the bytes of an uninterrupted one.
    """

    workers: int
    threads: int
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        events: queue.Queue[Event | None] = queue.Queue()
        with ThreadPoolExecutor(self.workers) as pool:
            for job in jobs:
                pool.submit(self._run_one, job, events)
            try:
                ended = 0
                while ended < len(jobs):
                    event = events.get()
                    if event is None:
                        ended += 1
                    else:
                        yield event
            finally:
                self._stop()

    def _run_one(self, job: Job, events: queue.Queue[Event | None]) -> None:
        try:
            if not self._stopping.is_set():
                self._watch(job, events)
        except OSError as error:
            events.put(Failed(job, type(error).__name__, f"the job's process could not be started: {error}"))
        finally:
            events.put(None)

    def _watch(self, job: Job, events: queue.Queue[Event | None]) -> None:
        start = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "compete.execution.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C goes to the parent alone, which then ends its children
        )
        self._running.add(child)
        try:
            events.put(Started(job))
            outcome = _converse(child, job, events)
        finally:
            self._running.discard(child)
        if outcome is None:
            events.put(Failed(job, *_died(child.returncode)))
        elif "failed" in outcome:
            events.put(Failed(job, outcome["failed"], outcome["message"]))
        else:
            events.put(Finished(job, time.monotonic() - start))

    def _environment(self) -> dict[str, str]:
        # A fixed hash seed: iteration over a set in somebody's family must not change between runs.
        fixed = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}
        return {**os.environ, **fixed, **dict.fromkeys(_THREAD_VARIABLES, str(self.threads))}

    def _stop(self) -> None:
        self._stopping.set()
        for child in list(self._running):
            child.kill()


def _converse(child: subprocess.Popen[str], job: Job, events: queue.Queue[Event | None]) -> dict[str, Any] | None:
    """Hand the job over and pass its progress on; the child's last word, or None if it died without one."""
    assert child.stdin is not None and child.stdout is not None
    outcome = None
    with child.stdout, contextlib.suppress(BrokenPipeError), child.stdin:
        request = {"target": job.target, "payload": job.payload, "log": str(job.log)}
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
        for line in child.stdout:
            answer = json.loads(line)
            if "progress" in answer:
                events.put(Progressed(job, float(answer["progress"])))
            else:
                outcome = answer
    child.wait()
    return outcome


def _died(returncode: int) -> tuple[str, str]:
    if returncode >= 0:
        return "ProcessDied", f"the job's process ended without a result (exit code {returncode})"
    name = signal.Signals(-returncode).name
    hint = ": the system was probably out of memory; fewer --workers need less" if name == "SIGKILL" else ""
    return name, f"the job's process was killed by {name}{hint}"
