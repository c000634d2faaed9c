"""Making a pack: everything that prediction needs and nothing else, each model checked against what it said before."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

import compete
from compete import atomic
from compete.base_models.checkpoint_files import checkpoint_folder, checkpoint_of
from compete.base_models.families import TOLERANCES, Tolerance
from compete.base_models.memory import release
from compete.base_models.recipes import AS_PUBLISHED, Recipe, load_recipe
from compete.code_competitions.facts import facts_of, write_facts
from compete.code_competitions.halves import halve
from compete.code_competitions.licences import licence_of, may_be_taken_along
from compete.code_competitions.limits import refuse_too_large
from compete.code_competitions.manifest import (
    CHECKPOINTS,
    WEIGHTS,
    WHEELS,
    WORKSPACE,
    KaggleDataset,
    KaggleModel,
    Manifest,
    Member,
    PackedCheckpoint,
    id_of,
    listed,
    sizes_of,
    write_manifest,
)
from compete.code_competitions.notebook import write_notebook
from compete.code_competitions.opened_pack import OpenedPack
from compete.code_competitions.prediction import Pace, predict_member
from compete.code_competitions.steps import Ordered, steps_of
from compete.code_competitions.stored_steps import write_steps
from compete.code_competitions.wheels import download_command, gather_wheels, still_needed
from compete.competition.planned import Planned
from compete.competition.workspace import DECLARATION
from compete.declarations import to_toml
from compete.environments import is_secret
from compete.errors import PackError, StoreError
from compete.execution.local import usable_cores
from compete.oof import store
from compete.oof.identity import hash_of_files
from compete.oof.kept import kept_folder, prior_in
from compete.oof.results import Result
from compete.oof.state import State, model_state
from compete.printable import shown
from compete.progress import Progress, unseen

_SAMPLE = 100  # rows that a packed model predicts to be checked and timed
_SMALLEST_HALVED = 2**20  # bytes: below, half of them is not worth other last digits
_MOST_SEARCHED = 8 * 2**20  # bytes of a file that is searched for what must not be in it
# Of a checkpoint's repository: the same weights in other formats, which nothing here reads.
_NOT_TAKEN = (
    "*.bin",
    "*.h5",
    "*.msgpack",
    "*.onnx",
    "*.ot",
    "*.pt",
    "*.pth",
    "*.gguf",
    "*.tflite",
    "*.mlmodel",
    "*.ckpt",
)


@dataclass(frozen=True)
class Wanted:
    """What of a pack can be chosen."""

    budget: float = 8 * 3600.0
    """Seconds."""
    full_precision: bool = False
    """Leave weights in the precision they were kept in."""
    wheel: Path | None = None
    wheels: Path | None = None
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    kaggle: Mapping[str, KaggleModel | KaggleDataset] = field(default_factory=dict)
    """Checkpoints that Kaggle has, by name."""
    accepted: Collection[str] = ()
    """Checkpoints that may be taken along whatever their licence says."""


@dataclass(frozen=True)
class Packed:
    """A pack that was made."""

    folder: Path
    manifest: Manifest
    seconds: float
    notices: list[str]
    download: str
    """The command that fetches what wheels/ lacks; empty where it lacks nothing."""


@dataclass(frozen=True)
class _Model:
    """A member, before anything is written."""

    recipe: Recipe
    folders: list[Path]
    """What every fold kept."""
    prior: str | None
    checkpoint: Path | None
    """The folder of a checkpoint that its weights stand on; None where they stand alone."""


def make_pack(
    planned: Planned,
    source: Result,
    name: str,
    wanted: Wanted,
    *,
    accept: Callable[[str, str | None], bool],
    progress: Progress = unseen,
) -> Packed:
    """Write packs/<name>/, an older one replaced.

    accept: given a checkpoint's name and licence, whether it may be taken along. Raises StoreError for what was not
    kept, PackError for what cannot be packed; then an older pack is as it was.
    """
    began = time.monotonic()
    names = [str(each) for each in source.record["models"]] if source.is_stack else [source.name]
    models = {each: _model(planned, each) for each in names}
    _refuse_paths(models.values())
    checkpoints = _checkpoints(planned, models, wanted, accept)
    notices: list[str] = []
    with atomic.new_folder(planned.workspace.pack(name)) as folder:
        _write_workspace(planned, source, models, folder / WORKSPACE)
        for number, checkpoint in enumerate(checkpoints):
            if checkpoint.comes == "included":
                progress(0.0, f"copying {checkpoint.name}")
                where = models[checkpoint.models[0]].checkpoint
                assert where is not None
                _copy_checkpoint(where, folder / CHECKPOINTS / str(number))
        members, seconds = {}, {}
        for number, (each, model) in enumerate(models.items()):
            progress(number / len(models), each)
            members[each], seconds[each] = _pack_model(planned, model, folder, wanted, notices)
        ordered = steps_of(planned, source, seconds, progress)
        write_steps(folder / WORKSPACE, ordered.stored)
        gather_wheels(folder / WHEELS, wanted.wheel, wanted.wheels)
        manifest = _manifest(planned, source, name, wanted, folder, ordered, members, checkpoints)
        write_notebook(folder, manifest)
        files = listed(folder)
        manifest = manifest.model_copy(update={"files": files, "bytes": sizes_of(files)})
        refuse_too_large(manifest.bytes)
        write_manifest(folder, manifest)
        _refuse_leaks(planned, folder)
    needed = manifest.wheels_needed
    download = download_command(needed, wanted.python) if needed else ""
    return Packed(planned.workspace.pack(name), manifest, time.monotonic() - began, notices, download)


def _model(planned: Planned, name: str) -> _Model:
    """Everything of it is there; raises StoreError for what is not, or PackError for an imported one."""
    workspace, rows, k = planned.workspace, planned.identity, planned.plan.k
    if model_state(workspace, name, None, rows, k).kind == "imported":
        raise PackError(
            f"{name} was imported: its probabilities are here, its weights are not, and no notebook can predict with "
            f"it. Build the stack without it: `compete stack --without {name}`."
        )
    recipe = load_recipe(workspace, name).ready()
    state = model_state(workspace, name, recipe, rows, k)
    if state.state is not State.FRESH:
        reasons = f": {'; '.join(state.reasons)}" if state.reasons else ""
        raise StoreError(f"{name} is {state.state}{reasons}; `compete train-base {name}` trains it")
    of_folds = [recipe.of_fold(fold) for fold in range(k)]
    folders = [kept_folder(workspace, own, fold, own.identity_on(rows)) for fold, own in enumerate(of_folds)]
    prior = prior_in(folders[0])
    alone = recipe.needs.is_miniature or prior is not None or _is_whole(folders[0])
    where = None if alone else checkpoint_folder(recipe)
    if not alone and recipe.needs.checkpoint and where is None:
        raise PackError(
            f"{name}: its checkpoint {recipe.needs.checkpoint} is not on this machine, so it can neither be taken "
            "along nor checked: fetch it, or name its folder under [checkpoints] in competition.toml"
        )
    return _Model(recipe, folders, prior, where)


def _is_whole(folder: Path) -> bool:
    """Whether weights were kept as a whole model, which stands on no checkpoint."""
    seeds = sorted(folder.glob("seed_*")) or [folder]
    return all((each / "config.json").is_file() for each in seeds)


def _refuse_paths(models: Collection[_Model]) -> None:
    """Raise PackError for a recipe that names a place of this machine: it would travel with the pack."""
    for model in models:
        declared = model.recipe.declaration
        steps = [name for step in declared.pretrain_on for name in ([step.workspace] if step.workspace else step.files)]
        named = [model.recipe.needs.checkpoint, *steps]
        for each in named:
            if PurePosixPath(each).is_absolute() or PureWindowsPath(each).drive or each.startswith("~"):
                raise PackError(
                    f"{model.recipe.shown} names {shown(each)}, a path of this machine that means nothing on Kaggle. "
                    "Give it relative to the workspace, or a checkpoint's name under [checkpoints] in competition.toml"
                )


def _checkpoints(
    planned: Planned,
    models: Mapping[str, _Model],
    wanted: Wanted,
    accept: Callable[[str, str | None], bool],
) -> list[PackedCheckpoint]:
    """What the models stand on, each once; raises PackError for one that may not be taken along."""
    standing: dict[str, list[str]] = {}
    for name, model in models.items():
        if model.checkpoint is not None:
            standing.setdefault(model.recipe.needs.checkpoint, []).append(name)
    unknown = sorted(set(wanted.kaggle) - set(standing))
    if unknown:
        known = ", ".join(standing) or "none"
        raise PackError(f"no model of the pack stands on the checkpoint {shown(unknown[0])} (there are: {known})")
    found: list[PackedCheckpoint] = []
    for checkpoint, names in standing.items():
        recipe, where = models[names[0]].recipe, models[names[0]].checkpoint
        assert where is not None
        licence, comes = licence_of(where), wanted.kaggle.get(checkpoint)
        accepted = comes is None and not may_be_taken_along(licence)
        if accepted and checkpoint not in wanted.accepted and not accept(checkpoint, licence):
            raise PackError(_forbidden(checkpoint, licence))
        found.append(
            PackedCheckpoint(
                name=checkpoint,
                files=hash_of_files(checkpoint_of(planned.workspace, recipe)),
                more=tuple(recipe.needs.files),
                comes=comes or "included",
                folder="" if comes else f"{CHECKPOINTS}/{len(found)}",
                licence=licence,
                accepted=accepted,
                models=names,
            )
        )
    return found


def _forbidden(checkpoint: str, licence: str | None) -> str:
    says = f"its licence is {licence}" if licence else "its files do not say what its licence is"
    return (
        f"the checkpoint {checkpoint} would be taken along, and {says}: nothing tells that it may be handed on. Refer "
        f"to it on Kaggle with --kaggle-model {checkpoint}=OWNER/MODEL/FRAMEWORK/VARIATION/VERSION, or, if you may, "
        f"say --accept-licence {checkpoint}"
    )


def _copy_checkpoint(source: Path, target: Path) -> None:
    """Weights as safetensors, configuration, tokenizer and texts; links are followed."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_NOT_TAKEN, ".*", "onnx", "openvino", "coreml"))


