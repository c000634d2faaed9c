"""A pack as it lies where it runs: its files in one folder, or wherever several inputs were mounted.

Kaggle mounts every dataset and model under a folder of its own, and unpacks archives. So files are looked for by the
end of their path and their size, and counted as the pack's only if they have the hash that its manifest says.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compete import atomic
from compete.base_models.checkpoint_files import hash_of_checkpoint
from compete.code_competitions.halves import raised
from compete.code_competitions.manifest import (
    MANIFEST,
    WEIGHTS,
    WORKSPACE,
    Manifest,
    Member,
    PackedCheckpoint,
    PackedFile,
    read_manifest,
)
from compete.competition.workspace import DECLARATION, Workspace
from compete.declarations import to_toml
from compete.errors import PackError
from compete.oof.kept import prior_in

_MOST_LOOKED_AT = 500_000


@dataclass
class OpenedPack:
    """A pack whose files were found, and the workspace that it predicts in."""

    manifest: Manifest
    found: Mapping[str, Path]
    """Where each of its files lies, by its path in the pack; what is missing is not in it."""
    root: Path
    """A folder of this process, with the workspace's part laid out; weights come and go."""
    roots: Sequence[Path]
    """What was looked through."""
    looked_for: list[str] = field(default_factory=list)
    """What is not where it should be, in sentences."""

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    def checked(self, file: PackedFile) -> Path:
        """A file's place; raises PackError unless it is there as it was packed."""
        path = self.found.get(file.path)
        if path is None:
            raise PackError(f"{file.path} of the pack was not found")
        if path.stat().st_size != file.bytes or atomic.sha256_file(path) != file.sha256:
            raise PackError(f"{file.path} is not the file that was packed")
        return path

    def lay_fold(self, member: Member, fold: int) -> Path:
        """The weights of a fold, checked, as its family reads them; `drop` removes them."""
        base = f"{WEIGHTS}/{member.name}"
        packed, folder = self.root / ".packed", self.root / "fold"
        for each in (packed, folder):
            shutil.rmtree(each, ignore_errors=True)
        self._lay(f"{base}/fold_{fold}/", packed, self.manifest.part(base))
        if member.precision == "float16":
            raised(packed, folder)
            shutil.rmtree(packed)
        else:
            packed.rename(folder)
        prior = prior_in(folder)
        if prior is not None and not self.workspace.prior(prior).is_dir():
            self._lay(f"{base}/prior/", self.workspace.prior(prior), self.manifest.part(base))
        return folder

    def drop(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def _lay(self, prefix: str, target: Path, files: Sequence[PackedFile]) -> None:
        laid = [file for file in files if file.path.startswith(prefix)]
        if not laid:
            raise PackError(f"the pack holds no {prefix}")
        for file in laid:
            place = target / file.path.removeprefix(prefix)
            place.parent.mkdir(parents=True, exist_ok=True)
            _link(self.checked(file), place)


def _link(path: Path, place: Path) -> None:
    """The same file at another place; a copy where links are not possible. Nothing writes into it."""
    try:
        place.symlink_to(path.resolve())
    except OSError:
        shutil.copyfile(path, place)


def open_pack(folder: Path, root: Path, others: Sequence[Path] = ()) -> OpenedPack:
    """The pack whose manifest lies in `folder`; what is not beside it is looked for in `others`.

    root: an empty folder to lay it out in. Raises PackError where it cannot be used at all; what only one model needs
    is missed when that model is predicted.
    """
    manifest = read_manifest(folder)
    roots = [folder, *others]
    opened = OpenedPack(manifest, _places(manifest, folder, others), root, roots)
    for file in manifest.part(WORKSPACE):
        place = root / file.path.removeprefix(f"{WORKSPACE}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(opened.checked(file), place)
    checkpoints = {}
    for checkpoint in manifest.checkpoints:
        where = _checkpoint(opened, checkpoint)
        if where is None:
            opened.looked_for.append(
                f"the checkpoint {checkpoint.name} was not found: {', '.join(checkpoint.models)} cannot be predicted"
            )
        else:
            checkpoints[checkpoint.name] = str(where)
    if checkpoints:
        with (root / DECLARATION).open("a", encoding="utf-8") as file_:
            file_.write(to_toml({}, {"checkpoints": checkpoints}))
    return opened


def find_pack(roots: Sequence[Path], pack_id: str) -> Path:
    """The folder with the manifest of a pack, by its id; raises PackError if there is none."""
    seen = []
    for path in _walk(roots):
        if path.name != MANIFEST:
            continue
        try:
            manifest = read_manifest(path.parent)
        except PackError as error:
            seen.append(str(error))
            continue
        if manifest.id == pack_id:
            return path.parent
        seen.append(f"{path} is of another pack ({manifest.id})")
    looked = ", ".join(map(str, roots))
    raise PackError(f"the pack {pack_id} is not in {looked}. " + ("; ".join(seen[:5]) or "No pack is there."))


def _walk(roots: Sequence[Path]) -> Iterator[Path]:
    """Every file below some folders, each once."""
    count = 0
    for root in roots:
        for folder, names, files in os.walk(root):
            names.sort()
            for name in sorted(files):
                count += 1
                if count > _MOST_LOOKED_AT:
                    return
                yield Path(folder, name)


def _places(manifest: Manifest, folder: Path, others: Sequence[Path]) -> dict[str, Path]:
    """Where the files lie: beside the manifest, or elsewhere under the longest end of their path."""
    found = {file.path: folder / file.path for file in manifest.files if (folder / file.path).is_file()}
    left = {file.path: file for file in manifest.files if file.path not in found}
    if not left or not others:
        return found
    by_name: dict[str, list[Path]] = {}
    wanted = {path.rpartition("/")[2] for path in left}
    for path in _walk(others):
        if path.name in wanted:
            by_name.setdefault(path.name, []).append(path)
    for name, file in left.items():
        of_size = [p for p in by_name.get(name.rpartition("/")[2], []) if p.stat().st_size == file.bytes]
        # The one whose path ends most alike; of several that do, the one with the very content.
        of_size.sort(key=lambda path: -_common_end(path, name))
        best = [path for path in of_size if _common_end(path, name) == _common_end(of_size[0], name)]
        if len(best) > 1:
            best = [path for path in best if atomic.sha256_file(path) == file.sha256]
        if best:
            found[name] = best[0]
    return found


def _common_end(path: Path, name: str) -> int:
    count = 0
    for one, other in zip(reversed(path.parts), reversed(name.split("/")), strict=False):
        if one != other:
            break
        count += 1
    return count


def _checkpoint(opened: OpenedPack, checkpoint: PackedCheckpoint) -> Path | None:
    """The folder of a checkpoint: laid out of the pack, or found among the inputs by the hash of its files."""
    if checkpoint.comes == "included":
        target = opened.root / "checkpoints" / checkpoint.folder.rpartition("/")[2]
        try:
            opened._lay(f"{checkpoint.folder}/", target, opened.manifest.part(checkpoint.folder))
        except PackError as error:
            opened.looked_for.append(str(error))
            return None
        return target
    parts = checkpoint.comes.model_dump().values()
    slugs = {part.lower() for value in parts for part in str(value).split("/")}
    folders = [path.parent for path in _walk(opened.roots) if path.name == "config.json"]
    # Those whose path has most of the words of its address come first.
    folders.sort(key=lambda folder: -len(slugs & {part.lower() for part in folder.parts}))
    for folder in folders:
        if slugs & {part.lower() for part in folder.parts} and _is_checkpoint(folder, checkpoint):
            return folder
    return None


def _is_checkpoint(folder: Path, checkpoint: PackedCheckpoint) -> bool:
    files = hash_of_checkpoint(folder, checkpoint.more)
    return files is not None and (not checkpoint.files or files == checkpoint.files)
