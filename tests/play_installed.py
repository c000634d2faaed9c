"""Plays the embedded competition with a built wheel, in an environment and a folder that do not know the repository.

`make test-installed` runs it. A file that the wheel lacks, or a dependency that is not declared, ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
WHERE = "import compete, importlib.metadata as m; print(compete.__file__); print(m.version('compete'))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dist", type=Path, help="the folder with the wheel, and no other")
    parser.add_argument(
        "--borrow",
        action="store_true",
        help="take compete's dependencies from the Python that runs this: quick, but tells nothing of what is declared",
    )
    options = parser.parse_args()
    (wheel,) = options.dist.resolve().glob("compete-*.whl")
    with tempfile.TemporaryDirectory(prefix="compete-installed-", ignore_cleanup_errors=True) as folder:
        environment, empty = Path(folder).resolve() / "venv", Path(folder).resolve() / "empty"
        assert not environment.is_relative_to(REPOSITORY), f"{environment} lies in the repository: set TMPDIR"
        empty.mkdir()
        install(wheel, environment, borrow=options.borrow)
        play(environment, empty, version=wheel.name.split("-")[1])


def install(wheel: Path, environment: Path, borrow: bool) -> None:
    venv.create(environment, with_pip=True, symlinks=os.name != "nt")
    pip = [str(scripts(environment) / "python"), "-m", "pip", "install", "--quiet", str(wheel)]
    if borrow:
        # A .pth file found in a folder that a .pth file names is not read: an editable compete there is not seen.
        (site_packages(environment) / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        pip.append("--no-deps")
    subprocess.run(pip, env=clean(), check=True)


def play(environment: Path, folder: Path, version: str) -> None:
    def run(program: str, *arguments: str) -> str:
        print("$", program, *arguments, flush=True)
        command = [str(scripts(environment) / program), *arguments]
        done = subprocess.run(
            command, cwd=folder, env=clean(), stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False
        )
        print(done.stdout, flush=True)
        if done.returncode:
            sys.exit(f"{program} {' '.join(arguments)}: exit code {done.returncode}")
        return done.stdout

    where, recorded = run("python", "-c", WHERE).splitlines()
    assert Path(where).is_relative_to(site_packages(environment)), f"{where} is not the wheel's"
    assert recorded == version
    assert run("compete", "--version").split() == ["compete", version]

    run("compete", "demo-data", "data")
    files = {"--train": "train", "--test": "test", "--sample": "sample_submission"}
    run("compete", "init", ".", *(word for flag, name in files.items() for word in (flag, f"data/{name}.csv")))
    declaration = folder / "competition.toml"
    text = declaration.read_text(encoding="utf-8")
    text, solutions = re.subn("^# (?=solution = )", "", text, flags=re.MULTILINE)
    text, sizes = re.subn('^size = "[a-z]+"', 'size = "miniature"', text, flags=re.MULTILINE)
    assert (solutions, sizes) == (1, 1), text
    declaration.write_text(text, encoding="utf-8")
    run("compete", "train-base", "linear", "nbsvm")
    # A miniature that comes with code of its own, which is a file of the package.
    run("compete", "train-base", "stella_en_1_5b_v5", "--fold", "0")
    run("compete", "stack")
    run("compete", "submit")
    (sent,) = json.loads(run("compete", "scores", "--json"))["submissions"]
    assert 0.5 < sent["public"] < 1, sent
    run("compete", "report")
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "<style>" in page and "<script" in page
    assert f"compete {version}" in page


def scripts(environment: Path) -> Path:
    return environment / ("Scripts" if os.name == "nt" else "bin")


def site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))


def clean() -> dict[str, str]:
    """The environment without what could lead Python to another compete."""
    leading = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in leading}
    return kept | {"PYTHONNOUSERSITE": "1", "PYTHONIOENCODING": "utf-8"}


if __name__ == "__main__":
    main()
