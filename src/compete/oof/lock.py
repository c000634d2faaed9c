"""One writer at a time: of the workspace, and of every fold.

Who holds the workspace's lock decides what is to be done, and puts models together. It takes the locks of the folds
that it is going to train, and lets go of the workspace's: other commands, on other machines that share the disk, train
other folds meanwhile. A lock ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from compete import atomic
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.execution.jobs import Job


@contextlib.contextmanager
def exclusive(
    workspace: Workspace, waiting: Callable[[], None] = lambda: None, *, reading: bool = False, sweeping: bool = True
) -> Iterator[None]:
    """Hold the workspace's lock; `waiting` is called once if another command holds it.

    reading: nothing has to be written; where nothing can be, on somebody else's disk, no lock is needed. sweeping: what
    killed runs left behind is removed, unless a fold is being trained.
    """
    lock = _lock_at(workspace.lock)
    try:
        with atomic.disk_full_is_said(workspace.oof):
            workspace.oof.mkdir(parents=True, exist_ok=True)
        _acquire(lock, waiting)
    except OSError as error:
        if not (reading and error.errno in atomic.NOT_WRITABLE):
            raise
        yield
        return
    try:
        if sweeping and not held_folds(workspace):
            atomic.sweep(workspace.oof)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock of its own for something else than a fold; `waiting` is called once if another command holds it."""
    with atomic.disk_full_is_said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock_at(path)
    _acquire(lock, waiting)
    try:
        yield
    finally:
        lock.release()


def _lock_at(path: Path) -> FileLock:
    """Raises UserError for a link: a lock's file is emptied when it is opened, and so would be what it leads to."""
    if path.is_symlink():
        raise UserError(f"{path} is a link, and no lock of compete's: remove it")
    return FileLock(path)


def _acquire(lock: FileLock, waiting: Callable[[], None]) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()


@contextlib.contextmanager
def fold_claimed(workspace: Workspace, model: str, fold: int, *, wait: float = 0.0) -> Iterator[bool]:
    """Hold the lock of a fold, or tell that another command does, after `wait` seconds; -1: waits for ever."""
    path = workspace.fold_lock(model, fold)
    with atomic.disk_full_is_said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock_at(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def claim(workspace: Workspace, jobs: Sequence[Job], held: contextlib.ExitStack) -> tuple[list[Job], list[Job]]:
    """The jobs whose folds are this command's until `held` is closed, and those that another command is at."""
    mine, others = list[Job](), list[Job]()
    for job in jobs:
        is_mine = held.enter_context(fold_claimed(workspace, job.payload["model"], job.payload["fold"]))
        (mine if is_mine else others).append(job)
    return mine, others


def held_folds(workspace: Workspace, apart_from: Sequence[Job] = ()) -> set[str]:
    """Folds that some command holds the lock of, by the names of their locks; without those of `apart_from`."""
    own = {workspace.fold_lock(job.payload["model"], job.payload["fold"]) for job in apart_from}
    paths = set(workspace.fold_locks.glob("*")) - own
    return {path.name for path in paths if _is_held(_lock_at(path))}


def _is_held(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
