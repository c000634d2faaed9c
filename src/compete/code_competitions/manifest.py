"""A pack, and manifest.json, which says what lies in it.

packs/<name>/
    manifest.json       written last: every file with its hash, checkpoints, what is predicted in which order
    submission.ipynb    the inference notebook
    workspace/          competition.toml, recipes, what the stack is fitted from: no text of a training row
    weights/<model>/    what every fold's training left behind
    wheels/             what is installed without a network
    checkpoints/<n>/    checkpoints that are taken along

A manifest may come from somebody else: every name in it is a name and every path stays in the pack, or it is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from compete import atomic
from compete.competition.names import is_model_name, is_name, stays_inside
from compete.competition.task import TaskName
from compete.declarations import Declaration, validate
from compete.errors import PackError
from compete.fingerprints import digest
from compete.printable import shown
from compete.stored_json import read_json

FORMAT = 1
MANIFEST, NOTEBOOK = "manifest.json", "submission.ipynb"
WORKSPACE, WEIGHTS, WHEELS, CHECKPOINTS = "workspace", "weights", "wheels", "checkpoints"
_MOST_FILES = 100_000
_LONGEST = 500
_KAGGLE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"

Text = Annotated[str, Field(max_length=_LONGEST)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class PackedFile(Declaration):
    """One file of a pack."""

    path: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    """Relative to the pack, parted by "/"."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=2**50)]
    part: Annotated[str, Field(max_length=_LONGEST)]
    """What it is uploaded with: "workspace", "weights/MODEL", "wheels", "checkpoints/NUMBER" or "notebook"."""


class KaggleModel(Declaration):
    """A checkpoint that Kaggle has as a model, its version pinned."""

    kaggle_model: Annotated[str, Field(pattern=rf"^{_KAGGLE_NAME}(/{_KAGGLE_NAME}){{3}}/[0-9]{{1,9}}$")]
    """owner/model/framework/variation/version"""


class KaggleDataset(Declaration):
    """A checkpoint that Kaggle has as a dataset, its version pinned."""

    kaggle_dataset: Annotated[str, Field(pattern=rf"^{_KAGGLE_NAME}/{_KAGGLE_NAME}$")]
    """owner/slug"""
    version: Annotated[int, Field(ge=1, le=10**9)]


class PackedCheckpoint(Declaration):
    """A checkpoint that models of the pack stand on."""

    name: Text
    """As the recipes name it."""
    files: Text
    """Hash of its files that models were trained from; empty where it is not known."""
    more: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    """Names of files that count in that hash besides weights, configuration and tokenizer."""
    comes: Literal["included"] | KaggleModel | KaggleDataset
    """How it comes to where the pack runs."""
    folder: Text = ""
    """Of one that is included: where it lies in the pack."""
    licence: Text | None = None
    """As its README says; None where it does not."""
    accepted: bool = False
    """Whether somebody said by name that it may be taken along."""
    models: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    """Which base models stand on it."""


class Member(Declaration):
    """A base model of a pack, in the order in which they are predicted."""

    name: Text
    folds: Annotated[int, Field(ge=1, le=1000)]
    precision: Text
    """What its weights are stored in: "float32", "float16" or "as trained"."""
    gain: Number | None
    """What the stack gains by it (leave one out); None where nobody looked."""
    seconds_per_row: Annotated[Number, Field(ge=0)]
    """Of predicting, all folds together, on the machine that made the pack."""
    seconds_to_load: Annotated[Number, Field(ge=0)]


class Step(Declaration):
    """What is predicted where just these members are done: their own stack, fitted and decided for themselves."""

    members: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    stack: Text | None
    """Name of the stack recipe that combines them; None: the one member as it is."""
    honest: Number
    """The honest score that is to be expected of it."""
    low: Number
    high: Number
    decision: dict[str, Any]
    """How its probabilities become decisions."""


