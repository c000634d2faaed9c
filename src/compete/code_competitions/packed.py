"""A pack as it is shipped: one private dataset per part, and the notebook that predicts with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compete import atomic
from compete.code_competitions.parcels import Parcel, Pushable, kaggle_name
from compete.competition.names import checked_name, stays_inside
from compete.competition.workspace import Workspace
from compete.errors import ArchiveError, UserError
from compete.fingerprints import digest
from compete.printable import listed, shown
from compete.stored_json import read_json

MANIFEST, NOTEBOOK = "manifest.json", "submission.ipynb"


@dataclass(frozen=True)
class PackedFile:
    sha256: str
    bytes: int
    part: str


@dataclass(frozen=True)
class Packed:
    """A pack whose manifest was read, and whose files are as it says."""

    name: str
    folder: Path
    competition: str
    stack: str
    files: Mapping[str, PackedFile]
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"stack {self.stack}"

    @cached_property
    def content(self) -> str:
        return digest([json.dumps({place: each.sha256 for place, each in sorted(self.files.items())})])

    @property
    def notebook(self) -> Path:
        return self.folder / NOTEBOOK

    def refuse_other_competition(self, *names: str) -> None:
        """Raise ArchiveError unless it was packed for the competition of one of these names."""
        if self.competition not in names:
            raise ArchiveError(
                f"packs/{self.name} was packed for {shown(self.competition)}, and this workspace is {names[-1]!r}, on "
                f"Kaggle {names[0]!r}: pack it here (`compete pack`)"
            )

    def parcels(self, competition: str) -> list[Parcel]:
        """A dataset per part, its files where they lie in the pack; the manifest lies with the smallest of them."""
        parts = sorted({each.part for each in self.files.values()})
        sizes = {part: sum(each.bytes for each in self.files.values() if each.part == part) for part in parts}
        smallest = min(parts, key=lambda part: (sizes[part], part))
        found = []
        for part in parts:
            places = [place for place, each in self.files.items() if each.part == part and place != NOTEBOOK]
            hashes = {place: self.files[place].sha256 for place in places}
            if part == smallest:
                hashes[MANIFEST] = atomic.sha256_file(self.folder / MANIFEST)
            files = {place: self.folder / place for place in hashes}
            found.append(Parcel(part, kaggle_name(competition, self.name, part), files, hashes))
        return [each for each in found if each.files]

    def pushable(self, name: str, competition: str, accelerator: str) -> Pushable:
        """The notebook with all that it is run with."""
        return Pushable(
            name,
            self.notebook,
            competition,
            datasets=self.datasets,
            models=self.models,
            accelerator=accelerator,
            parcels=self.parcels(competition),
        )


def open_pack(workspace: Workspace, name: str | None) -> Packed:
    """The pack of that name, or the only one there is; raises UserError, ArchiveError for one that was changed."""
    folder = workspace.root / "packs" / checked_name(name or _only(workspace), "pack")
    if not (folder / MANIFEST).is_file():
        raise UserError(f"packs/{folder.name} is no pack: it has no {MANIFEST}. `compete pack` makes one.")
    found = _read(folder)
    _refuse_changed(found)
    return found


def _only(workspace: Workspace) -> str:
    found = sorted(path.parent.name for path in (workspace.root / "packs").glob(f"*/{MANIFEST}"))
    if not found:
        raise UserError("there is no pack yet: `compete pack` makes one of the chosen stack")
    if len(found) > 1:
        raise UserError(f"which pack? There are {listed(found)}")
    return found[0]


def _read(folder: Path) -> Packed:
    record = read_json(folder / MANIFEST)
    files = {place: PackedFile(**each) for place, each in record["files"].items()}
    references = [each["kaggle"] for each in record.get("checkpoints", []) if each.get("kaggle")]
    models = tuple(each for each in references if each.count("/") > 1)
    datasets = tuple(each for each in references if each.count("/") == 1)
    return Packed(folder.name, folder, record["competition"], record["stack"], files, models, datasets)


def _refuse_changed(packed: Packed) -> None:
    """Raise ArchiveError unless every file is there and as the manifest says."""
    if not packed.notebook.is_file():
        raise _changed(packed, f"{NOTEBOOK} is gone")
    for place, expected in packed.files.items():
        path = packed.folder / place
        if not stays_inside(place):
            raise _changed(packed, f"its manifest names {shown(place)}, which lies elsewhere")
        if path.is_symlink() or not path.is_file():
            raise _changed(packed, f"{place} is gone")
        if path.stat().st_size != expected.bytes or atomic.sha256_file(path) != expected.sha256:
            raise _changed(packed, f"{place} is not what was packed")


def _changed(packed: Packed, why: str) -> ArchiveError:
    return ArchiveError(f"packs/{packed.name}: {why}. Make it again with `compete pack`.")
