"""A competition's data from Kaggle, and the [data] of competition.toml that fits it."""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compete import atomic
from compete.archives import checked_members
from compete.competition.data_files import is_table
from compete.competition.declaration import CompetitionDeclaration
from compete.competition.metric_names import is_own, metric_info
from compete.competition.starter import Found, data_lines, look_at_files, metric_lines, task_lines
from compete.competition.workspace import Workspace
from compete.data_bounds import DEEPEST_PACKING
from compete.errors import ArchiveError, KaggleError, UserError
from compete.stored_json import read_json
from compete.submissions.kaggle.client import PATIENCE, SLOWEST, KaggleClient


@dataclass(frozen=True)
class Downloaded:
    """What came of a download."""

    files: list[Path]
    """What lies in data/ now."""
    found: Found | None
    """What they tell, and [data] says now; None where it was right already."""
    kept: dict[Path, Path]
    """Files that somebody edited, which stayed as they are, each with where its download lies."""


def fetch(workspace: Workspace, declaration: CompetitionDeclaration, client: KaggleClient) -> Downloaded:
    """Download all files into data/ and, unless [data] names files that are there, fill it in."""
    folder = workspace.data
    named = [*declaration.data.train, *declaration.data.test]
    keep = all((workspace.root / path).is_file() for path in named)
    total = sum(int(each["bytes"] or 0) for each in client.call("files"))
    # Twice: for a while, the archive and what is unpacked of it lie beside each other.
    _refuse_no_room(workspace.root, 2 * total)
    with tempfile.TemporaryDirectory(dir=workspace.root, prefix=".download-") as scratch:
        client.call("download", 10 * PATIENCE + total / SLOWEST, folder=scratch)
        data = _DataFolder(folder, workspace.downloads)
        files = _unpack(Path(scratch) / f"{client.slug}.zip", folder, data.put)
    data.remember()
    if keep:
        return Downloaded(files, None, data.kept)
    found = look_at_files(workspace.root, *(_named(files, role) for role in ("train", "test", "sample")))
    if found.train is None:
        raise UserError(
            f"none of the downloaded files is called like training data: {', '.join(path.name for path in files)}. "
            "They lie in data/; name them under [data] by hand"
        )
    _fill_in(workspace.declaration, found)
    return Downloaded(files, found, data.kept)


def _refuse_no_room(root: Path, needed: int) -> None:
    free = shutil.disk_usage(root).free
    if free < needed:
        raise UserError(f"the download needs {needed / 1e9:.1f} GB in {root}, where {free / 1e9:.1f} GB are free")


class _DataFolder:
    """Where downloads are put. What somebody edited since the last download, or wrote himself, is left as it is.

    record: hashes of what was downloaded, by path.
    """

    def __init__(self, folder: Path, record: Path) -> None:
        self.folder, self.record = folder, record
        self.hashes = _hashes(record)
        self.kept: dict[Path, Path] = {}

    def put(self, path: Path, content: bytes) -> Path:
        """Write a downloaded file, beside an edited one of its name; where it lies."""
        name, new = path.relative_to(self.folder.resolve()).as_posix(), hashlib.sha256(content).hexdigest()
        there = atomic.sha256_file(path) if path.is_file() else None
        if there is not None and there not in (new, self.hashes.get(name)):
            beside = path.with_name(f"{path.stem}.downloaded{path.suffix}")
            atomic.write_bytes(beside, content)
            self.kept[path] = beside
            return beside
        if there != new:
            atomic.write_bytes(path, content)
        self.hashes[name] = new
        return path

    def remember(self) -> None:
        atomic.write_json(self.record, self.hashes)


