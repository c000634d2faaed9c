"""What is built holds all that it needs, and what CI calls exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from mkdocs.utils.yaml import yaml_load
from packaging.requirements import Requirement

import compete
from support.pages import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What a checkout has beside folders: a test, a tool or a target of the Makefile reads each of them.
TOP = {
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "competition.toml",
    "mkdocs.yml",
    "pyproject.toml",
}
FOLDERS = (".github", "base_models", "benchmarks", "docs", "examples", "src", "stacking", "tests")


def read_yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml_load((ROOT / name).read_text(encoding="utf-8"))
    return loaded


def workflow_jobs() -> dict[str, Any]:
    jobs: dict[str, Any] = read_yaml(".github/workflows/test.yml")["jobs"]
    return jobs


def workflow_commands() -> list[str]:
    return [step["run"] for job in workflow_jobs().values() for step in job["steps"] if "run" in step]


def recipe(target: str) -> str:
    """The lines of the Makefile that make it."""
    found = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)*)", MAKEFILE, flags=re.MULTILINE)
    assert found, f"the Makefile has no {target}"
    return found[1]


def files_under(folder: Path) -> set[str]:
    """Files as a clone has them, relative to the folder, with slashes."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if "__pycache__" not in path.parts}


def test_what_is_installed_says_the_same_version() -> None:
    # An editable install remembers the version of its day; `make` renews it when __init__.py changes.
    assert version("compete") == compete.__version__


def test_no_version_of_transformers_is_let_in_that_loads_weights_whole_before_they_are_in_four_bits() -> None:
    required = [Requirement(each) for each in PROJECT["dependencies"]]
    [allowed] = [each.specifier for each in required if each.name == "transformers"]
    assert not any(allowed.contains(too_old) for too_old in ("5.0.0", "5.1.0", "5.3.0"))
    assert allowed.contains("5.4.0") and allowed.contains(version("transformers"))


def test_the_workflow_calls_targets_that_the_makefile_has() -> None:
    commands = workflow_commands()
    assert {"make check", "make test", "make test-installed"} <= set(commands)
    for command in commands:
        program, *targets = command.split()
        assert program == "make", f"{command!r}: nothing that a contributor cannot call by the same name"
        assert targets
        for target in targets:
            recipe(target)


def test_the_workflow_tries_the_pythons_that_the_package_names() -> None:
    named = {
        entry.rsplit(" ", 1)[1]
        for entry in PROJECT["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: \d+\.\d+", entry)
    }
    check = workflow_jobs()["check"]["strategy"]["matrix"]
    assert set(check["python"]) == named
    assert all(isinstance(python, str) for python in check["python"])  # 3.10 without quotes is 3.1
    for job in workflow_jobs().values():
        for step in job["steps"]:
            python = step.get("with", {}).get("python-version")
            assert python in {None, "${{ matrix.python }}", *named}
    oldest = min(named, key=lambda python: int(python.split(".")[1]))
    assert PROJECT["requires-python"] == f">={oldest}"


def test_the_workflow_may_only_read() -> None:
    assert read_yaml(".github/workflows/test.yml")["permissions"] == {"contents": "read"}


def test_a_commit_is_looked_at_by_the_tools_of_make_check() -> None:
    (local,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"  # any other is cloned from the network
    checked = recipe("check")
    for hook in local["hooks"]:
        assert hook["language"] == "system"
        tool = hook["entry"].removeprefix(".venv/bin/").replace(" --force-exclude", "")
        assert f"$(BIN)/{tool}" in checked


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        env=os.environ | {"PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.mark.slow
def test_the_wheel_holds_the_package_with_its_data_and_the_recipes(dist: Path) -> None:
    with ZipFile(dist / f"compete-{compete.__version__}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    about = f"compete-{compete.__version__}.dist-info/"
    package = {f"compete/{name}" for name in files_under(ROOT / "src" / "compete")}
    recipes = {
        f"compete/starter/{folder}/{name}"
        for folder in ("base_models", "stacking")
        for name in files_under(ROOT / folder)
    }
    assert {name for name in names if not name.startswith(about)} == package | recipes
    assert f"{about}licenses/LICENSE" in names
    assert {Path(name).suffix for name in package} == {".py", ".html", ".js", ".css", ".typed"}
    assert "compete/starter/base_models/linear.toml" in names
    assert "compete/starter/stacking/mean.toml" in names


@pytest.mark.slow
def test_the_sdist_holds_what_tests_tools_and_the_makefile_need(dist: Path) -> None:
    top = f"compete-{compete.__version__}/"
    with tarfile.open(dist / f"{top[:-1]}.tar.gz") as sdist:
        names = {member.name.removeprefix(top) for member in sdist if member.isfile()}
    needed = TOP | {f"{folder}/{name}" for folder in FOLDERS for name in files_under(ROOT / folder)}
    assert names - {".gitignore", "PKG-INFO"} == needed
