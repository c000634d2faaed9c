"""Files of a workspace that somebody sends: which of them run, and with which commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from compete.competition.starter import starter_folder
from compete.competition.workspace import Workspace
from support.in_process import in_process
from support.lived_in import train_models

pytestmark = pytest.mark.slow

LIBRARIES = (
    "joblib",
    "numpy",
    "pandas",
    "sklearn",
    "torch",
    "lightgbm",
    "metrics",
    "datasets",
    "sitecustomize",
    "usercustomize",
)
FAMILY = "compete_workspace_families"
# In this order: two submissions, for `finalists` to choose from.
WITHOUT_FAMILY = (
    ("status",),
    ("folds",),
    ("stack",),
    ("submit",),
    ("submit", "words"),
    ("scores",),
    ("finalists",),
    ("import", "mate", "--oof", "oof/words/oof.parquet", "--test", "oof/words/test.parquet"),
    ("plan",),
    ("report",),
)


@pytest.fixture
def marker(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file outside of the workspace that says which of the workspace's files ran."""
    marker = tmp_path_factory.mktemp("outside") / "ran.txt"
    writes = f"\nwith open({str(marker)!r}, 'a') as file:\n    file.write(__name__ + '\\n')\n"
    for name in LIBRARIES:
        (workspace.root / f"{name}.py").write_text(writes, encoding="utf-8")
    family = workspace.root / "families.py"
    family.write_text(family.read_text(encoding="utf-8") + writes, encoding="utf-8")
    return marker


# As the installed script: the folder it is called in is not on Python's path. Several commands run in one process,
# each of which imports what those before it did not need, up to the first that fails or runs a file.
SCRIPT = """
import json, pathlib, sys
import matplotlib.figure
from compete.cli.main import main

# Painting takes most of a report's time, and imports nothing that a file here is called like.
matplotlib.figure.Figure.savefig = lambda figure, file, **how: file.write(b"<svg></svg>")
marker = pathlib.Path(sys.argv[2])
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["compete", *arguments]
    try:
        main()
    except SystemExit as ended:
        if ended.code or marker.exists():
            sys.exit(f"compete {arguments} ended with {ended.code}; ran: {marker.exists() and marker.read_text()}")
print("all done")
"""


def run(workspace: Workspace, marker: Path, commands: Sequence[Sequence[str]]) -> str:
    """What went wrong; nothing if all was done."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, "-P", "-c", SCRIPT, json.dumps(commands), str(marker)]
    done = subprocess.run(
        command, cwd=workspace.root, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    return "" if done.returncode == 0 and done.stdout.endswith("all done\n") else done.stderr or "it ended early"


def test_no_file_is_taken_for_a_library_and_a_family_runs_for_training_only(workspace: Workspace, marker: Path) -> None:
    for recipe in (starter_folder() / "stacking").glob("*.toml"):
        shutil.copy(recipe, workspace.stack_recipes)
    trouble = run(workspace, marker, [("train-base", "--all")])
    assert f"ended with 0; ran: {FAMILY}" in trouble, trouble
    assert set(marker.read_text(encoding="utf-8").split()) == {FAMILY}
    marker.unlink()
    assert run(workspace, marker, WITHOUT_FAMILY) == ""


@pytest.mark.parametrize("command", [("rehearse", "words", "--share", "0.4"), ("predict", "test.csv", "words")])
def test_a_family_runs_where_its_code_is_needed(
    workspace: Workspace,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    """As docs/security.md says; what comes of it is another matter: this family keeps nothing to predict with."""
    train_models(workspace, ["words"])
    marker.unlink()
    in_process(workspace.root, monkeypatch, capsys)(*command)
    assert set(marker.read_text(encoding="utf-8").split()) == {FAMILY}


@pytest.mark.parametrize("started", ["as compete does", "as Python does"])
def test_a_process_that_joblib_starts_imports_nothing_of_the_folder_it_stands_in(
    workspace: Workspace, marker: Path, started: str
) -> None:
    """LightGBM's fits run in such processes. Started as Python does, they would: the control."""
    first = "compete.cli.main.main()" if started == "as compete does" else "sys.exit()"
    script = (
        "import contextlib, sys, compete.cli.main\n"
        "sys.argv = ['compete', '--version']\n"
        f"with contextlib.suppress(SystemExit): {first}\n"
        "from joblib import Parallel, delayed\n"
        "print(Parallel(2, backend='loky')(delayed(len)(text) for text in ('a', 'bb')))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(
        command, cwd=workspace.root, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if started == "as compete does":
        assert done.returncode == 0 and done.stdout.endswith("[1, 2]\n"), done.stderr
    assert marker.exists() == (started == "as Python does")
