"""Make a pack for a code competition, check one, predict from one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from compete import atomic
from compete.code_competitions.limits import SESSION_MEMORY
from compete.code_competitions.manifest import (
    MANIFEST,
    KaggleDataset,
    KaggleModel,
    Manifest,
    check_hashes,
    read_manifest,
)
from compete.code_competitions.notebook_rehearsal import NotebookRehearsal, rehearse_pack
from compete.code_competitions.offline_run import run_offline
from compete.code_competitions.opened_pack import open_pack
from compete.code_competitions.packing import (
    Packed,
    Wanted,
    how_they_differ,
    make_pack,
    tolerance_of,
)
from compete.code_competitions.prediction import PackPrediction, predict_pack
from compete.competition.names import is_name
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name, validate
from compete.errors import DataError, PackError, UserError
from compete.execution.local import usable_cores
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.results import Result
from compete.printable import shown
from compete.progress import Progress, unseen
from compete.stacking.inventory import Inventory
from compete.times import seconds_of
from compete.workflows.session import Say, exclusively, load, silent

if TYPE_CHECKING:
    import pandas as pd


def nobody_to_ask(checkpoint: str, licence: str | None) -> bool:
    """Where no answer can be had, it is no."""
    return False


@dataclass(frozen=True)
class PackResult:
    """A pack that was made."""

    packed: Packed = field(repr=False)

    @property
    def folder(self) -> Path:
        return self.packed.folder

    @property
    def manifest(self) -> Manifest:
        return self.packed.manifest

    @property
    def table(self) -> pd.DataFrame:
        """A row per member in the order of prediction: folds, precision, gain, seconds, bytes."""
        from compete.reporting.packs import pack_frame

        return pack_frame(self.manifest)

    @property
    def steps(self) -> pd.DataFrame:
        """What is expected where only some members are done: a row per step."""
        from compete.reporting.packs import steps_frame

        return steps_frame(self.manifest)


@dataclass(frozen=True)
class PackCheck:
    """A pack held against the workspace."""

    name: str
    rows: int
    largest: float
    """Of all differences between probabilities of the pack and of the workspace."""
    tolerated: float
    other_cells: int
    """Of the submission, that differ from the one of the workspace."""
    walls: str
    problem: str = ""
    """What is wrong; empty where the pack says what the workspace says."""


def pack(
    workspace: Workspace,
    what: str | None = None,
    *,
    name: str | None = None,
    budget: str = "8h",
    full_precision: bool = False,
    wheel: Path | None = None,
    wheels: Path | None = None,
    python: str | None = None,
    kaggle_models: Sequence[str] = (),
    kaggle_datasets: Sequence[str] = (),
    accept_licences: Collection[str] = (),
    say: Say = silent,
    progress: Progress = unseen,
    ask: Callable[[str, str | None], bool] = nobody_to_ask,
) -> PackResult:
    """Everything that predicting with a stack or a base model needs, in packs/NAME; default: the stack that was chosen.

    name: of the pack; by default that of the stack or base model. budget: seconds that the notebook may take, as "8h".
    kaggle_models: checkpoints that Kaggle has, each "NAME=OWNER/MODEL/FRAMEWORK/VARIATION/VERSION"; kaggle_datasets:
    "NAME=OWNER/SLUG/VERSION". accept_licences: checkpoints to take along whatever their licence says; ask: of others.
    """
    kaggle = _on_kaggle(kaggle_models, kaggle_datasets)
    seconds = _seconds(budget)
    with exclusively(workspace, say):
        planned = with_plan(load(workspace, say))
        source = _source(Inventory(planned), what)
        atomic.sweep(workspace.packs)
        chosen = Wanted(seconds, full_precision, wheel, wheels, kaggle=kaggle, accepted=accept_licences)
        if python is not None:
            chosen = Wanted(**{**vars(chosen), "python": python})
        found = make_pack(planned, source, source.name if name is None else name, chosen, accept=ask, progress=progress)
        for notice in found.notices:
            say(notice)
    return PackResult(found)


def _source(results: Inventory, what: str | None) -> Result:
    return results.to_submit() if what is None else results.find(what)


def _on_kaggle(models: Sequence[str], datasets: Sequence[str]) -> Mapping[str, KaggleModel | KaggleDataset]:
    found: dict[str, KaggleModel | KaggleDataset] = {}
    for option, given in (("--kaggle-model", models), ("--kaggle-dataset", datasets)):
        for text in given:
            checkpoint, _, address = text.partition("=")
            found[checkpoint] = _address(option, text, address)
    return found


def _address(option: str, text: str, address: str) -> KaggleModel | KaggleDataset:
    found: KaggleModel | KaggleDataset | None
    if option == "--kaggle-model":
        found, _ = validate(KaggleModel, {"kaggle_model": address})
        form = "NAME=OWNER/MODEL/FRAMEWORK/VARIATION/VERSION"
    else:
        slug, _, version = address.rpartition("/")
        found, _ = validate(KaggleDataset, {"kaggle_dataset": slug, "version": version})
        form = "NAME=OWNER/SLUG/VERSION"
    if found is None:
        raise UserError(f"{option} {shown(text)} is not of the form {form}")
    return found


def packs_of(workspace: Workspace) -> list[str]:
    """Names of the packs, the one that was made last first."""
    found = [path.parent for path in workspace.packs.glob(f"*/{MANIFEST}") if is_name(path.parent.name)]
    found.sort(key=lambda folder: -(folder / MANIFEST).stat().st_mtime_ns)
    return [folder.name for folder in found]


def pack_folder(workspace: Workspace, name: str | None) -> Path:
    """The folder of a pack, by default of the last one; raises PackError where there is none."""
    names = packs_of(workspace)
    if not names:
        raise PackError("there is no pack yet: `compete pack` makes one")
    chosen = names[0] if name is None else name
    if chosen not in names:
        raise PackError(f"no pack is called {shown(chosen)}; {unknown_name(chosen, names)}")
    return workspace.pack(chosen)


def check_pack(workspace: Workspace, name: str | None = None, *, say: Say = silent) -> PackCheck:
    """Predict the visible test rows from a pack in a fresh process without a network, outside of the workspace, and
    compare them with the workspace's own, cell by cell."""
    with exclusively(workspace, say, reading=True):
        folder = pack_folder(workspace, name)
        manifest = read_manifest(folder)
        check_hashes(folder, manifest)
        planned = with_plan(load(workspace, say))
        _refuse_foreign(planned, manifest)
        data = planned.competition.declaration.data
        test = [workspace.root / file for file in data.test]
        sample = None if data.sample_submission is None else workspace.root / data.sample_submission
        found = run_offline(folder, test, sample)
        source = Inventory(planned).find(manifest.source_name)
        expected = store.read_model(source.folder, planned.competition.shape).test
        allowed = tolerance_of([*computed_in(planned, manifest)])
        problem = "".join(f"{each} could not be used: {why}. " for each, why in found.left_out.items())
        if not problem and found.ids != list(planned.competition.test_ids):
            problem = "it predicted other rows than those of the test file. "
        problem = problem or how_they_differ(planned, expected, found.probabilities, allowed)
        same_shape = expected.shape == found.probabilities.shape
        largest = float(abs(found.probabilities - expected).max()) if same_shape and expected.size else float("nan")
        cells = _other_cells(_csv_of(planned, source), found.csv)
        return PackCheck(manifest.name, len(found.ids), largest, allowed.most, cells, found.walls, problem.strip())


