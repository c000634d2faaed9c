"""A workspace: the folder with a competition.toml, and where everything in it lies.

The one place that knows the names of folders and files; what a file holds is known by the module that writes it. And
the one place that makes a path of a name: what is none (`competition/names`) raises UserError here, whoever wrote it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compete.competition.names import checked_model_name, checked_name, checked_submission_file
from compete.errors import UserError
from compete.printable import on_one_line

DECLARATION = "competition.toml"
Kind = Literal["base model", "stack"]
# Folders that compete writes into, and how many levels of it: oof/NAME/kept/fold_0/FILE.
_DEPTHS = {
    "oof": 5,
    "submissions": 4,
    "report": 3,
    "rehearsals": 2,
    "reproduction": 8,
    "tracking": 2,
    "data": 1,
    "packs": 3,
    "studies": 4,
    "tuning": 3,
}


@dataclass(frozen=True)
class ResultFolder:
    """The folder of a base model, of one of its folds, or of a stack.

    oof/<model>/fold_<k>/          one job's result
    oof/<model>/kept/fold_<k>/     what that training left behind to predict with
    oof/<model>/                   all folds together
    oof/stacks/<name>/             a stack
    """

    path: Path
    kind: Kind = "base model"
    fold: int | None = None

    @property
    def name(self) -> str:
        """Of the base model or stack."""
        return self.path.name if self.fold is None else self.path.parent.name

    @property
    def oof(self) -> Path:
        """Out-of-fold probabilities; of one fold, those of its rows."""
        return self.path / "oof.parquet"

    @property
    def test(self) -> Path:
        """Probabilities of the test set."""
        return self.path / "test.parquet"

    @property
    def record(self) -> Path:
        """What it was made from, and hashes of the files beside it; written last."""
        return self.path / ("manifest.json" if self.fold is None else "part.json")

    @property
    def curves(self) -> Path:
        """Of one fold: numbers that its training wrote down, epoch by epoch."""
        return self.path / "curves.json"

    @property
    def writing(self) -> Path:
        """Lies there while the files of the whole are written: a run that is killed then left nothing of a user's."""
        return self.path / ".writing"

    @property
    def scores(self) -> Path:
        """A cache: the honest score of just these probabilities."""
        return self.path / "scores.json"

    @property
    def leave_one_out(self) -> Path:
        """Of a stack: what it would be without each of its base models."""
        return self.path / "leave_one_out.json"

    @property
    def all_kept(self) -> Path:
        return self.path / "kept"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def part(self, fold: int) -> ResultFolder:
        """The folder of one of a base model's folds."""
        return ResultFolder(self.path / f"fold_{fold}", self.kind, fold)

    def kept(self, fold: int) -> Path:
        """What the training of a fold left behind to predict with."""
        return self.all_kept / f"fold_{fold}"

    def log(self, fold: int) -> Path:
        """What the training of a fold printed."""
        return self.logs / f"fold_{fold}.log"


@dataclass(frozen=True)
class TuningFolder:
    """What `compete tune` searched for one recipe: tuning/NAME/."""

    path: Path

    @property
    def storage(self) -> Path:
        """Optuna's studies and their trials."""
        return self.path / "study.sqlite"

    @property
    def trials(self) -> Path:
        """The same as JSON, for whoever only looks."""
        return self.path / "trials.json"

    @property
    def written(self) -> Path:
        """Hashes of the recipes that were written, by which one that somebody edited since is told."""
        return self.path / "written.json"

    @property
    def lock(self) -> Path:
        """Held by the one command that may tune this recipe."""
        return self.path / ".lock"

    @property
    def hidden_states(self) -> Path:
        """What frozen layers computed, shared by the trials of one run."""
        return self.path / ".hidden_states"

    def job(self, study: str, trial: int, fold: int) -> Path:
        """What a trial was worth in one fold; there once its job has ended. study: a hash."""
        return self.path / "jobs" / f"{checked_name(study, 'study')}_{trial}_{fold}.json"

    def log(self, study: str, trial: int, fold: int) -> Path:
        """What the trial's training in one fold printed."""
        return self.path / "logs" / f"{checked_name(study, 'study')}_{trial}_{fold}.log"


