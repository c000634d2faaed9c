"""What came of a packed job, in a file: written where it was done, and brought in where it was made.

part/       the fold's folder: probabilities, curves, part.json
kept/       the model, where the family writes it down
log.txt     what the training printed
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from compete import atomic
from compete.archives import Archive, damaged, read_archive, write_archive
from compete.base_models.recipes import Recipe, has_recipe, load_recipe
from compete.competition.planned import Planned
from compete.competition.row_fingerprints import without_features
from compete.competition.workspace import ResultFolder, Workspace
from compete.errors import ArchiveError, StoreError
from compete.execution.jobs import Failed
from compete.fingerprints import differences
from compete.oof import store
from compete.oof.identity import files_of
from compete.oof.job import versions
from compete.oof.job_archives import refuse_odd_manifest
from compete.oof.kept import is_kept_of
from compete.oof.lock import fold_claimed
from compete.oof.provenance import leak_in
from compete.oof.state import State, checkpoint_in_force, model_state

RESULT = ".result"
_KEYS = {"competition": str, "model": str, "fold": int, "identity": dict, "job": str, "made_with": dict}
_PART, _KEPT, _LOG = "part", "kept", "log.txt"


@dataclass(frozen=True)
class Arrival:
    """What became of one result."""

    model: str
    fold: int
    what: Literal["came in", "was there already", "failed"]
    why: str = ""
    """Of a job that failed, with the place of its log."""


def pack_result(job: Archive, workspace: Workspace, failed: Failed | None, path: Path) -> None:
    """Write what a job left in the workspace that it was laid out in."""
    manifest = job.manifest
    folder, fold = workspace.base_model(manifest["model"]), manifest["fold"]
    content: dict[str, Path | bytes] = {}
    for name, source in ((_PART, folder.part(fold).path), (_KEPT, folder.kept(fold))):
        for file in sorted(source.rglob("*")):
            if file.is_file():
                content[f"{name}/{file.relative_to(source).as_posix()}"] = file
    if folder.log(fold).is_file():
        text = folder.log(fold).read_text(encoding="utf-8", errors="replace")
        content[_LOG] = _without(workspace.root, text).encode()
    why = None if failed is None else {"error": failed.error, "message": _without(workspace.root, failed.message)}
    record = {
        "kind": "result",
        **{key: manifest[key] for key in ("competition", "model", "fold", "identity")},
        "job": atomic.sha256_file(job.path),
        "failed": why,
        "made_with": versions(),
    }
    write_archive(path, record, content, private=True)  # the log may quote texts


def has_result(job: Archive, path: Path) -> bool:
    """Whether just this job was done before, successfully."""
    try:
        result = open_result(path).manifest
    except ArchiveError:  # none, or half of one: it is made anew
        return False
    return bool(result["job"] == atomic.sha256_file(job.path) and result.get("failed") is None)


def open_result(path: Path) -> Archive:
    """Raises ArchiveError if it is damaged or foreign."""
    archive = read_archive(path, "result", _KEYS)
    refuse_odd_manifest(archive)
    failed = archive.manifest.get("failed")
    if failed is not None and not (isinstance(failed, dict) and {"error", "message"} <= failed.keys()):
        raise damaged(path, "its manifest does not say how it failed")
    return archive


def bring_in(planned: Planned, result: Archive, *, claimed: bool = False) -> Arrival:
    """Store a result as if it had been trained here; the log of a failed job comes, too.

    Raises ArchiveError if it belongs to another competition, fold plan or recipe than there are now, or is damaged.
    What is there already stays, unless the caller has `claimed` the fold to train it again.
    """
    manifest, workspace = result.manifest, planned.workspace
    model, fold = manifest["model"], manifest["fold"]
    recipe = _recipe_of(planned, result)
    state = model_state(workspace, model, recipe, planned.identity, planned.plan.k)
    if state.kind == "imported" or (state.state is State.DAMAGED and not claimed):
        why = "; ".join(state.reasons) or f"oof/{model} was imported"
        raise ArchiveError(f"{result.path} has no place: {why}")
    if not claimed and State.FRESH in (state.whole.state, state.parts[fold].state):
        return Arrival(model, fold, "was there already")
    folder = workspace.base_model(model)
    with contextlib.nullcontext(True) if claimed else fold_claimed(workspace, model, fold) as is_mine:
        if not is_mine:
            raise ArchiveError(f"{result.path} has no place yet: {model} fold {fold} is being trained here")
        if result.has(_PART):
            _refuse_leak(result)
            _bring_kept(result, folder.kept(fold))
            _bring_part(
                planned, result, folder.part(fold), checkpoint_in_force(workspace, model, recipe, planned.plan.k)
            )
        if _LOG in result.names:
            atomic.write_bytes(folder.log(fold), result.read(_LOG), private=True)
    if manifest.get("failed") is None:
        return Arrival(model, fold, "came in")
    log = workspace.shown(folder.log(fold))
    return Arrival(
        model, fold, "failed", f"{manifest['failed']['error']}: {manifest['failed']['message']} (log: {log})"
    )


def _recipe_of(planned: Planned, result: Archive) -> Recipe:
    """The recipe as it is now; raises ArchiveError unless the result was made of it, and of these rows and folds."""
    manifest, model = result.manifest, result.manifest["model"]
    then: Mapping[str, str] = manifest["identity"]
    of_all = without_features(planned.identity)  # whether it looks at them says the recipe
    rows = differences({name: value for name, value in then.items() if name in of_all}, of_all)
    if rows:
        what = f"of another competition ({manifest['competition']}), or of other data or folds than there are now"
        raise ArchiveError(f"{result.path} is {what}: {'; '.join(rows)}")
    if not has_recipe(planned.workspace, model):
        raise ArchiveError(f"{result.path} is of the model {model}, and there is no base_models/{model}.toml")
    recipe = load_recipe(planned.workspace, model)
    if not 0 <= manifest["fold"] < planned.plan.k:
        raise damaged(result.path, f"there is no fold {manifest['fold']}")
    own = recipe.of_fold(manifest["fold"])
    changes = differences(own.looked_at(then), own.identity_on(planned.identity))
    if changes:
        raise ArchiveError(f"{result.path} is older than the recipe of {model}, which was edited: {'; '.join(changes)}")
    return recipe


def _refuse_leak(result: Archive) -> None:
    """Raise ArchiveError for probabilities or a model that say they have seen their own fold; before anything comes."""
    for name in (f"{_PART}/part.json", f"{_KEPT}/kept.json"):
        try:
            record = json.loads(result.read(name)) if name in result.names else {}
        except ValueError:
            raise damaged(result.path, f"{name} is no JSON") from None
        if isinstance(record, dict) and (leak := leak_in(record)):
            raise ArchiveError(f"{result.path} does not come in: {leak}")


def _bring_kept(result: Archive, target: Path) -> None:
    if not result.has(_KEPT):
        shutil.rmtree(target, ignore_errors=True)
        return
    with atomic.new_folder(target) as folder:
        result.unpack(folder, _KEPT)
        if not is_kept_of(folder, result.manifest["identity"]):
            raise damaged(result.path, "its model is not of these folds and this recipe")


def _bring_part(planned: Planned, result: Archive, part: ResultFolder, checkpoint: str) -> None:
    with atomic.new_folder(part.path) as folder:
        result.unpack(folder, _PART)
        staged = replace(part, path=folder)
        try:
            record = store.read_record(staged)
            store.read_part(staged, planned.plan, planned.competition.shape)
        except StoreError:
            raise damaged(result.path, "its probabilities are not of this fold's rows") from None
        expected: dict[str, Any] = {key: result.manifest[key] for key in ("model", "fold", "identity")}
        if any(record.get(key) != value for key, value in expected.items()):
            raise damaged(result.path, "its probabilities are of another job")
        if checkpoint and files_of(record) not in ("", checkpoint):
            raise ArchiveError(
                f"{result.path} was trained from other files than those that are the checkpoint of {part.name} here"
            )


def _without(folder: Path, text: str) -> str:
    """A text without the path of the folder that the job was done in."""
    return text.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")