def _refuse_foreign(planned: Planned, manifest: Manifest) -> None:
    """Raise PackError for a pack of another competition, copied here perhaps."""
    here = planned.competition.declaration.name
    if manifest.competition != here:
        raise PackError(
            f"the pack {manifest.name} is of another competition, {shown(manifest.competition)}, and this workspace is "
            f"{shown(here)}: make it here with `compete pack`"
        )


def computed_in(planned: Planned, manifest: Manifest) -> list[str]:
    """The precisions that a pack's probabilities, and those of the workspace, were computed in."""
    found = ["float16" if member.precision == "float16" else "float32" for member in manifest.members]
    for member in manifest.members:
        part = store.read_record(planned.workspace.base_model(member.name).part(0))
        found.append(str(part["made_by"].get("predicted_in", "float32")))
    return found


def _csv_of(planned: Planned, source: Result) -> bytes:
    from compete.submissions.form import submission_form
    from compete.submissions.sending import cut

    return cut(planned.competition, source, submission_form(planned.competition))


def _other_cells(one: bytes, other: bytes) -> int:
    """How many cells of two files of one form differ, told by their separators."""
    lines = zip(one.splitlines(), other.splitlines(), strict=False)
    return sum(a != b for first, second in lines for a, b in zip(first.split(b","), second.split(b","), strict=False))


def rehearse_notebook(
    workspace: Workspace,
    name: str | None = None,
    *,
    rows: int | None = None,
    memory_gib: float = SESSION_MEMORY.most,
    budget: str | None = None,
    say: Say = silent,
) -> NotebookRehearsal:
    """Run a pack's notebook as Kaggle would: other folders, no network, rows that nobody has seen.

    rows: of the hidden test set; memory_gib: that it may take. Raises PackError for a pack of another competition.
    """
    with exclusively(workspace, say, reading=True):
        folder = pack_folder(workspace, name)
        manifest = read_manifest(folder)
        check_hashes(folder, manifest)
        planned = with_plan(load(workspace, say))
        _refuse_foreign(planned, manifest)
        return rehearse_pack(
            planned,
            folder,
            manifest,
            rows=rows,
            memory_gib=memory_gib,
            budget=None if budget is None else _seconds(budget),
        )


def _seconds(budget: str) -> float:
    try:
        return seconds_of(budget)
    except ValueError as error:
        raise UserError(f"--budget: {error}") from None


def predict_with_pack(
    folder: Path,
    test: Sequence[Path],
    output: Path,
    *,
    sample: Path | None = None,
    budget: str | None = None,
    threads: int | None = None,
    say: Say = silent,
) -> PackPrediction:
    """As the notebook does, of any file with the columns of the test file; needs no workspace.

    Runs a family or metric of the user's own, if the pack holds one.
    """
    for path in (*test, *([sample] if sample else [])):
        if not path.is_file():
            raise DataError(f"{path} {'is no file' if path.exists() else 'does not exist'}")
    seconds = None if budget is None else _seconds(budget)
    if os.path.realpath(output) in {os.path.realpath(path) for path in test}:
        raise UserError(f"--output {output} would be written over the test file")
    manifest = read_manifest(folder)
    check_hashes(folder, manifest)
    with atomic.scratch_folder() as root:
        opened = open_pack(folder, root)
        return predict_pack(
            opened,
            list(test),
            output,
            sample=sample,
            budget=seconds,
            threads=threads or usable_cores(),
            say=say,
        )
