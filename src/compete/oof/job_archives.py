"""A job in a file: all that training one fold takes, for a machine that has compete and nothing of the workspace.

competition.toml      written anew: what the job reads, and nothing of submissions or of where files lie here
base_models/          its recipe, and a user's own family where the recipe names one
data/                 train and test, as they are
oof/folds.parquet     the fold plan
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import compete
from compete import atomic
from compete.archives import Archive, damaged, read_archive, write_archive
from compete.base_models.recipes import AS_PUBLISHED, Recipe, load_recipe
from compete.competition.data import load_competition
from compete.competition.declaration import read_declaration
from compete.competition.names import NAME_RULE, is_model_name, stays_inside
from compete.competition.planned import Planned
from compete.competition.workspace import DECLARATION, Workspace
from compete.declarations import to_toml
from compete.errors import ArchiveError, UserError
from compete.execution.jobs import Job
from compete.fingerprints import differences
from compete.oof.fold_plan import under_stored_plan
from compete.oof.job import versions
from compete.oof.teachers import teachers_of
from compete.oof.work import Work, find_work
from compete.printable import on_one_line, shown

JOB = ".job"
_KEYS = {
    "competition": str, "model": str, "fold": int, "threads": int, "parity": bool, "identity": dict, "needs": dict,
    "made_with": dict,
}  # fmt: skip
_LAID_OUT = "job.sha256"  # in the folder that a job is laid out in: the hash of its archive
_MOST_FOLDS, _MOST_THREADS = 1000, 4096
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,12}")


def file_stem(model: str, fold: int) -> str:
    """How a job's file, and that of its result, are called."""
    return f"{model}-fold-{fold}"


def pack_job(planned: Planned, recipe: Recipe, job: Job, path: Path) -> None:
    """Write the job's archive; raises ArchiveError for what cannot be taken to another machine."""
    workspace, declared = planned.workspace, planned.competition.declaration
    _refuse_what_stays(recipe)
    data = {
        role: {f"data/{role}_{number}{_endings(name)}": workspace.root / name for number, name in enumerate(files)}
        for role, files in (("train", declared.data.train), ("test", declared.data.test))
    }
    own = {} if recipe.own is None else {_family_file(recipe): recipe.own.file}
    manifest = {
        "kind": "job",
        "competition": declared.name,
        "model": recipe.name,
        **{key: job.payload[key] for key in ("fold", "threads", "parity", "identity")},
        "needs": asdict(job.needs),
        "checkpoint": _checkpoint(workspace, recipe),
        "made_with": versions(),
    }
    content: dict[str, Path | bytes] = {
        DECLARATION: _declaration(planned, recipe, data).encode(),
        f"base_models/{recipe.path.name}": recipe.path,
        **own,
        **data["train"],
        **data["test"],
        workspace.fold_plan.relative_to(workspace.root).as_posix(): workspace.fold_plan,
    }
    write_archive(path, manifest, content)


def open_job(path: Path) -> Archive:
    """A job's archive; raises ArchiveError if it is damaged, foreign or of another version of compete."""
    archive = read_archive(path, "job", _KEYS)
    refuse_odd_manifest(archive)
    checkpoint, threads = archive.manifest.get("checkpoint"), archive.manifest["threads"]
    if checkpoint is not None and not (_is_texts(checkpoint) and {"name", "folder"} <= checkpoint.keys()):
        raise damaged(path, "its manifest does not say where the checkpoint lies")
    if checkpoint is not None and not stays_inside(checkpoint["folder"]):
        raise ArchiveError(f"{path}: its checkpoint would lie at {shown(checkpoint['folder'])}, outside of this folder")
    if not 1 <= threads <= _MOST_THREADS:
        raise damaged(path, f"it asks for {threads} threads")
    made = on_one_line(archive.manifest["made_with"].get("compete", "nobody knows which"))[:40]
    if made != compete.__version__:
        raise ArchiveError(
            f"{path} was made by compete {made}, and this is compete {compete.__version__}: install {made} here, or "
            "make the jobs again with `compete jobs export`"
        )
    return archive


def refuse_odd_manifest(archive: Archive) -> None:
    """Raise ArchiveError unless a job's manifest, or that of its result, is of the kind that compete writes."""
    manifest = archive.manifest
    if not is_model_name(manifest["model"]):
        raise ArchiveError(f"{archive.path}: {shown(manifest['model'])} cannot be a model's name: {NAME_RULE}")
    if not 0 <= manifest["fold"] < _MOST_FOLDS:
        raise damaged(archive.path, f"there is no fold {manifest['fold']}")
    if not (_is_texts(manifest["identity"]) and _is_texts(manifest["made_with"])):
        raise damaged(archive.path, "its manifest does not say what it was made of")


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def other_versions(archive: Archive) -> list[str]:
    """What else differs between this machine and the one that made the archive, in words."""
    return differences(archive.manifest["made_with"], versions())


