"""What a checkpoint is: the bytes of its weights, its configuration and its tokenizer, wherever they lie.

The same files are the same checkpoint, fetched from the hub or copied into a folder; where they are not on this
machine, nothing is said of them. A file of gigabytes is hashed once: the hub's cache names files by their hash, and of
others it is remembered in oof/checkpoints.json, by what tells that they have not changed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compete import atomic
from compete.base_models.recipes import Recipe
from compete.competition.names import stays_inside
from compete.competition.workspace import Workspace
from compete.fingerprints import digest
from compete.stored_json import read_json

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_BESIDE = ("config.json", "tokenizer.json")


@dataclass(frozen=True)
class Checkpoint:
    """The files that a recipe starts from."""

    files: str
    """Hash of them, 16 hex digits."""
    commit: str = ""
    """Of the hub's repository; empty for a local folder."""

    def record(self) -> dict[str, str]:
        """As it is stored with what was made from it."""
        return {"files": self.files, **({"commit": self.commit} if self.commit else {})}


def checkpoint_of(workspace: Workspace, recipe: Recipe) -> Checkpoint | None:
    """The recipe's checkpoint as it lies here; None for a recipe without one, and where it is absent or incomplete."""
    folder = checkpoint_folder(recipe)
    if folder is None:
        return None
    with _remembered(workspace.checkpoint_hashes) as known:
        files = hash_of_checkpoint(folder, recipe.needs.files, known)
    return None if files is None else Checkpoint(files, folder.name if recipe.folder is None else "")


def checkpoint_folder(recipe: Recipe) -> Path | None:
    """The folder that holds the recipe's checkpoint here: a local one, or the hub's cache; None where there is none."""
    return (recipe.folder or _snapshot(recipe)) if recipe.needs.is_pretrained else None


def hash_of_checkpoint(folder: Path, more: Sequence[str] = (), known: dict[str, str] | None = None) -> str | None:
    """What `Checkpoint.files` is of this folder; None if weights are missing. more: names of files that count besides.

    known: hashes that were made before, which is added to.
    """
    files = _files(folder, more)
    remembered = {} if known is None else known
    return None if files is None else digest([f"{file.name} {_sha256(file, remembered)}" for file in files])


def _snapshot(recipe: Recipe) -> Path | None:
    """The folder of the hub's cache, which is called like the commit."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    revision = getattr(recipe.settings, "revision", None)
    try:
        found = try_to_load_from_cache(recipe.needs.checkpoint, _BESIDE[0], revision=revision or None)
    except HFValidationError:  # a path that is no folder
        return None
    return Path(found).parent if isinstance(found, str) else None


def _files(folder: Path, more: Sequence[str]) -> list[Path] | None:
    """What is hashed, by name; None if weights are missing. more: names of files that count besides."""
    if (folder / _SINGLE).is_file():
        weights = [folder / _SINGLE]
    elif (folder / _INDEX).is_file():
        names = weight_files(folder / _INDEX)
        if names is None:
            return None
        weights = [folder / name for name in names]
    else:
        weights = sorted(folder.glob("*.safetensors"))
    beside = [folder / name for name in (*_BESIDE, *more) if (folder / name).is_file()]
    return [*weights, *beside] if weights and all(file.is_file() for file in weights) else None


def weight_files(index: Path) -> list[str] | None:
    """Names of the files that an index of weights lists, sorted; None for what is no index of files beside it."""
    try:
        names = set(read_json(index)["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return sorted(names) if all(isinstance(name, str) and stays_inside(name) for name in names) else None


def _sha256(file: Path, known: dict[str, str]) -> str:
    target = file.resolve()
    if file.is_symlink() and target.parent.name == "blobs" and _SHA256.fullmatch(target.name):
        return target.name
    about = target.stat()
    key = f"{file.name} {about.st_size} {about.st_mtime_ns} {about.st_dev}:{about.st_ino}"
    if key not in known:
        known[key] = atomic.sha256_file(target)
    return known[key]


@contextlib.contextmanager
def _remembered(path: Path) -> Iterator[dict[str, str]]:
    """Hashes by what tells that a file has not changed; a cache, which where nothing can be written is done without."""
    try:
        read = read_json(path)
        known = {str(key): str(value) for key, value in read.items()}
    except (OSError, ValueError, AttributeError):
        known = {}
    before = len(known)
    yield known
    if len(known) > before:
        with contextlib.suppress(OSError):
            atomic.write_json(path, known)
