"""What a family of base models must offer.

A family is a class with a pydantic model `Settings` and one method, `fit`. What `fit` returns predicts
probabilities for texts it is handed. Neither ever sees a label, an id or a text of the fold that is
predicted before `predict_proba` is called with its texts, so that a leak cannot be written by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from compete.base_models.pseudo_labels import SoftRows
from compete.base_models.task_settings import refused_settings
from compete.base_models.trackers import Tracked
from compete.competition.shape import Targets
from compete.competition.task import KINDS, Kind, TaskName
from compete.declarations import Problem
from compete.errors import CompeteError
from compete.progress import Report, unheard

MINIATURE = "miniature:"  # what the name of a miniature's checkpoint begins with


@dataclass(frozen=True)
class FitContext:
    """What one training run is told besides its rows."""

    labels: tuple[str, ...]
    """Names of the outputs (labels, classes, targets), in the order of the columns of the matrix of targets."""
    seed: int
    """Differs between folds; the same whenever the same fold of the same recipe is trained."""
    task: TaskName = "multilabel"
    """What the columns of that matrix mean (`competition/task.py`)."""
    grades: tuple[float, ...] = ()
    """ordinal: the scale, increasing."""
    threads: int = 1
    """How many threads the run may use; the environment (OMP_NUM_THREADS) already says the same."""
    progress: Report = unheard
    """Called with the fraction of the work that is done, from 0 to 1, as often as is convenient; and, where there is
    something to say of how it goes, with a few words for the display of trainings: progress(0.5, "loss 0.31")."""
    curves: list[dict[str, float]] = field(default_factory=list)
    """Rows of numbers to keep, one per epoch (`{"epoch": 1, "train_loss": 0.4, ...}`)."""
    warnings: list[str] = field(default_factory=list)
    """Sentences on what the user should know of this run, such as a batch that had to be made smaller."""
    facts: dict[str, str] = field(default_factory=dict)
    """What the result depends on and only training tells, such as the precision it was computed in."""
    state: Path | None = None
    """Folder for what an interrupted training goes on from, if it can; None: it begins anew."""
    state_every: int = 0
    """Optimiser steps between two states; 0: at the end of epochs."""
    tracked: Tracked | None = None
    """Trackers to tell of the training, if it is one that can; None: no tracker."""
    soft: SoftRows | None = None
    """Rows whose labels nobody knows, to learn from as well; only of a family that `learns_soft_rows`."""
    cache: Path | None = None
    """Folder for what every fold of every recipe may share, because it depends on a text alone; None: no folder."""
    features: Path | None = None
    """The same for what is small enough to stay for later runs."""

    @property
    def kind(self) -> Kind:
        """What one output means."""
        return KINDS[self.task]


class FittedModel(Protocol):
    """A trained model of one fold.

    One that predicts in less than float32 says so: `precision`, "bfloat16", "float16" or "tf32".
    """

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities in [0, 1], shape (len(texts), n_outputs), independent of the other texts.

        Of numbers and grades, numbers on the scale of the targets.
        """
        ...


@dataclass(frozen=True)
class Tolerance:
    """How far probabilities may lie from those of the same model, written down and read again."""

    most: float
    """Any of them."""
    mean: float
    """All of them, on average."""


# The same weights give other last bits in other batches, since sums run in another order. Numbers with 11 bits
# (float16) or 8 (bfloat16), behind NF4 weights too, were seen to differ by 9e-4 and 4e-3; `most` is about five times
# that. TF32 has the bits of float16. Of five miniatures behind NF4, in bfloat16 on a processor, one differed by 1.1e-3
# (1.2e-5 on average), the others by less than 1e-6. The means are chosen, a tenth to a fifth of `most`: what they catch
# and what they accuse of models of full size has not been measured.
TOLERANCES = {
    "float32": Tolerance(most=1e-3, mean=1e-4),
    "float16": Tolerance(most=5e-3, mean=1e-3),
    "tf32": Tolerance(most=5e-3, mean=1e-3),
    "bfloat16": Tolerance(most=2e-2, mean=4e-3),
}