class Manifest(Declaration):
    """All that is known of a pack."""

    format: Literal[1]
    name: Text
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Hash of all that decides what it predicts; the notebook finds the pack by it."""
    competition: Text
    """As competition.toml calls it."""
    kaggle: Text | None
    """The competition's last part of its address on Kaggle, where it is declared."""
    task: TaskName
    metric: Text
    source: Text
    """As the ledger names it: "stack NAME" or "base model NAME"."""
    kind: Literal["stack", "base model"]
    source_name: Text
    compete: Text
    """Version that made it."""
    python: Text
    """For which Python its wheels were gathered."""
    budget_seconds: Annotated[Number, Field(gt=0, le=10**7)]
    ordered_by: Text
    """In which order its members are predicted, in words."""
    members: Annotated[list[Member], Field(min_length=1, max_length=1000)]
    steps: Annotated[list[Step], Field(min_length=1, max_length=1000)]
    """All members; and what else may be done when time runs out or a model fails: the first so many, all but one, one
    alone."""
    checkpoints: Annotated[list[PackedCheckpoint], Field(max_length=1000)]
    wheels_needed: Annotated[list[Text], Field(max_length=1000)]
    """Packages with versions that have to be where it runs, and are not in wheels/."""
    files: Annotated[list[PackedFile], Field(min_length=1, max_length=_MOST_FILES)]
    bytes: dict[str, int]
    """Sizes by part, and of all under "total"."""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")] = ""
    """Hash of all the rest of the manifest; made when it is written."""

    @model_validator(mode="after")
    def _holds_together(self) -> Manifest:
        problems = [*_odd_names(self), *_odd_files(self.files), *_odd_sums(self)]
        if problems:
            raise ValueError(problems[0])
        return self

    def part(self, name: str) -> list[PackedFile]:
        """The files of a part."""
        return [file for file in self.files if file.part == name]

    @property
    def everything(self) -> Step:
        """The step of all members."""
        return next(step for step in self.steps if len(step.members) == len(self.members))

    def step_for(self, done: Collection[str]) -> int | None:
        """Which step to take where these members are done: the one of most of them; None where nothing can be taken.

        Nothing is chosen by a score: of steps of as many members the first counts, as they are written.
        """
        possible = [number for number, step in enumerate(self.steps) if set(step.members) <= set(done)]
        return max(possible, key=lambda number: (len(self.steps[number].members), -number), default=None)

    @property
    def parts(self) -> list[str]:
        """Every part, in the order of the files."""
        return list(dict.fromkeys(file.part for file in self.files))


def _odd_names(manifest: Manifest) -> Iterable[str]:
    if not is_name(manifest.name):
        yield f"{shown(manifest.name)} cannot be a pack's name"
    if not is_name(manifest.source_name):
        yield f"{shown(manifest.source_name)} cannot be a name"
    names = [member.name for member in manifest.members]
    yield from (f"{shown(name)} cannot be a model's name" for name in names if not is_model_name(name))
    if len(set(names)) < len(names):
        yield "a member is there twice"
    steps = [step.members for step in manifest.steps]
    if names not in steps or any([name for name in names if name in step] != step for step in steps):
        yield "its steps are not of its members"
    stacks = [step.stack for step in manifest.steps if step.stack is not None]
    yield from (f"{shown(name)} cannot be a stack's name" for name in stacks if not is_name(name))
    for checkpoint in manifest.checkpoints:
        if checkpoint.comes == "included" and not re.fullmatch(r"checkpoints/[0-9]{1,3}", checkpoint.folder):
            yield f"{shown(checkpoint.folder)} is no folder of a checkpoint"


def _odd_files(files: Iterable[PackedFile]) -> Iterable[str]:
    seen: set[str] = set()
    for file in files:
        if not is_inside(file.path):
            yield f"{shown(file.path)} lies outside the pack"
        elif not _belongs(file):
            yield f"{shown(file.path)} is no file of the part {shown(file.part)}"
        elif file.path.lower() in seen:
            yield f"{shown(file.path)} is there twice"
        seen.add(file.path.lower())


def is_inside(path: str) -> bool:
    """Whether a file's path leads to a place in the pack, and is written in one way only."""
    plain = "\\" not in path and all(part not in ("", ".", "..") for part in path.split("/"))
    return plain and stays_inside(path) and path.isprintable()


