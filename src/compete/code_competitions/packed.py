"""A pack as it is shipped: one private dataset per part, and the notebook that predicts with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compete import atomic
from compete.code_competitions.manifest import (
    MANIFEST,
    NOTEBOOK,
    WORKSPACE,
    KaggleDataset,
    KaggleModel,
    Manifest,
    check_hashes,
    read_manifest,
)
from compete.code_competitions.parcels import Parcel, Pushable, kaggle_name
from compete.competition.workspace import Workspace
from compete.errors import PackError, UserError
from compete.printable import listed, shown


@dataclass(frozen=True)
class Packed:
    """A pack whose manifest was read, and whose files are as it says."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.folder.name

    def refuse_other_competition(self, slug: str, declared: str) -> None:
        """Raise PackError unless it was packed for this competition: for its address on Kaggle, or for its name."""
        packed = self.manifest
        same = packed.competition == declared if packed.kaggle is None else packed.kaggle == slug
        if not same:
            raise PackError(
                f"packs/{self.name} was packed for {shown(packed.kaggle or packed.competition)}, and this workspace is "
                f"{declared!r}, on Kaggle {slug!r}: pack it here (`compete pack`)"
            )

    def parcels(self, competition: str) -> list[Parcel]:
        """A dataset per part, its files where they lie in the pack; the manifest lies with the workspace."""
        return [self._parcel(part, competition) for part in self.manifest.parts if part != "notebook"]

    def pushable(self, name: str, competition: str, accelerator: str) -> Pushable:
        """The notebook with all that it is run with."""
        comes = [checkpoint.comes for checkpoint in self.manifest.checkpoints]
        return Pushable(
            name,
            self.folder / NOTEBOOK,
            competition,
            datasets=sorted({each.kaggle_dataset for each in comes if isinstance(each, KaggleDataset)}),
            models=sorted({each.kaggle_model for each in comes if isinstance(each, KaggleModel)}),
            accelerator=accelerator,
            parcels=self.parcels(competition),
        )

    def _parcel(self, part: str, competition: str) -> Parcel:
        hashes = {file.path: file.sha256 for file in self.manifest.part(part)}
        if part == WORKSPACE:
            hashes[MANIFEST] = atomic.sha256_file(self.folder / MANIFEST)
        files = {place: self.folder / place for place in hashes}
        return Parcel(part, kaggle_name(competition, self.name, *part.split("/")), files, hashes)


def open_pack(workspace: Workspace, name: str | None) -> Packed:
    """The pack of that name, or the only one there is; raises PackError for one that was changed."""
    folder = workspace.pack(name or _only(workspace))
    manifest = read_manifest(folder)
    check_hashes(folder, manifest)
    if not manifest.part("notebook") or not manifest.part(WORKSPACE):
        raise PackError(f"{folder} is not whole: it lacks {NOTEBOOK} or {WORKSPACE}/. `compete pack` makes it again")
    return Packed(folder, manifest)


def _only(workspace: Workspace) -> str:
    found = sorted(path.parent.name for path in workspace.packs.glob(f"*/{MANIFEST}"))
    if not found:
        raise UserError("there is no pack yet: `compete pack` makes one of the chosen stack")
    if len(found) > 1:
        raise UserError(f"which pack? There are {listed(found)}")
    return found[0]
