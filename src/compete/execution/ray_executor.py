"""Jobs on a Ray cluster: each goes out as bytes and comes back as bytes, so that no file system has to be shared.

Ray is an optional extra, and imported by `connected` alone. A job whose node is lost, or whose process is killed, is
done again elsewhere; one that fails by itself is not.
"""

from __future__ import annotations

import contextlib
import importlib
import platform
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compete.errors import ClusterError, CompeteError
from compete.execution.deadline import Deadline
from compete.execution.jobs import Event, Failed, Finished, Job, Left, Progressed, Resources, Started

_AGAIN = 3  # times that a job is done again whose node or process was lost
_PATIENCE = 10.0  # seconds for an address to answer
_CONNECTING = 60.0
_HEALTH = (sys.executable, "-P", "-m", "ray.scripts.scripts", "health-check", "--address")
_ASKED_OFTEN = 0.3  # seconds between two looks at what has ended, and how far the rest is
_MIB = 2**20
_LOST, _FULL = "NodeLost", "NodeDiskFull"


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, and what of it jobs may take."""

    id: str
    address: str
    has: Resources

    def __str__(self) -> str:
        return f"{self.address} ({self.has.cpus} CPUs, {self.has.gpus} GPUs, {self.has.memory // _MIB:,} MiB)"


@dataclass(frozen=True)
class Cluster:
    """One that this process is connected to."""

    ray: Any
    address: str
    nodes: tuple[Node, ...]

    def at_once(self, cpus: int) -> int:
        """How many jobs of so many cores it does at the same time, GPUs and memory aside."""
        return max(1, sum(node.has.cpus // cpus for node in self.nodes))


@contextlib.contextmanager
def connected(address: str | None, versions: str) -> Iterator[tuple[Cluster, list[str]]]:
    """A cluster, and in which versions its nodes differ from this machine, in words.

    address: "host:port" of its head; None for the one that this machine is a node of. versions: "module:function",
    gives the versions that probabilities depend on by name. Raises ClusterError if there is no cluster, or one of
    another version of compete.
    """
    ray = _imported()
    _connect(ray, address)
    try:
        cluster = Cluster(ray, address or "this machine's cluster", _nodes(ray))
        yield cluster, _other_versions(cluster, versions)
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class RayExecutor:
    """Runs packed jobs on a cluster."""

    cluster: Cluster
    pack: Callable[[Job], bytes]
    store: Callable[[Job, bytes], Failed | None]
    """Puts what came back where it belongs; what failed there, if it did."""
    target: str
    """ "module:function", called on a node as function(packed, here, report); returns an error's class name and
    message, both empty if there was none, and what is stored."""
    here: str
    """Folder of this machine, for nodes that share its file system."""
    at_once: int
    gpus: int | None = None
    """Of every job, in place of what it says it needs."""

    def run(self, jobs: Sequence[Job], deadline: Deadline | None = None) -> Generator[Event, None, None]:
        ray = self.cluster.ray
        needs = {job.name: self._needs(job) for job in jobs}
        for job in jobs:
            self._refuse_too_large(job, needs[job.name])
        mailbox = _mailbox(ray)
        waiting, sent = deque(_Sent(job) for job in jobs), dict[Any, _Sent]()
        try:
            while waiting or sent:
                if deadline is not None and not deadline.left():
                    yield from (Left(one.job) for one in [*sent.values(), *waiting])
                    return
                while waiting and len(sent) < self.at_once:
                    next_one = waiting.popleft()
                    if deadline is not None and not deadline.leaves_time_for(next_one.job):
                        yield Left(next_one.job)
                        continue
                    sent[self._send(next_one.job, needs[next_one.job.name], mailbox)] = next_one
                if not sent:
                    continue
                ended, _ = ray.wait(list(sent), num_returns=1, timeout=_ASKED_OFTEN)
                yield from _told(ray, mailbox, sent.values())
                for reference in ended:
                    one = sent.pop(reference)
                    outcome = self._outcome(one, reference)
                    if _was_lost(outcome) and one.again < _AGAIN:
                        waiting.append(_Sent(one.job, one.again + 1, one.started))
                        continue
                    if not one.started:
                        yield Started(one.job)
                    yield outcome
        finally:
            for reference in sent:
                with contextlib.suppress(Exception):  # it ended meanwhile, or its node is gone
                    ray.cancel(reference, force=True)
            ray.kill(mailbox)

    def _send(self, job: Job, needs: Resources, mailbox: Any) -> Any:
        # What is lost is sent again from here, where it can be counted; Ray itself would do so in silence.
        task = self.cluster.ray.remote(_do).options(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory or None,
            max_retries=0,
            scheduling_strategy="SPREAD",
            name=job.name,
        )
        return task.remote(self.target, self.pack(job), self.here, mailbox, job.name)

    def _outcome(self, one: _Sent, reference: Any) -> Finished | Failed:
        ray, job = self.cluster.ray, one.job
        try:
            error, message, content = ray.get(reference)
        except ray.exceptions.RayTaskError as raised:
            cause = raised.cause or raised
            return Failed(job, type(cause).__name__, str(cause))
        except ray.exceptions.RayError as lost:
            return Failed(job, _LOST, f"the node that did it was lost ({type(lost).__name__}), {one.again + 1} times")
        if not content:
            # Not what ends everything: another node's disk may have room.
            return Failed(job, _FULL if error == "DiskFullError" else error, message)
        try:
            failed = self.store(job, content)
        except CompeteError as refused:
            return Failed(job, type(refused).__name__, str(refused))
        return failed or Finished(job, time.monotonic() - one.since)

    def _needs(self, job: Job) -> Resources:
        gpus = job.needs.gpus if self.gpus is None else self.gpus
        if job.all_gpus and gpus:
            gpus = max(gpus, *(node.has.gpus for node in self.cluster.nodes))
        # Memory is an estimate: where no node has so much, the one with most may try.
        most = max(node.has.memory for node in self.cluster.nodes)
        return Resources(gpus, job.needs.cpus, min(job.needs.memory, most))

    def _refuse_too_large(self, job: Job, needs: Resources) -> None:
        for node in self.cluster.nodes:
            if needs.gpus <= node.has.gpus and needs.cpus <= node.has.cpus and needs.memory <= node.has.memory:
                return
        ray = self.cluster.ray
        free = {name: amount for name, amount in ray.available_resources().items() if name in ("CPU", "GPU")}
        raise ClusterError(
            f"{job.name} needs {needs.cpus} CPUs, {needs.gpus} GPUs and {needs.memory // _MIB:,} MiB of memory, and no "
            f"node of the cluster has them: {', '.join(map(str, self.cluster.nodes))}; free at the moment: "
            f"{free.get('CPU', 0):g} CPUs, {free.get('GPU', 0):g} GPUs. gpus = 0 under [execution] in competition.toml "
            "trains on processors, --threads takes fewer CPUs."
        )


@dataclass
class _Sent:
    """A job on its way."""

    job: Job
    again: int = 0
    started: bool = False
    since: float = 0.0

    def __post_init__(self) -> None:
        self.since = time.monotonic()


def _was_lost(outcome: Finished | Failed) -> bool:
    """Whether a machine or a process went, and not the job itself: signals are killed processes."""
    if isinstance(outcome, Finished):
        return False
    return outcome.error in (_LOST, _FULL, "ProcessDied") or outcome.error.startswith("SIG")


def _told(ray: Any, mailbox: Any, sent: Any) -> Iterator[Event]:
    """What nodes told since the last look."""
    by_name = {one.job.name: one for one in sent}
    for name, fraction, doing in ray.get(mailbox.take.remote()):
        one = by_name.get(name)
        if one is not None and not one.started:
            one.started, one.since = True, time.monotonic()
            yield Started(one.job)
        elif one is not None:
            yield Progressed(one.job, fraction, doing)


class _Mailbox:
    """Where nodes tell how far they are; lives on the node of whoever sent the jobs."""

    def __init__(self) -> None:
        self.told = list[tuple[str, float, str]]()

    def tell(self, name: str, fraction: float, doing: str) -> None:
        self.told.append((name, fraction, doing))

    def take(self) -> list[tuple[str, float, str]]:
        told, self.told = self.told, []
        return told


def _mailbox(ray: Any) -> Any:
    here = ray.get_runtime_context().get_node_id()
    return ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=_only_on(ray, here)).remote()


def _only_on(ray: Any, node: str) -> Any:
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)


def _do(target: str, packed: bytes, here: str, mailbox: Any, name: str) -> tuple[str, str, bytes]:
    """On a node: one job."""

    def report(fraction: float, doing: str = "") -> None:
        mailbox.tell.remote(name, fraction, doing)

    report(0.0)
    error, message, content = _function(target)(packed, here, report)
    return error, message if content else f"{message} (on the node {platform.node()})", content


def _ask(target: str) -> Any:
    """On a node: what a function without arguments says there."""
    return _function(target)()


def _function(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _imported() -> Any:
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.util.scheduling_strategies")
    except ImportError:
        raise ClusterError("Ray is not installed here: `pip install 'compete[ray]'`") from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    why = "" if address is None else _silence_of(address)
    if not why:
        try:
            ray.init(address=address or "auto", logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            why = str(error).strip().splitlines()[0]
        else:
            return
    where = "on this machine" if address is None else f"at {address}"
    raise ClusterError(
        f"no Ray cluster can be used {where} ({why}). `ray start --head` begins one, `ray start --address=HOST:PORT` "
        "on another machine joins it; address under [execution] in competition.toml, or --address, says where it is."
    )


def _silence_of(address: str) -> str:
    """Why nobody answers there; empty if somebody does. Ray itself would go on trying for minutes."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit():
        return "an address is HOST:PORT"
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
        subprocess.run([*_HEALTH, address], capture_output=True, timeout=_PATIENCE, check=True)
    except (OSError, OverflowError) as error:
        return str(error)
    except subprocess.SubprocessError:
        return "something else than Ray listens there, or it does not answer"
    return ""


