"""What a stranger may hand over, and how a command is held to its promises while it meets it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compete import archives
from compete.competition.workspace import Workspace
from compete.oof import store

ESCAPE = "\x1b[2J\x1b]0;mine\x07"
"""Clears the screen and renames the window."""
DECLARATION, STACK, RECIPE = "competition.toml", "stacking/logistic.toml", "base_models/words.toml"
MANIFEST, STACK_MANIFEST, PART = (
    "oof/words/manifest.json",
    "oof/stacks/logistic/manifest.json",
    "oof/words/fold_0/part.json",
)
JOB = "there/words-fold-0.job"
"""Lies beside the workspace's own files, as its result does."""
NAMES = {
    "a way out": "../../elsewhere/mean",
    "an absolute path": "/etc/passwd",
    "a folder": "sub/mean",
    "the folder above": "..",
    "a hidden file": ".hidden",
    "an escape sequence": f"mean{ESCAPE}",
    "a line turned round": "mean\u202egnp",
    "thousands of letters": "m" * 5000,
    "letters of another script": "среднее",
    "a way out of another system": "..\\..\\mean",
}

Arrange = Callable[[Workspace], None]


def nothing(workspace: Workspace) -> None:
    """The workspace as it is: what is hostile was typed."""


@dataclass(frozen=True)
class Case:
    """A command in a workspace that somebody prepared; what it says, and how it ends."""

    name: str
    command: tuple[str, ...]
    said: tuple[str, ...] = ()
    """Parts of what is told on standard error."""
    arrange: Arrange = nothing
    code: int = 2


def cases(*makers: Callable[[], Iterator[Case]], least: int) -> pytest.MarkDecorator:
    """A test of each, by its name; no two are one, and none of `least` was lost on the way."""
    found = [case for maker in makers for case in maker()]
    assert len(found) >= least
    assert len({case.name for case in found}) == len(found)
    return pytest.mark.parametrize("case", found, ids=lambda case: case.name)


def snapshot(folder: Path, but: Path) -> dict[str, object]:
    """Everything in a folder but what lies in one of its own, as it lies there."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path != but and but not in path.parents:
            name, about = str(path.relative_to(folder)), path.lstat()
            regular = path.is_file() and not path.is_symlink()
            target = str(path.readlink()) if path.is_symlink() else ""
            found[name] = (about.st_mode, path.read_bytes() if regular else target)
    return found


@contextlib.contextmanager
def within(seconds: int, memory: int) -> Iterator[None]:
    """Ends what takes longer, as one that waits for a pipe, and refuses it more memory than that."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"no answer within {seconds} seconds")

    if sys.platform != "linux":  # others tell in other ways what is mapped, and Windows has no alarm
        yield
        return
    import resource

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before, limits = signal.signal(signal.SIGALRM, late), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, limits[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


Content = str | bytes | Callable[[], bytes]
"""What a file holds; of megabytes, how it is made when it is wanted."""


def writes(name: str, content: Content) -> Arrange:
    """A file of the workspace with another content."""
    return lambda workspace: put(workspace.root / name, content() if callable(content) else content)


def edits(name: str, old: str, new: str) -> Arrange:
    def arrange(workspace: Workspace) -> None:
        path = workspace.root / name
        before = path.read_text(encoding="utf-8")
        assert old in before, f"{old!r} is not in {name}"
        path.write_text(before.replace(old, new), encoding="utf-8")

    return arrange


def pipe(name: str) -> Arrange:
    """A pipe in a file's place, which nobody ever writes into."""

    def arrange(workspace: Workspace) -> None:
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if sys.platform == "win32":
            pytest.skip("this system has no named pipes among its files")
        os.mkfifo(path)

    return arrange


def link(name: str, target: str) -> Arrange:
    """A link in the place of whatever lies there."""

    def arrange(workspace: Workspace) -> None:
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            path.rename(path.with_name(f"{path.name}_before"))
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return arrange


def record(name: str, **changes: Any) -> Arrange:
    """A manifest of somebody who knows how its hash is made; what is ... is left out."""

    def arrange(workspace: Workspace) -> None:
        path = workspace.root / name
        found = json.loads(path.read_text(encoding="utf-8"))
        changed = {**found, **changes}
        kept = {key: value for key, value in changed.items() if key != "sha256" and value is not ...}
        store.write_record(path, kept)

    return arrange


def ledger(*statements: str) -> Arrange:
    """A ledger that somebody wrote into."""

    def arrange(workspace: Workspace) -> None:
        with sqlite3.connect(workspace.ledger) as database:
            for statement in statements:
                database.execute(statement)
        database.close()

    return arrange


def all_of(*arranged: Arrange) -> Arrange:
    def arrange(workspace: Workspace) -> None:
        for each in arranged:
            each(workspace)

    return arrange


def repacked(
    path: Path,
    manifest: Mapping[str, Any] = {},
    members: Mapping[str, bytes | None] = {},
    attributes: Mapping[str, int] = {},
) -> None:
    """An archive of somebody who knows how its hashes are made: members exchanged (None: without), manifest changed."""
    with zipfile.ZipFile(path) as packed:
        content: dict[str, bytes | None] = {name: packed.read(name) for name in packed.namelist()}
    record = json.loads(content.pop(archives.MANIFEST) or b"")
    content = {name: each for name, each in {**content, **members}.items() if each is not None}
    files = {name: archives._sha256(each or b"") for name, each in content.items()}
    record = {key: value for key, value in {**record, "files": files, **manifest}.items() if value is not ...}
    record = json.loads(json.dumps(record))
    whole = {**record, "sha256": archives._seal(record)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(archives.MANIFEST, json.dumps(whole))
        for name, each in content.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = attributes.get(name, 0)
            member.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(member, each or b"")


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