@dataclass(frozen=True)
class Workspace:
    """Paths of a workspace; nothing is read or created by making one."""

    root: Path
    size: str | None = None
    """Stands in for competition.toml's for as long as one command runs."""

    @property
    def declaration(self) -> Path:
        return self.root / DECLARATION

    @property
    def recipes(self) -> Path:
        """Recipes of base models, written by the user."""
        return self.root / "base_models"

    @property
    def stack_recipes(self) -> Path:
        """Recipes of stacks, written by the user."""
        return self.root / "stacking"

    @property
    def data(self) -> Path:
        """Where downloads go; competition.toml may name files that lie elsewhere."""
        return self.root / "data"

    @property
    def oof(self) -> Path:
        """Fold plan, base models' and stacks' probabilities, written by compete."""
        return self.root / "oof"

    @property
    def submissions(self) -> Path:
        """CSV files and the ledger, written by compete."""
        return self.root / "submissions"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def tracking(self) -> Path:
        """What trackers write on this machine of trainings; no part of any result."""
        return self.root / "tracking"

    @property
    def log(self) -> Path:
        """What every command made, a line each (`experiments/run_log`)."""
        return self.root / "log.jsonl"

    @property
    def log_lock(self) -> Path:
        """Held by the one command that appends to it."""
        return self.oof / ".log.lock"

    @property
    def lock(self) -> Path:
        """Held by the one command that may write, but for folds that are being trained."""
        return self.oof / ".lock"

    @property
    def fold_locks(self) -> Path:
        return self.oof / ".locks"

    def fold_lock(self, model: str, fold: int) -> Path:
        """Held by the one command that may train and write this fold."""
        return self.fold_locks / f"{checked_model_name(model)}.{fold}"

    @property
    def fold_plan(self) -> Path:
        return self.oof / "folds.parquet"

    @property
    def row_fingerprints(self) -> Path:
        """A cache: hashes of the data files, and what the rows in them are told by."""
        return self.oof / "sources.json"

    @property
    def checkpoint_hashes(self) -> Path:
        """A cache: hashes of files of local checkpoints."""
        return self.oof / "checkpoints.json"

    @property
    def downloads(self) -> Path:
        """Hashes of what was downloaded, to tell what somebody edited since."""
        return self.oof / "downloaded.json"

    @property
    def hidden_states(self) -> Path:
        """What frozen layers computed, shared by the folds of one run."""
        return self.oof / ".hidden_states"

    @property
    def frozen_features(self) -> Path:
        """A cache: what checkpoints that stay as they are say of texts, for later runs too."""
        return self.oof / ".frozen_features"

    def prior(self, name: str) -> Path:
        """A checkpoint that was trained on other rows before the folds, by the hash of what it was made from."""
        return self.oof / ".priors" / name

    @property
    def training_states(self) -> Path:
        """What interrupted folds go on from."""
        return self.oof / ".training"

    def training_state(self, model: str, fold: int, identity: str) -> Path:
        """Of one fold's training; the hash tells it from another training of the same fold."""
        return self.training_states / f"{checked_model_name(model)}.{fold}.{identity}"

    @property
    def stacks(self) -> Path:
        return self.oof / "stacks"

    @property
    def chosen_stack(self) -> Path:
        """Which stack is submitted if none is named."""
        return self.stacks / "choice.json"

    @property
    def ledger(self) -> Path:
        return self.submissions / "ledger.sqlite"

    @property
    def shipments(self) -> Path:
        """What was sent to Kaggle step by step, for a crash to go on from: a folder each."""
        return self.submissions / "shipments"

    def shipment(self, key: str) -> Path:
        """Of one notebook with all that it is run with; the hash tells it from others."""
        return self.shipments / checked_name(key, "shipment")

    def recipe(self, name: str) -> Path:
        return self.recipes / f"{checked_model_name(name)}.toml"

    def stack_recipe(self, name: str) -> Path:
        return self.stack_recipes / f"{checked_name(name, 'stack')}.toml"

    def base_model(self, name: str) -> ResultFolder:
        return ResultFolder(self.oof / checked_model_name(name))

    def stack(self, name: str) -> ResultFolder:
        return ResultFolder(self.stacks / checked_name(name, "stack"), "stack")

    @property
    def tunings(self) -> Path:
        """Where `compete tune` keeps its trials."""
        return self.root / "tuning"

    def tuning(self, name: str) -> TuningFolder:
        """Of one recipe."""
        return TuningFolder(self.tunings / checked_model_name(name))

    def submission(self, file: str) -> Path:
        return self.submissions / checked_submission_file(file)

    @property
    def packs(self) -> Path:
        """Folders with all that prediction needs, written by compete; may be deleted."""
        return self.root / "packs"

    def pack(self, name: str) -> Path:
        return self.packs / checked_name(name, "pack")

    def rehearsal(self, seed: int) -> Workspace:
        """The workspace that a rehearsal plays in."""
        return Workspace(self.root / "rehearsals" / str(seed), self.size)

    def reproduction(self, size: str, model: str) -> Workspace:
        """The workspace that a published model is trained again in, under its own split."""
        folder = checked_name(size, "size")
        return Workspace(self.root / "reproduction" / folder / checked_model_name(model), size)

    def reproduction_lock(self, size: str) -> Path:
        """Held by the one command that trains published models at this size."""
        return self.root / "reproduction" / f".{checked_name(size, 'size')}.lock"

    @property
    def reproduced(self) -> Path:
        """Of a workspace of `reproduction`: what came of it."""
        return self.root / "reproduced.json"

    def rehearsal_lock(self, seed: int) -> Path:
        """Held by the one command that plays it."""
        return self.root / "rehearsals" / f".{seed}.lock"

    @property
    def studies(self) -> Path:
        """What was trained to compare folds, settings and seeds; no base model, and never stacked."""
        return self.root / "studies"

    def study(self, name: str) -> Path:
        return self.studies / checked_name(name, "study")

    def study_record(self, name: str) -> Path:
        """The scores of a study, and what they were computed from."""
        return self.study(name) / "study.json"

    def study_part(self, name: str, part: str) -> Path:
        """The folder of one training of a study."""
        return self.study(name) / "parts" / checked_name(part, "part")

    def study_log(self, name: str, trial: str) -> Path:
        """What a job of a study printed."""
        return self.study(name) / "logs" / f"{checked_name(trial, 'trial')}.log"

    def study_lock(self, name: str) -> Path:
        """Held by the one command that is at the study."""
        return self.studies / f".{checked_name(name, 'study')}.lock"

    def shown(self, path: Path) -> str:
        """A path as messages show it: relative to the workspace where it lies inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def find_workspace(start: Path, size: str | None = None) -> Workspace:
    """The workspace that `start` lies in; raises UserError outside of one."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / DECLARATION).is_file():
            found = Workspace(folder, size)
            refuse_links_out(found)
            return found
    raise UserError(
        f"no {DECLARATION} in {start} or above it: this is not a workspace. "
        "Make one with `compete init DIR`, or change into one."
    )


FOLLOW_LINKS = "COMPETE_FOLLOW_LINKS"


def refuse_links_out(workspace: Workspace) -> None:
    """Raise UserError if a folder that compete writes into is a link that leads out of the workspace.

    A workspace of somebody else could have compete write wherever a link points to. Whoever laid one himself, to a
    larger disk perhaps, says so by an environment variable, which no workspace can set.
    """
    if os.environ.get(FOLLOW_LINKS):
        return
    root = workspace.root.resolve()
    for path in _written_into(workspace):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise UserError(
                f"{on_one_line(workspace.shown(path))} is a link that leads out of the workspace, and compete would "
                f"write there. If you laid it yourself, set {FOLLOW_LINKS}=1; if not, remove it."
            )


def _written_into(workspace: Workspace) -> Iterator[Path]:
    """Folders of compete's own and what lies in them, as deep as it writes."""
    for name, depth in _DEPTHS.items():
        level = [workspace.root / name]
        for _ in range(depth):
            yield from level
            level = [inner for path in level if path.is_dir() and not path.is_symlink() for inner in _entries(path)]


def _entries(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_symlink() or entry.is_dir()]
    except OSError:  # said where it is needed
        return []
