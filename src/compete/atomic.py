"""Files that are either there as a whole or not at all.

A file is written under a temporary name beside its target, flushed to the disk, then renamed. A folder is
filled under a temporary name and renamed the same way. A killed run leaves only temporary names behind,
which `sweep` removes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from compete.errors import DiskFullError

_MARK = ".compete-tmp-"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; raises DiskFullError and leaves an older file untouched when space ends."""
    temporary = path.with_name(f"{_MARK}{os.getpid()}-{path.name}")
    with disk_full_is_said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically, with the line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder to fill, which becomes `target` as a whole when the block ends without an error.

    An older `target` is replaced; if the process dies in between, there is none, never half of one.
    """
    temporary = target.with_name(f"{_MARK}{os.getpid()}-{target.name}")
    old = target.with_name(f"{_MARK}{os.getpid()}-old-{target.name}")
    with disk_full_is_said(target):
        try:
            temporary.mkdir(parents=True)
            yield temporary
            if target.exists():
                target.rename(old)
            try:
                temporary.rename(target)
            except OSError:
                if old.exists():
                    old.rename(target)
                raise
            _sync_folder(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def disk_full_is_said(path: Path) -> Iterator[None]:
    """Turn the operating system's 'no space left' into a message that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise DiskFullError(
            f"no space left on the disk while writing {path}. Free some space and run the same command "
            "again: what was finished is kept and not done twice."
        ) from None


def sweep(folder: Path) -> None:
    """Remove what killed runs left behind in `folder` and below; call it only while holding the lock."""
    for path in sorted(folder.rglob(f"{_MARK}*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename itself durable; Windows cannot open a folder and does not need to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
