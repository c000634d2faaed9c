"""The log of a workspace: a line for every run of a command that made or sent something, append-only.

log.jsonl holds a JSON object per line, written whole, flushed to the disk, under a lock of its own. A run killed
in the middle of a line leaves a torn one: the next begins on a line of its own, and whoever reads passes the torn one
over and says so. What a model was made of (its identity, names and values) is part of its line, so that what changed
since its last run is told by the log alone. Nothing in it is secret, or a path of a machine: identities have neither.

Every command that trains, stacks, tunes, studies or submits calls `note_runs` when it has ended; those that only look
write nothing. A log that cannot be written is said, and fails nothing.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from compete.competition.workspace import Workspace
from compete.errors import StoreError, UserError
from compete.fingerprints import differences
from compete.oof.honest_scores import Score
from compete.stored_json import MOST_BYTES, parsed_json

_VERSION = 1
MOST_LINE = 2**20
# A command that holds the lock holds it for milliseconds; one that was stopped in them keeps no other waiting.
_LONGEST_WAIT = 10.0


@dataclass(frozen=True)
class Run:
    """What one run of a command made of one model, stack or submission."""

    command: str
    """As it is typed: "train-base", "stack", "submit", "tune", ..."""
    kind: str
    """Of what was made: "base model", "stack", "submission", or what else a command makes."""
    name: str
    """Of the model or stack; of a submission, of what was sent."""
    ended: str = "done"
    """"done", "failed" or "stopped"."""
    metric: str = ""
    honest: float | None = None
    """The honest score; then its 95 % interval, and the naive score. None where nothing is whole yet."""
    low: float | None = None
    high: float | None = None
    naive: float | None = None
    public: float | None = None
    """Of a submission, where it was known at once."""
    seconds: float | None = None
    """That were spent on it in this run, over all its jobs."""
    number: int | None = None
    """Of a submission."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """What it was made of, by name."""
    note: str = ""
    """What else is to be known, in words."""
    when: str = ""
    """When it had ended: ISO 8601, UTC; written by `note_runs`."""

    def scored(self, score: Score | None) -> Run:
        """The same with a score."""
        if score is None:
            return self
        return replace(
            self, metric=score.metric, honest=score.honest, low=score.low, high=score.high, naive=score.naive
        )

    @property
    def moment(self) -> datetime | None:
        return datetime.fromisoformat(self.when) if self.when else None

    @property
    def hours(self) -> float | None:
        return None if self.seconds is None else self.seconds / 3600


@dataclass(frozen=True)
class Logged:
    """A run as it is shown: with what changed since the last one of the same name."""

    run: Run
    changes: Sequence[str] = ()
    """As "settings.C: 1.0 -> 3.0"; empty for the first run, and where nothing that is told by name changed."""
    first: bool = False
    """Whether no earlier run of this name is in the log."""


@dataclass(frozen=True)
class Log:
    """A workspace's log, oldest first."""

    runs: list[Logged]
    damaged: list[str] = field(default_factory=list)
    """What was passed over, a sentence each."""


def note_runs(workspace: Workspace, runs: Iterable[Run], say: Callable[[str], None]) -> None:
    """Append runs to the log; whatever keeps it from being written is said, and nothing fails."""
    noted = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        lines = [_line(run if run.when else replace(run, when=noted)) for run in runs]
        if lines:
            _append(workspace, b"".join(lines))
    except (OSError, UserError, Timeout, ValueError) as error:  # ValueError: a score that is no number
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        say(f"{workspace.shown(workspace.log)} could not be written ({why}): this run is not in it")


def _line(run: Run) -> bytes:
    record = {"version": _VERSION, **asdict(run)}
    line = json.dumps(record, allow_nan=False, default=str)
    if len(line) >= MOST_LINE:  # a prompt of megabytes, perhaps
        line = json.dumps({**record, "identity": {}, "note": "what it was made of is too long for the log"})
    return f"{line}\n".encode()


def _append(workspace: Workspace, content: bytes) -> None:
    path, lock = workspace.log, workspace.log_lock
    if lock.is_symlink():
        raise UserError(f"{workspace.shown(lock)} is a link, and no lock of compete's")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock, timeout=_LONGEST_WAIT):
        # Neither through a link that somebody laid, nor into a pipe that nobody reads.
        careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | careful, 0o660)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            if found.st_size + len(content) > MOST_BYTES:
                raise OSError(errno.EFBIG, f"it has {found.st_size:,} bytes: move it away, a new one is begun")
            if found.st_size and _last_byte(descriptor) != b"\n":
                content = b"\n" + content
            while content:
                content = content[os.write(descriptor, content) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _last_byte(descriptor: int) -> bytes:
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1)