def _belongs(file: PackedFile) -> bool:
    if file.part == "notebook":
        return file.path == NOTEBOOK
    first, _, rest = file.part.partition("/")
    if first == WEIGHTS:
        known = is_model_name(rest)
    elif first == CHECKPOINTS:
        known = re.fullmatch(r"[0-9]{1,3}", rest) is not None
    else:
        known = first in (WORKSPACE, WHEELS) and not rest
    return known and file.path.startswith(f"{file.part}/")


def _odd_sums(manifest: Manifest) -> Iterable[str]:
    if manifest.bytes != sizes_of(manifest.files):
        yield "its sizes are not those of its files"


def sizes_of(files: Iterable[PackedFile]) -> dict[str, int]:
    """Bytes by part, and of all under "total"."""
    sums: dict[str, int] = {"total": 0}
    for file in files:
        sums[file.part] = sums.get(file.part, 0) + file.bytes
        sums["total"] += file.bytes
    return sums


def listed(folder: Path) -> list[PackedFile]:
    """Every file of a pack but its manifest, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return [
        PackedFile(
            path=(name := path.relative_to(folder).as_posix()),
            sha256=atomic.sha256_file(path),
            bytes=path.stat().st_size,
            part=_part_of(name),
        )
        for path in files
    ]


def _part_of(name: str) -> str:
    if name == NOTEBOOK:
        return "notebook"
    first, second, *_ = name.split("/")
    return f"{first}/{second}" if first in (WEIGHTS, CHECKPOINTS) else first


def id_of(files: Iterable[PackedFile], steps: Iterable[Step], checkpoints: Iterable[PackedCheckpoint]) -> str:
    """Hash of what decides what a pack predicts: neither its notebook nor its wheels."""
    told = [f"{file.path} {file.sha256}" for file in files if file.part not in ("notebook", WHEELS)]
    told += [step.model_dump_json() for step in steps] + [each.model_dump_json() for each in checkpoints]
    return digest(sorted(told))[:16]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json, the last file of a pack."""
    record = {**manifest.model_dump(mode="json"), "sha256": ""}
    atomic.write_json(folder / MANIFEST, {**record, "sha256": _digest_of(record)})


def _digest_of(record: Mapping[str, Any]) -> str:
    return digest([json.dumps({**record, "sha256": ""}, sort_keys=True)])


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a pack; raises PackError if it is missing, damaged or of another version."""
    path = folder / MANIFEST
    try:
        raw = read_json(path)
    except FileNotFoundError:
        raise PackError(f"{folder} is no pack: it holds no {MANIFEST}. `compete pack` makes one") from None
    except (OSError, ValueError) as error:
        raise PackError(f"{path} cannot be read: {error}. `compete pack` makes the pack again") from None
    if not isinstance(raw, Mapping):
        raise PackError(f"{path} is no manifest of a pack. `compete pack` makes the pack again")
    if raw.get("format") != FORMAT:
        raise PackError(
            f"{path} is of format {shown(str(raw.get('format')))}, and this version of compete reads {FORMAT}: make "
            "the pack again with `compete pack`"
        )
    manifest, problems = validate(Manifest, raw)
    if manifest is None:
        first = problems[0]
        where = f"{first.key}: " if first.key else ""
        raise PackError(f"{path} is no manifest of a pack: {where}{first.message}. `compete pack` makes the pack again")
    if manifest.sha256 != _digest_of(raw):
        raise PackError(f"{path} was changed since it was written. `compete pack` makes the pack again")
    return manifest


def check_hashes(folder: Path, manifest: Manifest) -> None:
    """Raise PackError unless every file of the pack is as it was packed, and nothing else lies there."""
    known = {file.path for file in manifest.files} | {MANIFEST}
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file():
            raise PackError(f"{path} is missing. `compete pack` makes the pack again")
        if path.stat().st_size != file.bytes or atomic.sha256_file(path) != file.sha256:
            raise PackError(f"{path} is not the file that was packed. `compete pack` makes the pack again")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if strange := sorted(found - known):
        raise PackError(f"{folder / strange[0]} is no file of the pack: move it away")
    manifest_id = id_of(manifest.files, manifest.steps, manifest.checkpoints)
    if manifest_id != manifest.id:
        raise PackError(f"{folder / MANIFEST} was changed: it is of another pack than its files. `compete pack` again")