def _write_workspace(planned: Planned, source: Result, models: Mapping[str, _Model], folder: Path) -> None:
    """What is declared, and what the rows told: neither a row nor a text of them."""
    workspace, declared = planned.workspace, planned.competition.declaration
    folder.mkdir(parents=True)
    own = {model.recipe.own.shown for model in models.values() if model.recipe.own is not None}
    own |= {declared.own_metric[0]} if declared.own_metric is not None else set()
    for file in sorted(own):
        _copy(workspace.root / file, folder / file)
    for path in sorted({model.recipe.path for model in models.values()}):
        _copy(path, folder / "base_models" / path.name)
    data = declared.data.model_dump(exclude={"train", "test", "sample_submission"})
    sample = declared.data.sample_submission
    allowed = [name.removesuffix(AS_PUBLISHED) for name, model in models.items() if model.recipe.needs.remote_code]
    tables: dict[str, dict[str, object]] = {
        "data": {
            # By name: where they lie, the inputs say.
            "train": [PurePosixPath(name).name for name in declared.data.train],
            "test": [PurePosixPath(name).name for name in declared.data.test],
            "sample_submission": None if sample is None else PurePosixPath(sample).name,
            **data,
        },
        "training": {"remote_code": allowed, "models": list(models)},
    }
    atomic.write_text(folder / DECLARATION, to_toml(declared.top, tables))
    write_facts(folder, facts_of(planned))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _pack_model(
    planned: Planned, model: _Model, folder: Path, wanted: Wanted, notices: list[str]
) -> tuple[Member, float]:
    """Lay its weights into the pack, in half the bytes where it then says the same; and time it.

    Returns the member and the seconds that the competition's rows take.
    """
    target = folder / WEIGHTS / model.recipe.name
    size = sum(path.stat().st_size for each in model.folders for path in each.rglob("*.safetensors"))
    tries = ["float16"] if _may_be_halved(model, size, wanted) else []
    why = halved = ""
    for precision in [*tries, "as trained"]:
        shutil.rmtree(target, ignore_errors=True)
        for fold, source in enumerate(model.folders):
            if precision == "float16":
                halve(source, target / f"fold_{fold}")
            else:
                shutil.copytree(source, target / f"fold_{fold}")
        if model.prior is not None:
            shutil.copytree(planned.workspace.prior(model.prior), target / "prior")
        member = Member(
            name=model.recipe.name, folds=len(model.folders), precision=precision, gain=None, seconds_per_row=0,
            seconds_to_load=0,
        )  # fmt: skip
        why, pace = _differs(planned, model, member, folder)
        if not why:
            if tries and precision != "float16":
                notices.append(f"{model.recipe.name}: its weights stay as they were trained, float16 {halved}")
            return _timed(planned, member, pace)
        halved = why
    raise PackError(
        f"{model.recipe.name}: read again from the pack, it {why}. Train it again on this machine "
        f"(`compete train-base {model.recipe.name} --force`), or leave it out"
    )


