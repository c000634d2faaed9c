"""What is built holds all that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

import compete
from support.pages import ROOT

# What a checkout has beside folders: a test, a tool or a target of the Makefile reads each of them.
TOP = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "competition.toml",
    "mkdocs.yml",
    "pyproject.toml",
}
FOLDERS = ("base_models", "benchmarks", "docs", "src", "stacking", "tests")


def files_under(folder: Path) -> set[str]:
    """Files as a clone has them, relative to the folder, with slashes."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if "__pycache__" not in path.parts}


def test_what_is_installed_says_the_same_version() -> None:
    # An editable install remembers the version of its day; `make` renews it when __init__.py changes.
    assert version("compete") == compete.__version__


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
