"""Trials as they are told: plain objects, and the file that holds them for whoever only looks.

Optuna's SQLite file is what a tuning goes on from; trials.json is written from it, and read without Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from compete import atomic
from compete.competition.names import is_model_name
from compete.competition.workspace import TuningFolder, Workspace
from compete.stored_json import read_json

TrialState = Literal["done", "given up", "failed", "waiting"]


@dataclass(frozen=True)
class Trial:
    """One set of settings that was tried."""

    number: int
    state: TrialState
    score: float | None
    """Mean over the folds it was tried in, on rows that were set aside; None unless it is done."""
    settings: dict[str, Any]
    """By dotted name."""
    params: dict[str, Any]
    """The same as Optuna stores them, by which two trials are told to be alike."""
    scores: dict[int, float]
    """By the fold it was tried for."""
    seconds: float
    losses: dict[int, float]
    """Mean validation loss by epoch."""
    shipped: bool = False
    """Whether these are the recipe's own settings."""
    error: str = ""


@dataclass(frozen=True)
class About:
    """What the scores of a study depend on besides the settings that are tried."""

    recipe: str
    identity: dict[str, str]
    """Of the recipe as it is written."""
    rows_identity: dict[str, str]
    """Of the rows under their fold plan."""
    metric: str
    greater_is_better: bool
    space: dict[str, str]
    folds: tuple[int, ...]
    """Whose settings are looked for: labels of the others are read."""
    k: int
    nested: bool
    rows: float
    """Share of the rows that are fitted."""
    size: str
    seed: int

    @property
    def is_whole(self) -> bool:
        """Whether it is no proxy: all rows, and every fold unless it is one of a nested tuning."""
        return self.rows == 1 and (self.nested or len(self.folds) == self.k)


@dataclass(frozen=True)
class StudyRecord:
    """Everything that was tried under one set of conditions."""

    key: str
    about: About
    trials: tuple[Trial, ...]

    @property
    def done(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == "done"]

    @property
    def best(self) -> Trial | None:
        """The trial with the best score, of equal ones the first."""
        sign = 1 if self.about.greater_is_better else -1
        return max(self.done, key=lambda trial: (sign * (trial.score or 0.0), -trial.number), default=None)

    @property
    def as_shipped(self) -> Trial | None:
        """The recipe's own settings, where they lie inside the space and were scored."""
        return next((trial for trial in self.done if trial.shipped), None)


def write_trials(folder: TuningFolder, studies: Sequence[StudyRecord]) -> None:
    """Write all of them, atomically."""
    atomic.write_json(folder.trials, {"studies": [asdict(study) for study in studies]})


def read_trials(folder: TuningFolder) -> list[StudyRecord]:
    """What was written; nothing where there is no such file, or one that compete did not write."""
    try:
        return [_study(record) for record in read_json(folder.trials)["studies"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def tuned_recipes(workspace: Workspace) -> list[str]:
    """Names of recipes that something was tried for, sorted."""
    if not workspace.tunings.is_dir():
        return []
    return sorted(path.name for path in workspace.tunings.iterdir() if is_model_name(path.name) and path.is_dir())


def _study(record: Mapping[str, Any]) -> StudyRecord:
    about = dict(record["about"])
    about["folds"] = tuple(int(fold) for fold in about["folds"])
    return StudyRecord(str(record["key"]), About(**about), tuple(_trial(each) for each in record["trials"]))


def _trial(record: Mapping[str, Any]) -> Trial:
    if record["state"] not in get_args(TrialState):
        raise ValueError("a trial is in no state that there is")
    return Trial(
        number=int(record["number"]),
        state=record["state"],
        score=None if record["score"] is None else float(record["score"]),
        settings=dict(record["settings"]),
        params=dict(record["params"]),
        scores={int(fold): float(score) for fold, score in record["scores"].items()},
        seconds=float(record["seconds"]),
        losses={int(epoch): float(loss) for epoch, loss in record["losses"].items()},
        shipped=record["shipped"] is True,
        error=str(record["error"]),
    )
