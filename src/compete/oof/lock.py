"""One writer per workspace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from filelock import FileLock, Timeout

from compete import atomic
from compete.competition.workspace import Workspace


@contextlib.contextmanager
def exclusive(
    workspace: Workspace, waiting: Callable[[], None] = lambda: None, *, reading: bool = False
) -> Iterator[None]:
    """Hold the workspace's lock; `waiting` is called once if another command holds it.

    reading: nothing has to be written; where nothing can be, on somebody else's disk, no lock is needed.
    """
    lock = FileLock(workspace.lock)
    try:
        with atomic.disk_full_is_said(workspace.oof):
            workspace.oof.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    except OSError as error:
        if not (reading and error.errno in atomic.NOT_WRITABLE):
            raise
        yield
        return
    try:
        atomic.sweep(workspace.oof)
        yield
    finally:
        lock.release()
