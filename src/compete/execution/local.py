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

    def run(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        children = _Children()
        events: queue.Queue[Event | None] = queue.Queue()
        with ThreadPoolExecutor(self.workers) as pool:
            for job in jobs:
                pool.submit(self._run_one, job, events, children)
            try:
                ended = 0
                while ended < len(jobs):
                    event = events.get()
                    if event is None:
                        ended += 1
                    else:
                        yield event
            finally:
                children.stop()

    def _run_one(self, job: Job, events: queue.Queue[Event | None], children: _Children) -> None:
        try:
            start = time.monotonic()
            child = children.start(self._environment())
            if child is None:
                return
            events.put(Started(job))
            outcome = _converse(child, job, events)
            if outcome is None:
                events.put(Failed(job, *_died(child.returncode)))
            elif "failed" in outcome:
                events.put(Failed(job, outcome["failed"], outcome["message"]))
            else:
                events.put(Finished(job, time.monotonic() - start))
        except Exception as error:  # whatever goes wrong in this thread is this job's failure alone
            events.put(Failed(job, type(error).__name__, f"the job's process could not be run: {error}"))
        finally:
            events.put(None)

    def _environment(self) -> dict[str, str]:
        # A fixed hash seed: iteration over a set in somebody's family must not change between runs.
        fixed = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}
        return {**os.environ, **fixed, **dict.fromkeys(_THREAD_VARIABLES, str(self.threads))}


@dataclass
class _Children:
    """The processes of one run; after `stop` none is left, and none can be started."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    stopped: bool = False

    def start(self, environment: dict[str, str]) -> subprocess.Popen[str] | None:
        with self.lock:
            if self.stopped:
                return None
            child = subprocess.Popen(
                [sys.executable, "-m", "compete.execution.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C goes to the parent alone, which then ends its children
            )
            self.running.append(child)
        threading.Thread(target=_reap, args=(child,), daemon=True).start()
        return child

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            for child in self.running:
                if child.poll() is None:
                    child.kill()  # _reap ends what it started


def _reap(child: subprocess.Popen[str]) -> None:
    """When a child has ended, end what it started itself: a forked worker would hold its output open."""
    child.wait()
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


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
