"""Jobs on this machine: a process each, several at once, each with its share of the cores."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from compete.environments import for_jobs
from compete.execution.deadline import Deadline
from compete.execution.devices import ask_driver
from compete.execution.jobs import Event, Failed, Finished, Job, Left, Progressed, Started
from compete.execution.processes import Process, Processes, processes
from compete.progress import Progress

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
    return ask_driver("index")  # one that does not answer: torch will not find a GPU either


@dataclass
class LocalExecutor:
    """`workers` processes at once, each told to use `threads` threads."""

    workers: int
    threads: int
    """Never depends on how many jobs are left: sums in another order give other last bits, and a resumed run must give
    the bytes of an uninterrupted one."""
    gpus: tuple[str, ...] = ()
    """As CUDA_VISIBLE_DEVICES names them; every job sees one of them alone, in turn, so that two jobs share one only
    where there are more workers than GPUs. A job that says `all_gpus` waits until it has them all."""

    def run(self, jobs: Sequence[Job], deadline: Deadline | None = None) -> Generator[Event, None, None]:
        children = _Children(processes({**for_jobs(os.environ), **self._environment()}))
        gpus = _Gpus(self.gpus, self.workers)
        events: queue.Queue[Event | None] = queue.Queue()  # None: a job is over, whatever became of it
        # The pool is left first: no thread waits for a process any more when their source is closed.
        with contextlib.closing(children.processes), ThreadPoolExecutor(self.workers) as pool:
            for job in jobs:
                pool.submit(self._run_one, job, events, children, gpus, deadline)
            try:
                ended = 0
                while ended < len(jobs):
                    try:
                        event = events.get(timeout=_until(deadline, children))
                    except queue.Empty:  # the time is over: who still runs is left
                        children.stop()
                        gpus.stop()
                        continue
                    if event is None:
                        ended += 1
                    else:
                        yield event
            finally:
                children.stop()
                gpus.stop()

    def _run_one(
        self,
        job: Job,
        events: queue.Queue[Event | None],
        children: _Children,
        gpus: _Gpus,
        deadline: Deadline | None,
    ) -> None:
        seen = gpus.take(job)
        try:
            in_time = deadline is None or deadline.leaves_time_for(job)
            events.put(self._run_steps(job, events, children, seen) if in_time else Left(job))
        except Exception as error:  # whatever goes wrong in this thread is this job's failure alone
            events.put(Failed(job, type(error).__name__, f"the job's process could not be run: {error}"))
        finally:
            gpus.give_back(seen)
            events.put(None)

    def _run_steps(
        self, job: Job, events: queue.Queue[Event | None], children: _Children, gpus: Sequence[str]
    ) -> Finished | Failed | Left:
        """The job, then what comes after it, each in a process of its own; the first failure ends it."""
        start = time.monotonic()
        step: Job | None = job
        while step is not None:
            visible = {"CUDA_VISIBLE_DEVICES": ",".join(dict.fromkeys(gpus))} if gpus else {}
            child = children.start(visible, step.imports)
            if child is None:
                return Left(job)
            if step is job:
                events.put(Started(job))
            request = {"target": step.target, "payload": step.payload, "log": str(job.log), "goes_on": step is not job}
            outcome = _converse(child, request, lambda fraction, doing: events.put(Progressed(job, fraction, doing)))
            if outcome is None:
                died = child.wait()
                return Left(job) if children.stopped else Failed(job, *_died(died))
            if "failed" in outcome:
                return Failed(job, outcome["failed"], outcome["message"])
            step = step.afterwards
        return Finished(job, time.monotonic() - start)

    def _environment(self) -> dict[str, str]:
        # A fixed hash seed: iteration over a set in somebody's family must not change between runs.
        fixed = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false", "PYTHONSAFEPATH": "1"}
        return {**fixed, **_allocator(), **dict.fromkeys(_THREAD_VARIABLES, str(self.threads))}


def _until(deadline: Deadline | None, children: _Children) -> float | None:
    """How long to wait for the next event; for ever once everything has been stopped, since then all ends at once."""
    return None if deadline is None or children.stopped else deadline.left()


def _allocator() -> dict[str, str]:
    """Batches of ever other lengths leave a GPU's memory in pieces, unless these can grow; a user's own word counts."""
    if any(name in os.environ for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")):
        return {}
    return {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}


class _Gpus:
    """Whose turn it is on which GPU: first come, first served, so that who waits for all is not overtaken for ever."""

    def __init__(self, ids: Sequence[str], workers: int) -> None:
        # Each as often as jobs have to share it.
        self._free = [*ids] * math.ceil(workers / len(ids)) if ids else []
        self._all = len(self._free)
        self._first = threading.Lock()
        self._changed = threading.Condition()
        self._stopped = False

    def take(self, job: Job) -> list[str]:
        """One GPU, or all; none where the machine has none."""
        count = self._all if job.all_gpus else min(1, self._all)
        with self._first, self._changed:
            self._changed.wait_for(lambda: len(self._free) >= count or self._stopped)
            taken, self._free = self._free[:count], self._free[count:]
        return taken

    def give_back(self, taken: Sequence[str]) -> None:
        with self._changed:
            self._free += taken
            self._changed.notify_all()

    def stop(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


@dataclass
class _Children:
    """The processes of one run; after `stop` none is left, and none can be started."""

    processes: Processes
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: list[Process] = field(default_factory=list)
    stopped: bool = False

    def start(self, environment: Mapping[str, str], imports: Sequence[str]) -> Process | None:
        with self.lock:
            if self.stopped:
                return None
            child = self.processes.start(environment, imports)
            self.running.append(child)
        return child

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            for child in self.running:
                child.kill()


def _converse(child: Process, request: Mapping[str, Any], progress: Progress) -> dict[str, Any] | None:
    """Hand the job over and pass its progress on; the child's last word, or None if it died without one."""
    outcome = None
    # `requests` stays open until the last answer: when it ends, the child takes its parent for dead.
    with child.answers, contextlib.suppress(BrokenPipeError, ConnectionResetError), child.requests:
        child.requests.write(json.dumps(request) + "\n")
        child.requests.flush()
        for line in child.answers:
            answer = json.loads(line)
            if "progress" in answer:
                progress(float(answer["progress"]), str(answer["doing"]))
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