def _nodes(ray: Any) -> tuple[Node, ...]:
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            resources = Resources(int(has.get("GPU", 0)), int(has.get("CPU", 0)), int(has.get("memory", 0)))
            found.append(Node(node["NodeID"], node["NodeManagerAddress"], resources))
    return tuple(found)


def _gone(ray: Any) -> tuple[type[Exception], ...]:
    """What is raised for a node or a process of it that is not there any more."""
    found = ray.exceptions
    return (found.NodeDiedError, found.WorkerCrashedError, found.TaskUnschedulableError, found.LocalRayletDiedError)


def _other_versions(cluster: Cluster, versions: str) -> list[str]:
    """Raises ClusterError for nodes without compete, or with another one; says what else differs."""
    ray, mine, differing = cluster.ray, _function(versions)(), []
    asked = {
        node: ray.remote(_ask).options(num_cpus=0, scheduling_strategy=_only_on(ray, node.id)).remote(versions)
        for node in cluster.nodes
    }
    for node, reference in asked.items():
        try:
            theirs: Mapping[str, str] = ray.get(reference, timeout=_CONNECTING)
        except _gone(ray):  # a moment ago, perhaps: Ray notices after some seconds
            differing.append(f"the node {node.address} does not answer, and is done without")
            continue
        except ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise ClusterError(f"the node {node.address} cannot run compete: {why}. Install it there.") from None
        if theirs["compete"] != mine["compete"]:
            raise ClusterError(
                f"the node {node.address} has compete {theirs['compete']}, this machine {mine['compete']}: install the "
                "same version everywhere"
            )
        differing += [
            f"the node {node.address} has {name} {theirs.get(name)}, this machine {version}: probabilities may differ "
            "in their last digits"
            for name, version in mine.items()
            if theirs.get(name) != version
        ]
    return differing
