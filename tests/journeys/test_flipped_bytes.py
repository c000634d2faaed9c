"""A byte turned round in any file of a workspace after the whole road: nothing changes, or it is refused by name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.competition.workspace import Workspace
from support.in_process import Run, in_process
from support.lived_in import build_stacks, copied, reveal, send, train_models, write_linear_models, write_model

pytestmark = pytest.mark.slow

# What is read of a file, by where it lies; the first that matches.
READERS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    (r"oof/\w+/kept/", (("predict", "test.csv", "linear", "--output", "predicted.csv"),)),
    (r"oof/stacks/", (("report", "--folder", "page"), ("predict", "test.csv", "both", "--output", "predicted.csv"))),
    (r"oof/\w+/(oof|test|manifest)\.", (("status", "--json"), ("stack", "both", "--json"))),
    (r"oof/", (("status", "--json"), ("folds", "--json"))),
    (r"submissions/", (("scores", "--private", "--json"), ("finalists", "--json"))),
)
# Notes for people, which no number is read from; the lock; and of what every fold has, that of all folds but one: it is
# written and read by the same lines.
SKIPPED = re.compile(r"oof/\w+/logs/|\.lock$|fold_[12]/")


@pytest.fixture(scope="module")
def lived(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = copied(untouched, tmp_path_factory.mktemp("lived"))
    write_linear_models(workspace)
    write_model(workspace, "words", 1.0)
    (workspace.stack_recipes / "logistic.toml").unlink()
    both = 'method = "blend"\nmodels = ["linear", "nbsvm"]\n'
    (workspace.stack_recipes / "both.toml").write_text(both, encoding="utf-8")
    train_models(workspace, ["linear", "nbsvm", "words"])
    build_stacks(workspace, leave_one_out=True)
    send(workspace, ["both", "linear", "words"])
    reveal(workspace)
    return workspace


@pytest.fixture
def run(lived: Workspace, unpainted: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(lived.root, monkeypatch, capsys)


def stored(workspace: Workspace) -> list[Path]:
    found = [path for name in ("oof", "submissions") for path in sorted((workspace.root / name).rglob("*"))]
    return [path for path in found if path.is_file() and not SKIPPED.search(path.as_posix())]


def told(run: Run, workspace: Workspace, command: tuple[str, ...]) -> tuple[int, str, str]:
    """Exit code, what was said, and what came of it without times."""
    ran = run(*command)
    result = ran.stdout
    if command[0] == "predict" and ran.code == 0:
        result = (workspace.root / "predicted.csv").read_text(encoding="utf-8")
    elif command[0] == "report":
        result = ""
    elif ran.code == 0:
        result = json.dumps(without_times(ran.document))
    return ran.code, ran.stderr, result


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in ("seconds", "created", "changed")}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def flipped(content: bytes, random: np.random.Generator) -> bytes:
    place = int(random.integers(len(content)))
    return content[:place] + bytes([content[place] ^ (1 << int(random.integers(8)))]) + content[place + 1 :]


def test_a_flipped_byte_changes_nothing_or_is_refused_by_name(lived: Workspace, run: Run) -> None:
    for command in {command for _, commands in READERS for command in commands}:
        assert run(*command).code == 0  # what is computed once lies there from now on
    before = {command: told(run, lived, command) for _, commands in READERS for command in commands}
    random, counts, wrong = np.random.default_rng(0), {"same": 0, "refused": 0}, []
    for path in stored(lived):
        shown = path.relative_to(lived.root).as_posix()
        commands = next((commands for pattern, commands in READERS if re.match(pattern, shown)), ())
        content = path.read_bytes()
        for command in commands if content else ():
            path.write_bytes(flipped(content, random))
            code, said, result = told(run, lived, command)
            if code == 0 and result == before[command][2]:
                counts["same"] += 1
            elif named(shown, said + result):
                counts["refused"] += 1
            else:
                wrong.append((shown, command, code, said[-300:]))
            path.write_bytes(content)
    assert not wrong, "\n".join(map(str, wrong))
    assert counts["refused"] > counts["same"] / 4, counts
    after = {command: told(run, lived, command) for command in before}
    assert after == before


def named(shown: str, said: str) -> bool:
    """Whether the file, or the model or submission that it is part of, is named as damaged, changed or stale."""
    parts = shown.split("/")
    owner = parts[2] if parts[1] == "stacks" and len(parts) > 3 else parts[1]
    number = owner.split("_")[0].lstrip("0")
    return any(name in said for name in (shown, parts[-1], owner, f"number {number}", f"submission {number}"))
