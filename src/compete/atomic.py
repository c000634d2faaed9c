"""Files that are either there as a whole or not at all.

A file is written under a temporary name beside its target, flushed to the disk, then renamed. A folder is
filled under a temporary name and renamed the same way. A killed run leaves only temporary names behind. They hold the
number of its process: `sweep` removes what lies in a folder, `sweep_dead` what processes that are gone left, and so
`scratch_folder` does in the system's own temporary folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from compete.errors import DiskFullError

_MARK, _SCRATCH = ".compete-tmp-", "compete_tmp_"
# Of another machine's processes, on a file system that both share, nothing is known.
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_OWNER = re.compile(r"(\d+)_([0-9a-f]{8})[-_]")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file atomically; raises DiskFullError and leaves an older file untouched when space ends.

    private: as of `new_file`.
    """
    with new_file(path, private=private) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def new_file(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary file to write, which becomes `path` as a whole when the block ends without an error.

    private: whatever the umask allows, nobody but the user and his group may read it.
    """
    temporary = path.with_name(f"{_MARK}{_owner()}-{path.name}")
    with disk_full_is_said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Made here, and never opened where a link of that name was laid: it would be followed.
            temporary.unlink(missing_ok=True)
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660 if private else 0o666))
            yield temporary
            with temporary.open("rb+") as file:  # Windows flushes only what could be written
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
    temporary = target.with_name(f"{_MARK}{_owner()}-{target.name}")
    old = target.with_name(f"{_MARK}{_owner()}-old-{target.name}")
    with disk_full_is_said(target):
        try:
            temporary.mkdir(parents=True)
            yield temporary
            # No system renames a folder over one that holds files: the older one steps aside first.
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


@contextlib.contextmanager
def unless_read_only() -> Iterator[None]:
    """Pass over that a mere cache cannot be written: what may not be written can be read all the same."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise


def sweep(folder: Path) -> None:
    """Remove what killed runs left behind in `folder` and below; call it only while holding the lock."""
    for path in sorted(folder.rglob(f"{_MARK}*")):
        _remove(path)


def sweep_dead(folder: Path) -> None:
    """Remove what processes that are gone left behind in `folder` and below; needs no lock."""
    for path in sorted(folder.rglob(f"{_MARK}*")):
        _remove_if_left(path, path.name.removeprefix(_MARK))


def new_scratch() -> Path:
    """A folder of this process in the system's temporary folder, to be removed by whoever asked for it.

    What killed processes did not remove goes first. The name could be that of a Python module, too.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        _remove_if_left(path, path.name.removeprefix(_SCRATCH))
    # transformers makes a package of this name for a checkpoint that brings its own code.
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{_owner()}_"))


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """The same, removed at the end."""
    folder = new_scratch()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> str:
    return f"{os.getpid()}_{_MACHINE}"


def _remove_if_left(path: Path, name: str) -> None:
    """Remove a file or folder whose name begins with a process of this machine that is gone."""
    owner = _OWNER.match(name)
    if owner is None or owner[2] != _MACHINE or _is_alive(int(owner[1])):
        return
    _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Whether there is a process of this number; where that cannot be asked safely, as on Windows, it is assumed."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is somebody else's
    return True


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