def read_log(workspace: Workspace) -> Log:
    """Every run, oldest first; an empty log where there is none. Raises StoreError for a file that is no log."""
    path = workspace.log
    try:
        content = _content(path)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{workspace.shown(path)} cannot be read ({error}): move it away, a new one is begun"
        ) from None
    runs, damaged = list[Run](), list[str]()
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            runs.append(_run(line))
        except (ValueError, TypeError, KeyError):
            damaged.append(f"line {number} of {workspace.shown(path)} is damaged, and was passed over")
    return Log(with_changes(runs), damaged)


def _content(path: Path) -> bytes:
    if not path.exists() and not path.is_symlink():
        return b""
    if path.is_symlink() or not path.is_file():
        raise ValueError("it is no file")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, at most {MOST_BYTES:,} are read")
    return path.read_bytes()


def _run(line: bytes) -> Run:
    """A line; raises ValueError, TypeError or KeyError for what compete never writes."""
    if len(line) > MOST_LINE:
        raise ValueError("too long")
    record = parsed_json(line)
    if record["version"] > _VERSION:
        raise ValueError("a newer compete wrote it")
    run = Run(**{each.name: _value(each.name, str(each.type), record[each.name]) for each in fields(Run)})
    if run.when and datetime.fromisoformat(run.when).tzinfo is None:
        raise ValueError("a time of no time zone")
    return run


def _value(name: str, kind: str, value: Any) -> Any:
    if name == "identity":
        if not all(isinstance(each, str) for each in (*value, *value.values())):
            raise TypeError(name)
        return dict(value)
    if value is None and "None" in kind:
        return None
    wanted = {"str": str, "int": int}.get(kind.partition(" ")[0], (int, float))
    if (
        isinstance(value, bool)
        or not isinstance(value, wanted)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise TypeError(name)
    return value


def with_changes(runs: Sequence[Run]) -> list[Logged]:
    """Runs, oldest first, each with what changed since the last one of its kind and name that tells what it was made
    of."""
    last: dict[tuple[str, str], Run] = {}
    found = []
    for run in runs:
        before = last.get((run.kind, run.name))
        told = differences(before.identity, run.identity) if before and run.identity else []
        found.append(Logged(run, told, before is None))
        if run.identity:
            last[(run.kind, run.name)] = run
    return found


def chosen(log: Log, *, model: str = "", command: str = "", since: datetime | None = None) -> Log:
    """The runs of that model or stack, that command, and since then."""

    def wanted(each: Logged) -> bool:
        run = each.run
        late = since is None or (run.moment is not None and run.moment >= since)
        return late and model in ("", run.name) and command in ("", run.command)

    return Log([each for each in log.runs if wanted(each)], log.damaged)


@dataclass(frozen=True)
class Step:
    """A run with a score, on the road from the first to the best."""

    number: int
    """Among the scored runs, from 1."""
    logged: Logged
    score: float
    best: float
    """The best score so far."""
    gained: float | None
    """How far this run is ahead of the best before it; None where it is not, and of the first."""

    @property
    def is_better(self) -> bool:
        return self.gained is not None


def road(
    runs: Sequence[Logged],
    sign: int,
    metric: str,
    score: Callable[[Run], float | None] = lambda run: run.honest,
) -> list[Step]:
    """The runs with a score by that metric, oldest first, each with the best so far; sign: 1 where higher is better,
    else -1.

    Runs under another metric, or under a fold plan other than the last scored run's, cannot be put beside them and are
    left out.
    """
    whole = [each for each in runs if score(each.run) is not None and each.run.kind in ("base model", "stack")]
    scored = [each for each in whole if each.run.metric == metric]
    if not scored:
        return []
    same = scored[-1].run
    found = list[Step]()
    for each in scored:
        if _plan(each.run) != _plan(same):
            continue
        value = score(each.run)
        assert value is not None
        before = found[-1].best if found else None
        better = before is None or sign * value > sign * before
        gained = None if before is None or not better else value - before
        found.append(Step(len(found) + 1, each, value, value if better or before is None else before, gained))
    return found


def _plan(run: Run) -> str | None:
    return run.identity.get("fold plan")