@runtime_checkable
class Keepable(Protocol):
    """A fitted model that can be written down; its family has `load(folder, context)` to read it again."""

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Write what was trained into an empty folder.

        Adapters and heads are always written; all weights of a model that was trained as a whole only if
        `whole`. Returns whether what was written is enough to predict with.
        """
        ...


@dataclass(frozen=True)
class Needs:
    """What training a recipe takes besides its rows, and `compete` has to know of beforehand."""

    checkpoint: str = ""
    """Name on the hub, a local folder, or "miniature:ARCHITECTURE"; empty for a model that starts from nothing."""
    remote_code: bool = False
    """The checkpoint runs code of its repository."""
    all_gpus: bool = False
    """One model lies on all GPUs of the machine."""
    frozen_layers: int = 0
    """Lowest layers that never change, so that what they compute is kept for all folds."""
    files: tuple[str, ...] = ()
    """Of the checkpoint, besides weights, configuration and tokenizer, what results depend on, if it is there."""
    features: bool = False
    """The texts come with the row's cells of [data] features behind them, see `text_columns.split_features`."""

    @property
    def is_pretrained(self) -> bool:
        """Whether it is a checkpoint of the size that checkpoints have."""
        return bool(self.checkpoint) and not self.is_miniature

    @property
    def is_miniature(self) -> bool:
        return self.checkpoint.startswith(MINIATURE)


class Family(Protocol):
    """The code that trains one kind of base model; constructed with its validated settings.

    A user's own class has `Settings` and `fit`; what of the rest it leaves out is filled in (`completed`).
    """

    Settings: ClassVar[type[BaseModel]]
    version: ClassVar[int]
    """Raise it when the same settings and rows would now give other probabilities; results of the older version then
    count as stale. Of a user's own class the hash of its file says so instead."""
    imports: ClassVar[tuple[str, ...]]
    """Modules that training and loading need, for the process that jobs are forked from."""
    learns_soft_rows: ClassVar[bool]
    """Whether `fit` learns from context.soft too."""

    def __init__(self, settings: Any) -> None: ...

    @classmethod
    def needs(cls, settings: Any) -> Needs:
        """What these settings take."""
        ...

    @classmethod
    def refused(cls, settings: Any, task: TaskName) -> list[Problem]:
        """What of these settings cannot be in the task, each by the setting's name; "" for the family itself."""
        ...

    @classmethod
    def settled(cls, settings: Any, task: TaskName) -> Any:
        """The settings with what the task decides filled in."""
        ...

    def fit(self, texts: Sequence[str], labels: Targets, context: FitContext) -> FittedModel:
        """Train on `texts` and their `labels`, shape (len(texts), n_outputs): 0/1, or numbers, as context.task says.

        Whatever is learnt from text, a vocabulary included, is learnt from these texts only; rows to stop
        early or choose an epoch on are taken from them too.
        """
        ...

    def load(self, folder: Path, context: FitContext) -> FittedModel:
        """What `save` of a fitted model wrote into `folder`; raises NotKeptError where nothing is ever written."""
        ...


def needs_by_name(settings: Any) -> Needs:
    """What settings seem to take that are called as in `compete`'s own families."""
    return Needs(
        checkpoint=str(getattr(settings, "checkpoint", "")),
        remote_code=bool(getattr(settings, "remote_code", False)),
        all_gpus=bool(getattr(settings, "model_parallel", False)),
    )


class NotKeptError(CompeteError):
    """The models of a family cannot be written down."""


class FamilyDefaults:
    """What a family may leave out of the contract; a user's own class is given it, ours inherit it."""

    version: ClassVar[int] = 1
    imports: ClassVar[tuple[str, ...]] = ()
    learns_soft_rows: ClassVar[bool] = False

    @classmethod
    def needs(cls, settings: Any) -> Needs:
        return needs_by_name(settings)

    @classmethod
    def refused(cls, settings: Any, task: TaskName) -> list[Problem]:
        return refused_settings(settings, task)

    @classmethod
    def settled(cls, settings: Any, task: TaskName) -> Any:
        return settings

    def load(self, folder: Path, context: FitContext) -> FittedModel:
        raise NotKeptError("it has no `save` and `load`, so its models are not kept")


def completed(family: type[Any]) -> type[Family]:
    """A user's own class with all of the contract: itself, so that what it makes can be sent between processes."""
    for name, value in vars(FamilyDefaults).items():
        if not name.startswith("_") and not hasattr(family, name):
            setattr(family, name, value)
    return family


def keeps_models(family: type[Family]) -> bool:
    """Whether the family can read a model again."""
    reads: Any = family.load
    return reads is not FamilyDefaults.load
