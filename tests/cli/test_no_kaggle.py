"""Kaggle's client logs in when it is imported: no command may import it, and only its own process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compete.competition.workspace import Workspace

pytestmark = pytest.mark.slow

# Laid on the path as sitecustomize, so that the processes that a command starts are watched as well.
WATCH = """
import os, sys

def watch(event, arguments):
    if event == "import" and arguments[0].partition(".")[0] in ("kaggle", "kagglesdk", "kagglehub"):
        with open(os.environ["KAGGLE_WATCH_LOG"], "a") as log:
            log.write(f"{arguments[0]} {sys.argv}\\n")

sys.addaudithook(watch)
"""
# One process for all commands, up to the first that fails: a line of the watch's log has the command that imported.
ONE_BY_ONE = """
import json, sys
from compete.cli.main import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["compete", *arguments]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
print("all done")
"""


def imports_of_kaggle(folder: Path, root: Path, *command: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """The command's end, and the imports of Kaggle's packages in it and in its children."""
    (folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    log = folder / "imports.txt"
    log.write_text("", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(folder), "KAGGLE_WATCH_LOG": str(log)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    return ended, log.read_text(encoding="utf-8")


@pytest.fixture
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watch")


def test_no_command_on_a_local_competition_imports_the_client(workspace: Workspace, watch: Path) -> None:
    commands = (
        ("--help",),
        ("train-base", "--all", "--workers", "1"),
        ("stack", "logistic"),
        ("submit", "logistic"),
        ("scores", "--private"),
    )
    ended, imports = imports_of_kaggle(watch, workspace.root, "-c", ONE_BY_ONE, json.dumps(commands))
    assert (ended.returncode, ended.stdout.endswith("all done\n")) == (0, True), ended.stderr
    assert imports == ""


def test_nor_does_a_submission_to_kaggle_that_has_no_credentials(
    workspace: Workspace, watch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declaration = workspace.declaration.read_text(encoding="utf-8")
    target = '[submission]\ntarget = "kaggle"\nkaggle = "toy"\n'
    workspace.declaration.write_text(declaration.partition("[submission]")[0] + target, encoding="utf-8")
    monkeypatch.setenv("HOME", str(watch))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    ended, imports = imports_of_kaggle(watch, workspace.root, "-m", "compete.cli.main", "scores", "--refresh")
    assert (ended.returncode, "no Kaggle credentials" in ended.stderr) == (2, True)
    assert imports == ""


def test_the_watch_sees_an_import(watch: Path, tmp_path: Path) -> None:
    """The control: without it, a broken watch would find nothing either."""
    _, imports = imports_of_kaggle(watch, tmp_path, "-c", "import importlib.util as u; import kagglesdk")
    assert "kagglesdk" in imports