def _may_be_halved(model: _Model, size: int, wanted: Wanted) -> bool:
    return bool(model.recipe.needs.checkpoint) and size >= _SMALLEST_HALVED and not wanted.full_precision


def _timed(planned: Planned, member: Member, pace: Pace) -> tuple[Member, float]:
    elapsed = pace.clock() - pace.began
    rows = max(pace.rows // member.folds, 1)
    timed = member.model_copy(
        update={
            "seconds_per_row": max(elapsed - pace.loading, 0.0) / rows,
            "seconds_to_load": pace.loading,
        }
    )
    return timed, timed.seconds_to_load + timed.seconds_per_row * _rows_to_come(planned)


def _rows_to_come(planned: Planned) -> int:
    """Rows that the pack is likely to predict: of a hidden test set nobody knows, and train is a guess."""
    declared = planned.competition.declaration.data
    return len(planned.competition.train_ids if declared.hidden_test else planned.competition.test_ids)


def _differs(planned: Planned, model: _Model, member: Member, folder: Path) -> tuple[str, Pace]:
    """What is wrong with a packed model, told by some visible rows; empty where it says what it said."""
    competition = planned.competition
    chosen = np.unique(
        np.linspace(0, len(competition.test_ids) - 1, min(len(competition.test_ids), _SAMPLE)).astype(int)
    )
    expected = store.read_model(planned.workspace.base_model(member.name), competition.shape).test[chosen]
    texts = [competition.test_texts[row] for row in chosen]
    features = {name: [cells[row] for row in chosen] for name, cells in competition.test_features.items()}
    paces: list[Pace] = []
    with atomic.scratch_folder() as root:
        pack = _provisional(model, member, folder, root)
        try:
            found = predict_member(
                pack, facts_of(planned), member, texts, features, float("inf"), usable_cores(), told=paces.append
            )
        except Exception as error:  # whatever the family raises, it could not be used
            return f"cannot be used ({type(error).__name__}: {error})", Pace(1, 0.0, time.monotonic)
        finally:
            release()
    part = store.read_record(planned.workspace.base_model(member.name).part(0))
    computed = [str(part["made_by"].get("predicted_in", "float32"))]
    computed += ["float16"] if member.precision == "float16" else []
    return how_they_differ(planned, expected, found, tolerance_of(computed)), paces[0]


def tolerance_of(computed: Sequence[str]) -> Tolerance:
    """What is tolerated of numbers that were computed in these precisions."""
    return max((TOLERANCES.get(name, TOLERANCES["float32"]) for name in computed), key=lambda each: each.most)


def how_they_differ(
    planned: Planned, expected: NDArray[np.float32], found: NDArray[np.float32], allowed: Tolerance
) -> str:
    """In words, the largest difference of (n_rows, n_outputs) where it is more than is tolerated; else nothing."""
    task = planned.competition.task
    if found.shape != expected.shape:
        return f"gives {found.shape} numbers, not {expected.shape}"
    spread = np.ptp(planned.competition.train_targets.astype(np.float64), axis=0)
    unit = 1.0 if task.gives_probabilities else np.where(spread > 0, spread, 1.0)
    difference = np.abs(found.astype(np.float64) - expected) / unit
    if len(difference) and not (difference.max() <= allowed.most and difference.mean() <= allowed.mean):
        row, column = divmod(int(np.argmax(difference)), difference.shape[1])
        return f"says {found[row, column]:.5g} of {task.outputs[column]} where it said {expected[row, column]:.5g}"
    return ""


def _provisional(model: _Model, member: Member, folder: Path, root: Path) -> OpenedPack:
    """The pack as far as it is written, laid out to try one member."""
    files = [file for file in listed(folder) if file.part in (WORKSPACE, f"{WEIGHTS}/{member.name}")]
    manifest = Manifest.model_construct(files=files, members=[member])
    for file in files:
        if file.part == WORKSPACE:
            _copy(folder / file.path, root / file.path.removeprefix(f"{WORKSPACE}/"))
    if model.checkpoint is not None:
        where = {model.recipe.needs.checkpoint: str(model.checkpoint.resolve())}
        with (root / DECLARATION).open("a", encoding="utf-8") as toml:
            toml.write(to_toml({}, {"checkpoints": where}))
    return OpenedPack(manifest, {file.path: folder / file.path for file in files}, root, [folder])


def _manifest(
    planned: Planned,
    source: Result,
    name: str,
    wanted: Wanted,
    folder: Path,
    ordered: Ordered,
    members: Mapping[str, Member],
    checkpoints: Sequence[PackedCheckpoint],
) -> Manifest:
    declared = planned.competition.declaration
    files = listed(folder)
    gains = ordered.gains
    return Manifest(
        format=1,
        name=name,
        id=id_of(files, ordered.steps, checkpoints),
        competition=declared.name,
        kaggle=declared.submission.kaggle,
        task=planned.competition.task.name,
        metric=declared.metric_name,
        source=source.title,
        kind=source.kind,
        source_name=source.name,
        compete=compete.__version__,
        python=wanted.python,
        budget_seconds=wanted.budget,
        ordered_by=ordered.ordered_by,
        members=[members[each].model_copy(update={"gain": gains[each]}) for each in ordered.members],
        steps=ordered.steps,
        checkpoints=list(checkpoints),
        wheels_needed=still_needed(folder / WHEELS),
        files=files,
        bytes=sizes_of(files),
    )


def _refuse_leaks(planned: Planned, folder: Path) -> None:
    """Raise PackError if a file holds a path of this machine or a secret of its environment."""
    places = {
        str(planned.workspace.root),
        str(planned.workspace.root.resolve()),
        str(Path.home()),
        tempfile.gettempdir(),
    }
    needles = {f"{place}{os.sep}".encode(): "a path of this machine" for place in places if len(place) > 1}
    secrets = {value for key, value in os.environ.items() if is_secret(key) and len(value) >= 8}
    needles |= {secret.encode(): "a secret of this machine's environment" for secret in secrets}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".safetensors", ".whl") or path.stat().st_size > _MOST_SEARCHED:
            continue
        content = path.read_bytes()
        for needle, what in needles.items():
            if needle in content:
                where = path.relative_to(folder).as_posix()
                raise PackError(f"{where} would hold {what}, and a pack leaves this machine: take it out of its source")
