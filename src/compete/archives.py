"""Archives that go from machine to machine: zip files with a manifest that has the hash of every other member.

The same content gives the same bytes. What is read was perhaps damaged on its way, or made by somebody else: before a
byte of it is written anywhere, every name is known to lead nowhere but into the folder it is unpacked in.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from compete import atomic
from compete.data_bounds import is_bomb
from compete.errors import ArchiveError, DiskFullError
from compete.fingerprints import digest
from compete.printable import on_one_line, shown
from compete.stored_json import parsed_json

FORMAT = 1
MANIFEST = "manifest.json"
MOST_FILES = 10_000
MOST_BYTES = 64 * 2**30
_MOST_IN_MANIFEST = 16 * 2**20
_LONGEST_NAME = 240
_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say: none of its bytes tells when it was made
_FILE = (stat.S_IFREG | 0o644) << 16
_PACKED = {".safetensors", ".parquet", ".gz", ".zip", ".xz", ".bz2", ".zst", ".xlsx"}
_CHUNK = 2**20
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError, KeyError,
)  # fmt: skip

Content = Mapping[str, Path | bytes]


@dataclass(frozen=True)
class Archive:
    """One whose manifest and names were checked; what its members hold is checked when they are unpacked."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """Its members, without the manifest."""
        return list(self.manifest["files"])

    def has(self, folder: str) -> bool:
        """Whether anything lies in a folder of it."""
        return any(name.startswith(f"{folder}/") for name in self.names)

    def read(self, name: str) -> bytes:
        """What one member holds; raises ArchiveError if that is not what the manifest says."""
        try:
            with zipfile.ZipFile(self.path) as packed:
                content = packed.read(name)
        except _UNREADABLE as error:
            raise damaged(self.path, str(error)) from None
        if _sha256(content) != self.manifest["files"][name]:
            raise damaged(self.path, f"{name} is not what was packed")
        return content

    def unpack(self, target: Path, folder: str = "") -> None:
        """Write its members, or those of a folder of it, into `target`.

        Raises ArchiveError if one is not what the manifest says, DiskFullError if there is no space.
        """
        prefix = f"{folder}/" if folder else ""
        chosen = [name for name in self.names if name.startswith(prefix)]
        try:
            with zipfile.ZipFile(self.path) as packed, atomic.disk_full_is_said(target):
                _refuse_without_space(target, sum(packed.getinfo(name).file_size for name in chosen))
                for name in chosen:
                    path = target / name.removeprefix(prefix)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with packed.open(name) as source, path.open("wb") as file:
                        shutil.copyfileobj(source, file, _CHUNK)
                    if atomic.sha256_file(path) != self.manifest["files"][name]:
                        raise damaged(self.path, f"{name} is not what was packed")
        except _UNREADABLE as error:
            raise damaged(self.path, str(error)) from None


def write_archive(path: Path, manifest: Mapping[str, Any], content: Content, *, private: bool = False) -> None:
    """Write `content`, files or bytes by name, and a manifest with their hashes and its own, atomically.

    private: for the user and his group alone, since it holds more than data.
    """
    names = sorted(content)
    for name in names:
        why = _wrong_with(name)
        if why:
            raise ArchiveError(f"{name} cannot be packed: {why}")
    files = {name: _sha256(content[name]) for name in names}
    record = json.loads(json.dumps({**manifest, "format": FORMAT, "files": files}))
    whole = {**record, "sha256": _seal(record)}
    with atomic.new_file(path, private=private) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        _add(packed, MANIFEST, json.dumps(whole, indent=1, ensure_ascii=False).encode())
        for name in names:
            _add(packed, name, content[name])


def read_archive(path: Path, kind: str, keys: Mapping[str, type]) -> Archive:
    """An archive of this kind (its manifest's `kind`); raises ArchiveError for one that is damaged or foreign.

    keys: what its manifest has to hold besides, and of which types.
    """
    if path.exists() and not path.is_file():  # a pipe would never answer
        raise ArchiveError(f"{path} is no file")
    try:
        with zipfile.ZipFile(path) as packed:
            members = {member.filename: member for member in checked_members(path, packed)}
            if MANIFEST not in members or members[MANIFEST].file_size > _MOST_IN_MANIFEST:
                raise ArchiveError(f"{path} was not packed by compete: it has no {MANIFEST}")
            manifest = parsed_json(packed.read(MANIFEST))
    except FileNotFoundError:
        raise ArchiveError(f"{path} does not exist") from None
    except _UNREADABLE as error:
        raise damaged(path, str(error)) from None
    if not isinstance(manifest, dict) or manifest.get("sha256") != _seal(manifest):
        raise damaged(path, f"its {MANIFEST} was changed")
    if manifest.get("format") != FORMAT:
        raise ArchiveError(f"{path} has format {shown(manifest.get('format'))}, and this compete reads {FORMAT}")
    if manifest.get("kind") != kind:
        raise ArchiveError(f"{path} is a {on_one_line(str(manifest.get('kind')))[:40]}, expected a {kind}")
    absent = [key for key, kind in {"files": dict, **keys}.items() if not isinstance(manifest.get(key), kind)]
    if absent:
        raise damaged(path, f"its {MANIFEST} has no {', '.join(absent)}")
    if not all(isinstance(hashed, str) for hashed in manifest["files"].values()):
        raise damaged(path, f"its {MANIFEST} has no hashes")
    if set(manifest["files"]) != set(members) - {MANIFEST}:
        raise damaged(path, f"it does not hold the files that its {MANIFEST} lists")
    return Archive(path, manifest)


def damaged(path: Path, why: str) -> ArchiveError:
    return ArchiveError(f"{path} is damaged ({why}): copy or make it again")


def checked_members(path: Path, packed: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Every file of a zip archive that somebody else made; raises ArchiveError before any of it is unpacked.

    Refused are: too many of them or too many bytes, more bytes than so small an archive can hold of anything but a
    bomb, names that lead out of the folder, links and devices, and two members of one name.
    """
    members = [member for member in packed.infolist() if not member.is_dir()]
    if len(members) > MOST_FILES:
        raise ArchiveError(f"{path} holds {len(members)} files, at most {MOST_FILES} are unpacked")
    size = sum(member.file_size for member in members)
    if size > MOST_BYTES:
        raise ArchiveError(f"{path} holds {size} bytes, at most {MOST_BYTES} are unpacked")
    if is_bomb(path.stat().st_size, size):
        raise ArchiveError(f"{path} would be {size:,} bytes, unpacked of {path.stat().st_size:,}: that is a bomb")
    names: set[str] = set()
    folders = {parent.as_posix() for member in members for parent in PurePosixPath(member.filename).parents}
    for member in members:
        why = _wrong_with(member.filename)
        if not why and member.filename in names:
            why = "it is there twice"
        if not why and member.filename in folders:
            why = "it is a file and a folder"
        if not why and stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            why = "it is a link or no file"
        if why:
            raise ArchiveError(f"{path} is not unpacked, for its member {shown(member.filename)}: {why}")
        names.add(member.filename)
    return members


def _wrong_with(name: str) -> str:
    """Why a member's name is refused; empty for one that leads into the folder it is unpacked in."""
    parts = name.split("/")
    if name.startswith("/") or PurePosixPath(name).is_absolute() or any(letter in name for letter in "\\:"):
        return "its name is that of a file elsewhere"
    if any(part in ("", ".", "..") for part in parts):
        return "its name leads out of the folder"
    if len(name) > _LONGEST_NAME or not name.isprintable():
        return "its name is too long, or has letters that cannot be shown"
    return ""


def _refuse_without_space(target: Path, needed: int) -> None:
    there = next(path for path in (target, *target.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise DiskFullError(
            f"no space left on the disk for {target}: {needed:,} bytes are needed, {free:,} are free. Free some space "
            "and run the same command again: what was finished is kept and not done twice."
        )


def _add(packed: zipfile.ZipFile, name: str, content: Path | bytes) -> None:
    member = zipfile.ZipInfo(name, _WHEN)
    member.create_system, member.external_attr = 3, _FILE  # as on Unix, wherever it is made
    # What is dense already takes time, and becomes no smaller.
    dense = PurePosixPath(name).suffix.lower() in _PACKED
    member.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
    member.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
    with packed.open(member, "w") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file, _CHUNK)
        else:
            file.write(content)


def _sha256(content: Path | bytes) -> str:
    return atomic.sha256_file(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def _seal(manifest: Mapping[str, Any]) -> str:
    return digest([json.dumps({key: value for key, value in manifest.items() if key != "sha256"}, sort_keys=True)])