def _hashes(record: Path) -> dict[str, str]:
    """What was downloaded before; nothing, if nobody knows: then every file counts as somebody's own."""
    try:
        found = read_json(record)
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _unpack(archive: Path, folder: Path, put: Callable[[Path, bytes], Path], depth: int = 0) -> list[Path]:
    """The files of the archive in `folder`, each put there as a whole; folders in it are kept, archives unpacked.

    Raises ArchiveError before anything of it is written for one with names that lead elsewhere, links or a bomb in it.
    """
    if not archive.is_file():
        raise KaggleError("Kaggle's download did not arrive: the same command tries again")
    if depth > DEEPEST_PACKING:
        raise ArchiveError(f"{archive.name} lies in more than {DEEPEST_PACKING} archives: it is not unpacked")
    files = []
    try:
        with zipfile.ZipFile(archive) as opened:
            members = checked_members(archive, opened)
            paths = [(folder / member.filename).resolve() for member in members]
            outside = next((path for path in paths if not path.is_relative_to(folder.resolve())), None)
            if outside is not None:  # by a link that lay there before
                raise ArchiveError(f"{archive.name} is not unpacked: {outside} lies outside of {folder}")
            for member, path in zip(members, paths, strict=True):
                lies = put(path, opened.read(member))
                files += _unpack(lies, path.parent, put, depth + 1) if path.suffix == ".zip" else [path]
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError):
        raise KaggleError("Kaggle's download is damaged: the same command tries again") from None
    except (RuntimeError, NotImplementedError) as error:  # a password, or an unusual compression
        raise ArchiveError(f"{archive.name} cannot be unpacked ({error}): unpack it by hand into {folder}") from None
    return files


def _named(files: list[Path], role: str) -> Path | None:
    """The table that is called like its role; a sample submission often says "test" too."""
    tables = [path for path in files if is_table(path) and path.suffix.lower() != ".json"]  # it may be anything
    sample = [path for path in tables if "sample" in path.stem.lower() or "submission" in path.stem.lower()]
    if role == "sample":
        return next(iter(sample), None)
    fitting = [path for path in tables if role in path.stem.lower() and path not in sample]
    # The shortest name says it plainly: train.csv, and not train_extra.csv.
    return min(fitting, key=lambda path: len(path.name), default=None)


def _fill_in(declaration: Path, found: Found) -> None:
    """Replace the section [data] of competition.toml, and task and metric where the files tell another task; nothing
    else. Raises UserError where that cannot be done."""
    # Not read_text, which would make every line break a \n: the file keeps those it has.
    text = declaration.read_bytes().decode("utf-8")
    newline = "\r\n" if "\r\n" in text else "\n"
    lines, section = text.splitlines(), data_lines(found)
    headers = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    start = next((number for number in headers if re.match(r"\s*\[\s*data\s*\]", lines[number])), len(lines))
    end = next((number for number in headers if number > start), len(lines))
    rest = lines[_above(lines, end) :] if end < len(lines) else []
    changed = newline.join([*_of_the_task(lines[:start], found), *section, *rest]) + newline
    try:
        tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        raise UserError(
            f"{declaration.name}: its [data] cannot be replaced by itself. Replace it by hand:\n" + "\n".join(section)
        ) from None
    atomic.write_bytes(declaration, changed.encode("utf-8"))


def _of_the_task(lines: list[str], found: Found) -> list[str]:
    """What stands before the tables, with the task that was found; a metric that scores it stays."""
    try:
        top = tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return lines  # said by the caller
    if found.task is None or top.get("task", "multilabel") == found.task or any(line.startswith("[") for line in lines):
        return lines
    metric = str(top.get("metric", ""))
    info = metric_info(metric)
    scores_it = is_own(metric) or (info is not None and found.task in info.tasks)
    new = task_lines(found) if scores_it else [*task_lines(found), *metric_lines(found)]
    keys = "task" if scores_it else "task|metric"
    kept = [line for line in lines if not re.match(rf"\s*({keys})\s*=", line)]
    place = next((number + 1 for number, line in enumerate(kept) if re.match(r"\s*name\s*=", line)), 0)
    return [*kept[:place], *new, *kept[place:]]


def _above(lines: list[str], header: int) -> int:
    """Where what belongs to a header begins: the comments right above it, if a blank line parts them from the rest."""
    first = header
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    if lines[first - 1].strip():
        return header
    while not lines[first - 1].strip():
        first -= 1
    return first
