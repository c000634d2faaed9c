"""A pack made by hand, in a workspace of the toy competition, and what a notebook makes of it on the stand-in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compete.code_competitions import journal, manifest, shipping
from compete.competition.workspace import Workspace
from compete.submissions.kaggle import kaggle_leaderboard
from compete.submissions.ledger import Entry, ledger_of
from support.kaggle_service import KaggleService
from support.kaggle_storage import Files, Pushed
from support.kaggle_toy import SLUG, guesses, toy_competition, toy_workspace

OWNER, NAME = "ann", "toy-small"
ADDRESS = f"{OWNER}/{NAME}"
PARTS = {"weights/model": f"{OWNER}/toy-small-weights-model", "workspace": f"{OWNER}/toy-small-workspace"}
FILES = {
    "workspace/competition.toml": b'name = "toy"\n',
    "workspace/oof/stacks/blend/manifest.json": b"{}\n",
    "weights/model/fold_0/model.safetensors": bytes(range(256)) * 40,
    "weights/model/fold_1/model.safetensors": bytes(range(255, -1, -1)) * 40,
}
CELL: dict[str, Any] = {
    "cell_type": "code",
    "id": "a",
    "metadata": {},
    "outputs": [],
    "execution_count": None,
    "source": "1",
}
NOTEBOOK = {"cells": [CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def make_pack(
    workspace: Workspace, name: str = "small", files: Mapping[str, bytes] = FILES, **differences: Any
) -> Path:
    """packs/<name>/ as `compete pack` lays it out, of one model; differences: of its manifest."""
    folder = workspace.pack(name)
    shutil.rmtree(folder, ignore_errors=True)
    for place, content in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / manifest.NOTEBOOK).write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    packed = manifest.listed(folder)
    member = {"name": "model", "folds": 2, "precision": "float32", "gain": None}
    step: dict[str, Any] = {"members": ["model"], "stack": None, "honest": 0.5, "low": 0.4, "high": 0.6, "decision": {}}
    checkpoints = [manifest.PackedCheckpoint(**each) for each in differences.pop("checkpoints", [])]
    record: dict[str, Any] = {
        "format": 1,
        "name": name,
        "id": manifest.id_of(packed, [manifest.Step.model_validate(step)], checkpoints),
        "competition": "toy",
        "kaggle": SLUG,
        "task": "multilabel",
        "metric": "f1_macro",
        "source": "stack blend",
        "kind": "stack",
        "source_name": "blend",
        "compete": "0.1.0",
        "python": "3.11",
        "budget_seconds": 3600.0,
        "ordered_by": "name",
        "members": [{**member, "seconds_per_row": 0.1, "seconds_to_load": 1.0}],
        "steps": [step],
        "checkpoints": checkpoints,
        "wheels_needed": [],
        "files": packed,
        "bytes": manifest.sizes_of(packed),
    }
    manifest.write_manifest(folder, manifest.Manifest.model_validate(record | differences))
    return folder


def make_workspace(root: Path) -> Workspace:
    workspace = toy_workspace(root)
    make_pack(workspace)
    return workspace


def predicts(pushed: Pushed) -> Files | str:
    """A notebook that works if all that was packed is mounted, and no network is."""
    mounted = {place for files in pushed.inputs.values() for place in files}
    if pushed.request.get("enableInternet") or not set(FILES) | {"manifest.json"} <= mounted:
        return f"FileNotFoundError: only {sorted(mounted)}"
    return {"submission.csv": guesses(1), "log.txt": b"done"}


def code_competition() -> KaggleService:
    service = KaggleService([toy_competition(notebooks_only=True)])
    service.storage.run = predicts
    return service


def short_waits() -> None:
    """In a process of its own, which nothing has to be put back in."""
    kaggle_leaderboard.SETTLED, kaggle_leaderboard._BETWEEN_LOOKS = 0.05, 0.02
    journal.SETTLED, journal.BETWEEN_LOOKS, shipping.FIRST_LOOK = 0.05, 0.02, 0.02


def entries(workspace: Workspace) -> list[Entry]:
    return ledger_of(workspace).entries()


def assert_shipped_once(service: KaggleService, workspace: Workspace, *, resent: bool = False) -> None:
    """One version of every dataset, one of the notebook, one submission; and the ledger knows that one.

    resent: the connection was cut behind a file, which Kaggle's client sends again by itself.
    """
    storage = service.storage
    assert sorted(storage.datasets) == sorted(PARTS.values())
    assert all(len(each.versions) == 1 and each.is_private for each in storage.datasets.values())
    (pushed,) = storage.notebooks[ADDRESS]
    assert pushed.request["isPrivate"] and not pushed.request.get("enableInternet")
    assert pushed.request["competitionDataSources"] == [SLUG]
    assert pushed.request["machineShape"] == "NvidiaTeslaT4"
    (sent,) = service.submissions
    (counted,) = [entry for entry in entries(workspace) if entry.counted]
    assert counted.outcome.reference == str(sent.ref)
    assert counted.outcome.status in ("sent", "scored")
    assert counted.submission.message == sent.description
    assert counted.submission.source == f"stack blend, notebook {ADDRESS} version 1"
    assert (workspace.submissions / counted.submission.file).read_bytes() == sent.content
    files = sorted(Path(place).name for place in [*FILES, "manifest.json"])
    assert sorted(storage.uploaded) == files or (resent and set(storage.uploaded) == set(files))
    assert not service.escapes
