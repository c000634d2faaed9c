"""Jobs on this machine: a process each, several at once, each with its share of the cores."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
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


def gpu_ids() -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them; asks the driver's own command, not torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(part.strip() for part in visible.split(",") if part.strip() not in ("", "-1"))
    if shutil.which("nvidia-smi") is None:
        return ()
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()  # a driver that does not answer: torch will not find a GPU either
    return tuple(found.stdout.split())


@dataclass
class LocalExecutor:
    """`workers` processes at once, each told to use `threads` threads.

    gpus: as CUDA_VISIBLE_DEVICES names them; every job sees one of them alone, in turn, so that two jobs share one only
    where there are more workers than GPUs. A job whose payload says `"spread": true` sees them all.

    The number of threads never depends on how many jobs are left: sums in another order give other last
    bits, and a resumed run must give the bytes of an uninterrupted one.
    """

    workers: int
    threads: int
    gpus: tuple[str, ...] = ()

    def run(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        children = _Children()
        slots: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(self.workers):
            slots.put(slot)
        events: queue.Queue[Event | None] = queue.Queue()
        with ThreadPoolExecutor(self.workers) as pool:
            for job in jobs:
                pool.submit(self._run_one, job, events, children, slots)
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

    def _run_one(
        self, job: Job, events: queue.Queue[Event | None], children: _Children, slots: queue.SimpleQueue[int]
    ) -> None:
        slot = slots.get()  # never waits: there are as many as threads in the pool
        try:
            start = time.monotonic()
            child = children.start(self._environment(job, slot))
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
            slots.put(slot)
            events.put(None)

    def _environment(self, job: Job, slot: int) -> dict[str, str]:
        # A fixed hash seed: iteration over a set in somebody's family must not change between runs.
        fixed = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false", "PYTHONSAFEPATH": "1"}
        if self.gpus and not job.payload.get("spread", False):
            fixed["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
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
                # -P: a file beside competition.toml that is called like a library is not imported in its place.
                [sys.executable, "-P", "-m", "compete.execution.child"],
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
