"""What goes to Kaggle: folders that become private datasets, and a notebook that is run beside them.

Each has a hash of what it holds. It goes along, in a version's notes and in the notebook's first cell, so that Kaggle
can be asked whether just this is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from compete import atomic
from compete.errors import UserError
from compete.fingerprints import digest
from compete.printable import shown
from compete.stored_json import read_json

# Letters of a dataset's name and title, as Kaggle's client checks them (dataset_create_new).
SHORTEST, LONGEST = 6, 50
LICENSE = "other"  # a private dataset has to name one; what may be passed on is said in the pack
T4 = "NvidiaTeslaT4"
ACCELERATORS = {"t4": T4, "none": ""}
_OWNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9_-]{4,}")
_MOST_NOTEBOOK = 16 * 2**20  # bytes; one is some kilobytes


@dataclass(frozen=True)
class Parcel:
    """What becomes one dataset."""

    part: str
    """What it is of the whole: "weights"."""
    name: str
    """The dataset's, without its owner."""
    files: Mapping[str, Path]
    """By where each lies in the dataset."""
    hashes: Mapping[str, str]
    """sha256 of each."""

    @cached_property
    def content(self) -> str:
        """A hash of places and files."""
        return digest([json.dumps(dict(sorted(self.hashes.items())))])

    @property
    def mark(self) -> str:
        """By which a version is known to hold just this."""
        return f"content {self.content[:32]}"

    @cached_property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files.values())

    def lay_out(self, folder: Path) -> None:
        """The files as they will lie in the dataset: links where the disk has them, with the times that files have.

        Kaggle's client knows by path, size and time what of an upload arrived before.
        """
        shutil.rmtree(folder, ignore_errors=True)
        with atomic.disk_full_is_said(folder):
            for place, path in self.files.items():
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, target)
                except OSError:  # another disk, or one without links
                    shutil.copy2(path, target)


@dataclass(frozen=True)
class Pushable:
    """A notebook, and what it is run with."""

    name: str
    """Of the notebook, without its owner."""
    path: Path
    competition: str
    """Its slug."""
    datasets: Sequence[str] = ()
    """Of others: "owner/name"."""
    models: Sequence[str] = ()
    """"owner/model/framework/variation/version"."""
    accelerator: str = T4
    internet: bool = False
    seconds: int | None = None
    """After which Kaggle ends the run; None: Kaggle's own limit."""
    parcels: Sequence[Parcel] = field(default=(), repr=False)

    @cached_property
    def content(self) -> str:
        """A hash of the notebook, of what it is run with and of what lies beside it."""
        options = [self.competition, *self.datasets, *self.models, self.accelerator, str(self.internet)]
        with_it = [each.content for each in self.parcels]
        return digest([atomic.sha256_file(self.path), json.dumps(options), *with_it, str(self.seconds)])

    @property
    def key(self) -> str:
        """Of what is noted of its way to Kaggle: the same content under another name goes another way."""
        return digest([self.content, self.name])[:16]

    @property
    def mark(self) -> str:
        return f"content {self.content[:32]}"

    @property
    def title(self) -> str:
        """Kaggle makes the notebook's address of it."""
        return self.name

    def lay_out(self, folder: Path, owner: str) -> None:
        """What Kaggle's client pushes: the notebook, with its mark, and kernel-metadata.json."""
        folder.mkdir(parents=True, exist_ok=True)
        notebook = _notebook(self.path)
        said = {"cell_type": "markdown", "metadata": {}, "source": f"Sent by `compete`, {self.mark}"}
        if any("id" in cell for cell in notebook["cells"]):  # nbformat 4.5 wants one for every cell
            said["id"] = "compete-mark"
        notebook["cells"] = [said, *notebook["cells"]]
        atomic.write_json(folder / "notebook.ipynb", notebook)
        metadata = {
            "id": f"{owner}/{self.name}",
            "title": self.title,
            "code_file": "notebook.ipynb",
            "language": "python",
            "kernel_type": "notebook",
            "is_private": True,
            "enable_gpu": bool(self.accelerator),
            "enable_tpu": False,
            "enable_internet": self.internet,
            "competition_sources": [self.competition],
            "dataset_sources": [*(f"{owner}/{each.name}" for each in self.parcels), *self.datasets],
            "model_sources": list(self.models),
            "kernel_sources": [],
            **({"machine_shape": self.accelerator} if self.accelerator else {}),
        }
        atomic.write_json(folder / "kernel-metadata.json", metadata)


def kaggle_name(*parts: str) -> str:
    """A name as Kaggle's addresses have it, at most 50 letters; two that differ stay different."""
    wanted = "-".join(parts)
    plain = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")
    if plain == wanted and SHORTEST <= len(plain) <= LONGEST:
        return plain
    ending = hashlib.sha256(wanted.encode()).hexdigest()[:6]
    return f"{plain[: LONGEST - 7].rstrip('-') or 'compete'}-{ending}"


def checked_notebook(text: str, option: str) -> tuple[str, str]:
    """Owner and name of "owner/name"; raises UserError for anything else."""
    if _OWNED.fullmatch(text) is None:
        raise UserError(f"{option} {shown(text)}: a notebook on Kaggle is named OWNER/NOTEBOOK, as in its address")
    owner, _, name = text.partition("/")
    return owner, name


def checked_accelerator(text: str) -> str:
    """Kaggle's name of an accelerator; raises UserError for one that is not known."""
    if text.lower() not in ACCELERATORS:
        raise UserError(f"--accelerator {shown(text)}: one of {', '.join(ACCELERATORS)}")
    return ACCELERATORS[text.lower()]


def _notebook(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path, _MOST_NOTEBOOK)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except ValueError as error:
        raise UserError(f"{path} is no notebook: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("cells"), list):
        raise UserError(f"{path} is no notebook: it has no cells")
    return found
