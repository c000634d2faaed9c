"""What a command must not import: a help text and a status table are there at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from compete.cli.main import app
from compete.competition.workspace import Workspace

pytestmark = pytest.mark.slow

HEAVY = {"torch", "transformers", "pandas", "sklearn", "scipy", "numpy", "pyarrow", "matplotlib", "kaggle", "rich"}

# Runs the command line as the console script does, then tells which packages it has imported.
PROBE = """
import json, sys
from compete.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


# The same for the help of each command that is named: what it prints, and the packages that are imported by then.
EVERY_HELP = """
import contextlib, io, json, sys
from compete.cli.main import main
names, found = sys.argv[1:], {}
for name in names:
    sys.argv = ["compete", name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, ended.code
    found[name] = [printed.getvalue(), sorted({name.partition(".")[0] for name in sys.modules})]
print(json.dumps(found))
"""


def imported_by(*arguments: str, cwd: Path) -> tuple[str, set[str]]:
    """The output of a command that succeeds, and the top-level packages it imports."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    *output, packages = run.stdout.splitlines()
    return "\n".join(output), set(json.loads(packages))


COMMANDS = sorted(getattr(typer.main.get_command(app), "commands", {}))


def test_all_commands_are_tried() -> None:
    assert {"init", "folds", "train-base", "import", "status", "stack", "submit", "scores"} <= set(COMMANDS)


def test_help_imports_nothing_heavy_and_names_every_command(tmp_path: Path) -> None:
    output, packages = imported_by("--help", cwd=tmp_path)
    assert packages & HEAVY == set()
    assert "compete" in packages
    assert [name for name in COMMANDS if f"  {name} " not in output] == []


def test_help_of_a_command_imports_nothing_heavy(tmp_path: Path) -> None:
    """One after the other in one process: the first that imports something heavy is the one to look at."""
    run = subprocess.run(
        [sys.executable, "-c", EVERY_HELP, *COMMANDS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert list(found) == COMMANDS
    for name, (output, packages) in found.items():
        assert output.startswith(f"Usage: compete {name}") or f" {name} [OPTIONS]" in output
        assert set(packages) & HEAVY == set(), name
    assert "typer" in packages


def test_the_version_needs_nothing_either(tmp_path: Path) -> None:
    output, packages = imported_by("--version", cwd=tmp_path)
    assert output.startswith("compete ")
    assert packages & HEAVY == set()


def test_status_of_a_trained_workspace_imports_nothing_heavy(trained: Workspace) -> None:
    output, packages = imported_by("status", cwd=trained.root)
    assert output.count("3/3") == 2, output
    assert packages & {"pandas", "sklearn", "scipy", "torch", "transformers", "matplotlib", "kaggle"} == set()


def test_a_plan_of_models_without_checkpoints_reads_none(workspace: Workspace) -> None:
    output, packages = imported_by("plan", cwd=workspace.root)
    assert output.count("no checkpoint, runs on the processor") == 2
    assert packages & {"transformers", "peft"} == set()
