"""Archives of jobs and of their results."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator

import pytest

from compete.competition.workspace import Workspace
from support.hostile import (
    DECLARATION,
    ESCAPE,
    JOB,
    NAMES,
    Arrange,
    Case,
    all_of,
    cases,
    link,
    pipe,
    repacked,
    writes,
)

pytestmark = pytest.mark.slow

RESULT = "there/words-fold-0.result"
RUN, COLLECT = ("jobs", "run", JOB), ("jobs", "collect", "there")


def on(path: str, **how: object) -> Arrange:
    return lambda workspace: repacked(workspace.root / path, **how)  # type: ignore[arg-type]


ODD_MANIFESTS: dict[str, tuple[dict[str, object], str]] = {
    **{f"the model {what}": ({"model": name}, "cannot be a model's name") for what, name in NAMES.items()},
    "no model": ({"model": ...}, "has no model"),
    "a fold that is none": ({"fold": 10**12}, "there is no fold"),
    "a negative fold": ({"fold": -1}, "there is no fold"),
    "an identity of lists": ({"identity": {"seed": [1]}}, "what it was made of"),
    "an identity that is deep": ({"identity": json.loads("[" * 200 + "]" * 200)}, "nested too deeply"),
    "made with nothing": ({"made_with": 3}, "has no made_with"),
    "another kind": ({"kind": ESCAPE}, "expected a"),
    "a kind that is a list": ({"kind": [[]]}, "expected a"),
    "another format": ({"format": ESCAPE}, "has format"),
    "files without hashes": ({"files": {"competition.toml": 7}}, "has no hashes"),
}
JOB_MANIFESTS: dict[str, tuple[dict[str, object], str]] = {
    "made by another version": ({"made_with": {"compete": ESCAPE}}, "was made by compete"),
    "made by nobody": ({"made_with": {}}, "nobody knows which"),
    "a billion threads": ({"threads": 10**9}, "threads"),
    "no threads": ({"threads": 0}, "threads"),
    "a checkpoint elsewhere": ({"checkpoint": {"name": "a/b", "folder": "../../models"}}, "outside of this folder"),
    "a checkpoint at the root": ({"checkpoint": {"name": "a/b", "folder": "/etc"}}, "outside of this folder"),
    "a checkpoint that is a text": ({"checkpoint": "a/b"}, "does not say where"),
}
MEMBERS = {
    "a way out": "../evil",
    "the root": "/tmp/evil",
    "another system's root": "C:/evil",
    "another system's way out": "..\\evil",
    "a folder and a file": "base_models",
    "no letters": "a\x1b[2Jb",
    "a name of thousands": "n" * 5000,
    "this very folder": "./evil",
}
LINKED = {"a link": stat.S_IFLNK, "a device": stat.S_IFCHR, "a pipe": stat.S_IFIFO, "a socket": stat.S_IFSOCK}


def archives() -> Iterator[Case]:
    for what, (changes, said) in {**ODD_MANIFESTS, **JOB_MANIFESTS}.items():
        yield Case(f"job with {what}", RUN, (said,), on(JOB, manifest=changes))
    for what, (changes, said) in ODD_MANIFESTS.items():
        yield Case(f"result with {what}", COLLECT, (said,), on(RESULT, manifest=changes), 1)
    yield Case("result that failed in no way", COLLECT, ("how it failed",), on(RESULT, manifest={"failed": [1]}), 1)
    failed = {"failed": {"error": "Error", "message": ESCAPE}}
    yield Case(
        "result that failed with escape sequences",
        COLLECT,
        ("\\x1b",),
        all_of(untrained, on(RESULT, manifest=failed)),
        1,
    )
    for what, name in MEMBERS.items():
        yield Case(f"job with a member that is {what}", RUN, ("is not unpacked",), on(JOB, members={name: b"evil"}))
        yield Case(
            f"result with a member that is {what}",
            COLLECT,
            ("is not unpacked",),
            on(RESULT, members={name: b"evil", "base_models/x": b"x"}),
            1,
        )
    for what, kind in LINKED.items():
        changed = on(JOB, members={"families.py": b"/etc/passwd"}, attributes={"families.py": (kind | 0o777) << 16})
        yield Case(f"job with {what}", RUN, ("it is a link or no file",), changed)
    yield Case("job that is a bomb", RUN, ("that is a bomb",), promising_bytes)
    yield Case("job of 10,001 files", RUN, ("at most 10000",), on(JOB, members={f"f{n}": b"" for n in range(10_001)}))
    yield Case("job that is a pipe", RUN, ("is no file",), pipe(JOB))
    yield Case("job that is a device", ("jobs", "run", "/dev/zero"), ("is no file",))
    yield Case("job that is text", RUN, ("is damaged",), writes(JOB, "PK"))
    yield Case("result that is a pipe", COLLECT, ("is no file",), pipe(RESULT), 1)
    for what, toml in {
        "data elsewhere": ('"data/train_0.csv"', '"/etc/passwd"'),
        "data above": ('"data/test_0.csv"', '"../../train.csv"'),
        "a tracker": ("[folds]", '[tracking]\nto = ["wandb"]\n[folds]'),
        "a checkpoint of the machine": ("[folds]", '[checkpoints]\n"a/b" = "/etc"\n[folds]'),
    }.items():
        yield Case(f"job that names {what}", RUN, ("no job of compete does",), in_job(*toml))
    yield Case(
        "lock of a job that is a link",
        RUN,
        ("is a link",),
        link("there/.words-fold-0.lock", "../../elsewhere/secret.txt"),
    )


def promising_bytes(workspace: Workspace) -> None:
    """What the zip file's directory says of a member's size, in place of the truth."""
    path, name = workspace.root / JOB, b"data/train_0.csv"
    packed = bytearray(path.read_bytes())
    place = packed.rindex(b"PK\x01\x02", 0, packed.rindex(name)) + 24
    packed[place : place + 4] = (3 * 10**9).to_bytes(4, "little")
    path.write_bytes(packed)


def untrained(workspace: Workspace) -> None:
    shutil.rmtree(workspace.base_model("words").path)


def in_job(old: str, new: str) -> Arrange:
    def arrange(workspace: Workspace) -> None:
        with zipfile.ZipFile(workspace.root / JOB) as packed:
            text = packed.read(DECLARATION).decode()
        assert old in text, text
        repacked(workspace.root / JOB, members={DECLARATION: text.replace(old, new).encode()})

    return arrange


@cases(archives, least=75)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
