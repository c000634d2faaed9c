"""Fingerprints of the competition's rows without reading them again when no file has changed.

`compete status` answers at once on any amount of data: hashing a file is far quicker than parsing it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compete import atomic
from compete.competition.declaration import CompetitionDeclaration
from compete.competition.workspace import Workspace
from compete.fingerprints import digest
from compete.stored_json import read_json

if TYPE_CHECKING:
    from compete.competition.data import Competition

FINGERPRINTED = {"label names", "train ids", "train texts", "train labels", "test ids", "test texts"}
# Raise it when the same files would be read into other rows.
READING_VERSION = 2


def remember_sources(competition: Competition) -> None:
    """Write oof/sources.json: the hashes of the data files, and the fingerprints of the rows in them."""
    sources = _sources(competition.workspace, competition.declaration)
    path = competition.workspace.row_fingerprints
    record = {"sources": sources, "fingerprints": competition.fingerprints}
    if _read(path) != record:
        atomic.write_json(path, {**record, "sha256": _digest(record)})


def row_fingerprints(workspace: Workspace, declaration: CompetitionDeclaration) -> dict[str, str]:
    """Fingerprints of the rows as they are now; reads the rows only if a file or [data] has changed."""
    record = _read(workspace.row_fingerprints)
    if record and record["sources"] == _sources(workspace, declaration):
        return {str(name): str(value) for name, value in record["fingerprints"].items()}
    from compete.competition.data import load_competition

    return load_competition(workspace).fingerprints


def without_features(identity: Mapping[str, str]) -> dict[str, str]:
    """An identity of what does not look at [data] features: to declare some makes nothing else of it."""
    return {name: value for name, value in identity.items() if not name.startswith("feature ")}


def hash_of_training_rows(workspace: Workspace, declared: CompetitionDeclaration) -> str:
    """Of the files with labels, and of how they are read: what somebody who learns from them depends on."""
    files = {name: workspace.root / name for name in declared.data.train}
    hashes = [atomic.sha256_file(path) if path.is_file() else "missing" for path in files.values()]
    read = declared.data.model_dump(mode="json", exclude={"train", "test", "sample_submission", "hidden_test"})
    return digest([str(READING_VERSION), declared.task, json.dumps(read, sort_keys=True), *hashes])


def _sources(workspace: Workspace, declared: CompetitionDeclaration) -> dict[str, Any]:
    data, folds = declared.data, declared.folds
    names = [*data.train, *data.test]
    files = {name: workspace.root / name for name in names}
    hashes = {name: atomic.sha256_file(path) if path.is_file() else "missing" for name, path in files.items()}
    # What decides, beside [data], how the rows are read and which of them belong together.
    roles = {"task": declared.task, "groups": folds.groups, "column": folds.column, "time": folds.time}
    read = data.model_dump(mode="json", exclude={"hidden_test"})  # what is hidden is not read
    return {"version": READING_VERSION, "data": read, "roles": roles, "files": hashes}


def _read(path: Path) -> dict[str, Any] | None:
    """The record, or None when it is missing or unreadable: it is only a cache."""
    try:
        record = read_json(path)
        intact = record.pop("sha256") == _digest(record)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    told = record.get("fingerprints")
    known = isinstance(told, dict) and told.keys() >= FINGERPRINTED and "sources" in record
    return record if intact and known else None


def _digest(record: dict[str, Any]) -> str:
    return digest([json.dumps(record, sort_keys=True)])