def laid_out(archive: Archive, folder: Path, here: Path) -> Workspace:
    """The job as a workspace in `folder`; one that an earlier, interrupted run of it left is taken up again.

    here: folder that a local checkpoint is looked for in. Raises UserError if it is not there.
    """
    sha256, marker = atomic.sha256_file(archive.path), folder / _LAID_OUT
    if not marker.is_file() or marker.read_text(encoding="utf-8") != sha256:
        checkpoint = _local_checkpoint(archive, here)
        with atomic.new_folder(folder) as path:
            archive.unpack(path)
            if checkpoint:
                with (path / DECLARATION).open("a", encoding="utf-8") as file:
                    file.write(to_toml({}, {"checkpoints": checkpoint}))
            (path / _LAID_OUT).write_text(sha256, encoding="utf-8")
    return Workspace(folder)


def packed_work(archive: Archive, workspace: Workspace) -> Work:
    """What is left to do of a job that is laid out; raises ArchiveError if this machine makes another job of it."""
    manifest = archive.manifest
    _refuse_reaching_out(archive, workspace)
    competition = load_competition(workspace, checked=True)  # and compared below
    recipe = load_recipe(workspace, manifest["model"]).ready()
    here = recipe.identity_on(under_stored_plan(competition).identity)
    changes = differences(manifest["identity"], here)
    if changes:
        raise ArchiveError(f"{archive.path} is another job here than where it was made: {'; '.join(changes)}")
    return find_work(competition, [recipe], [manifest["fold"]], threads=manifest["threads"], parity=manifest["parity"])


def _refuse_reaching_out(archive: Archive, workspace: Workspace) -> None:
    """Raise ArchiveError for a job whose competition.toml, edited perhaps, names what it did not bring."""
    declared = read_declaration(workspace)
    data, own = declared.data, {(archive.manifest.get("checkpoint") or {}).get("name")}
    files = [*data.train, *data.test, data.sample_submission or "", declared.submission.solution or ""]
    outside = [file for file in files if not stays_inside(file)] + sorted(declared.checkpoints.keys() - own)
    if outside or declared.tracking.to:
        what = f"{shown(outside[0])}, which lies elsewhere" if outside else "trackers"
        raise ArchiveError(f"{archive.path}: its competition.toml names {what}: no job of compete does")


def _declaration(planned: Planned, recipe: Recipe, data: dict[str, dict[str, Path]]) -> str:
    """The job's competition.toml."""
    declared = planned.competition.declaration
    base = recipe.name.removesuffix(AS_PUBLISHED) if recipe.remote_code_allowed and recipe.needs.remote_code else None
    read = declared.data.model_dump(exclude={"train", "test", "sample_submission"})
    tables: dict[str, dict[str, object]] = {
        "data": {"train": list(data["train"]), "test": list(data["test"]), **read},
        "folds": declared.folds.model_dump(),
        "training": {
            "models": [recipe.name],
            "remote_code": [] if base is None else [base],
            "keep_weights": declared.keeps_weights,
        },
    }
    return to_toml(declared.top, tables)


def _refuse_what_stays(recipe: Recipe) -> None:
    """Raise ArchiveError for a recipe that learns from what no archive holds."""
    teachers, steps = teachers_of(recipe), recipe.declaration.pretrain_on
    what = [f"its teachers' models ({', '.join(teachers)})"] if teachers else []
    what += [f"the rows of {step.workspace}" for step in steps]
    if what:
        raise ArchiveError(
            f"{recipe.shown}: {recipe.name} learns from {' and '.join(what)}, which a job does not "
            f"take along: train it here with `compete train-base {recipe.name} --on local`, and name the others for "
            "other machines"
        )


def _endings(name: str) -> str:
    """What tells how a file is read: ".csv.gz" of train.csv.gz."""
    return "".join(ending for ending in PurePosixPath(name).suffixes[-3:] if _ENDING.fullmatch(ending))


def _family_file(recipe: Recipe) -> str:
    assert recipe.own is not None
    return PurePosixPath(recipe.own.shown).as_posix()


def _checkpoint(workspace: Workspace, recipe: Recipe) -> dict[str, str] | None:
    """A checkpoint that is a folder here: its name, and where another machine is to have it."""
    folder, name = recipe.folder, recipe.needs.checkpoint
    if folder is None:
        return None
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive:
        raise ArchiveError(
            f"{recipe.shown}: settings.checkpoint is {name}, a path of this machine that means nothing "
            "on another. Give it relative to the workspace, or a name under [checkpoints] in competition.toml."
        )
    inside = folder.resolve().is_relative_to(workspace.root.resolve())
    relative = folder.resolve().relative_to(workspace.root.resolve()).as_posix() if inside else folder.name
    return {"name": name, "folder": relative}


def _local_checkpoint(archive: Archive, here: Path) -> dict[str, str]:
    checkpoint: dict[str, Any] | None = archive.manifest.get("checkpoint")
    if checkpoint is None:
        return {}
    folder = here / checkpoint["folder"]
    if not folder.is_dir():
        raise UserError(
            f"{archive.path}: the checkpoint {checkpoint['name']} was a local folder where the job was made, and is "
            f"not packed. Put it at {checkpoint['folder']} in the folder that `compete jobs run` is called in; or take "
            "it out of [checkpoints] and export the job again, for it to be fetched from the hub."
        )
    return {checkpoint["name"]: str(folder.resolve())}
