"""The wheels of a pack: compete itself, written from what is installed here, and whatever else was gathered.

A wheel is a zip with a list of its files (PEP 427): compete is Python alone, so it needs no build and no network. It
has the same bytes whenever it is written of the same files.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import compete
from compete.errors import PackError

_WHEEL = "Wheel-Version: 1.0\nGenerator: compete\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_WHEN = (1980, 1, 1, 0, 0, 0)
_NAME = re.compile(
    r"^[A-Za-z0-9._]+-[A-Za-z0-9._!+]+(-[A-Za-z0-9._]+)?-[A-Za-z0-9._]+-[A-Za-z0-9._]+-[A-Za-z0-9._]+\.whl$"
)


def gather_wheels(target: Path, wheel: Path | None, folder: Path | None) -> None:
    """Put wheels into `target`: compete's own (`wheel`, or made anew) and those in `folder`."""
    target.mkdir(parents=True, exist_ok=True)
    others = [] if folder is None else sorted(folder.glob("*.whl"))
    if folder is not None and not others:
        raise PackError(f"{folder} holds no wheels (*.whl): `compete pack` prints the `pip download` that fills it")
    for path in (*others, *([wheel] if wheel else [])):
        if not path.is_file() or not zipfile.is_zipfile(path) or not _NAME.fullmatch(path.name):
            raise PackError(f"{path} is no wheel")
        shutil.copyfile(path, target / path.name)
    if wheel is None and not any(path.name.startswith("compete-") for path in others):
        write_own_wheel(target)


def write_own_wheel(folder: Path) -> Path:
    """The wheel of the compete that runs; raises PackError where it is not installed as a package."""
    try:
        found = importlib.metadata.distribution("compete")
    except importlib.metadata.PackageNotFoundError:
        raise PackError("compete is not installed as a package here: give its wheel with --wheel FILE") from None
    version = compete.__version__
    metadata = re.sub(r"(?m)^Version: .*$", f"Version: {version}", found.read_text("METADATA") or "", count=1)
    about = f"compete-{version}.dist-info"
    files = {name: path.read_bytes() for name, path in _own_files()}
    files |= {f"{about}/METADATA": metadata.encode(), f"{about}/WHEEL": _WHEEL.encode()}
    entry_points = found.read_text("entry_points.txt")
    if entry_points:
        files[f"{about}/entry_points.txt"] = entry_points.encode()
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    path = folder / f"compete-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _WHEN)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def _own_files() -> Iterator[tuple[str, Path]]:
    package = Path(compete.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
            yield f"compete/{path.relative_to(package).as_posix()}", path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def still_needed(folder: Path) -> list[str]:
    """What compete needs besides itself, as "name==version" of here, and `folder` has no wheel of."""
    there = {_plain(path.name.split("-", 1)[0]) for path in folder.glob("*.whl")}
    needed = []
    for requirement in importlib.metadata.requires("compete") or []:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is None or "extra ==" in requirement or _plain(name[0]) in there:
            continue
        try:
            needed.append(f"{name[0]}=={importlib.metadata.version(name[0])}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return needed


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def download_command(needed: list[str], python: str, folder: str = "wheels") -> str:
    """The `pip download` that fetches these for Kaggle's image, where there is a network."""
    # What a local build adds to its version, as +cpu, no index has.
    plain = " ".join(each.split("+", 1)[0] for each in needed)
    image = f"--only-binary :all: --python-version {python} --platform manylinux2014_x86_64"
    return f"pip download --no-deps {image} -d {folder} {plain}"
