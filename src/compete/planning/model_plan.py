"""What is known of a model before it is trained, and what it was reckoned from; light, for models without a checkpoint.

The reckoning itself (`resources`) imports torch and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import MINIATURE
from compete.base_models.generator.settings import LabelGeneratorSettings, asked_for
from compete.base_models.recipes import Recipe
from compete.competition.text_columns import as_one
from compete.planning.local_checkpoints import hub_cache
from compete.planning.schedule import Schedule, Work, schedule

if TYPE_CHECKING:
    from compete.planning.footprint import Anatomy, BatchSize, Footprint, Planned

_LONGEST = 256  # texts, the longest in bytes: which of them has the most tokens is counted
_TYPICAL = 500  # texts, at least, where there are so many


@dataclass(frozen=True)
class Rows:
    """The competition's rows, as far as a plan needs them."""

    labels: tuple[str, ...]
    n_train: int = 0
    n_test: int = 0
    longest: tuple[str, ...] | None = None
    """The longest training texts; None: the data are not there, and every text may be as long as allowed."""
    total_bytes: int = 0
    """Of all texts, train and test, in UTF-8."""
    typical: tuple[str, ...] = ()
    """Training texts at even distances, of which the mean length is taken."""
    grades: tuple[float, ...] = ()
    """Of an ordinal task."""

    @property
    def asked(self) -> list[str]:
        """What a generator answers, and a head has an output for, at most."""
        return asked_for(self.labels, self.grades)


def rows_to_plan(
    labels: Sequence[str], train_texts: Sequence[str], test_texts: Sequence[str], grades: Sequence[float] = ()
) -> Rows:
    """What a plan keeps of the texts: the longest, some that are typical, and the sum."""
    train, test = ([as_one(text) for text in texts] for texts in (train_texts, test_texts))
    longest = sorted(train, key=lambda text: len(text.encode()), reverse=True)[:_LONGEST]
    total = sum(len(text.encode()) for text in [*train, *test])
    typical = train[:: max(1, len(train) // _TYPICAL)]
    return Rows(tuple(labels), len(train), len(test), tuple(longest), total, tuple(typical), tuple(grades))


class Hardware(Protocol):
    """What is asked of a device."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def memory(self) -> int:
        """Bytes."""
        ...

    @property
    def bfloat16(self) -> bool: ...
    @property
    def unsupported(self) -> str:
        """Why nothing can be computed on it; empty if it can."""
        ...


@dataclass(frozen=True)
class Estimate:
    """Hours that were reckoned, not measured."""

    work: Work
    """The folds, with the changes that the verdict asks for."""
    gpus: int
    """Side by side, a fold on each, or all of them under every fold."""
    schedule: Schedule
    """Of this model alone."""


@dataclass(frozen=True)
class Verdict:
    """What one model takes on one device as it is written, and what is to be done."""

    device: Hardware
    footprint: Footprint
    """Of the model as it is written."""
    fits: bool
    """As written."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings that make it fit, empty if nothing has to change or nothing helps."""
    needed: int = 0
    """Bytes of the smallest variant there is."""
    gpus: int = 1
    """Over how many its layers are laid."""
    at_once: int = 1
    """Jobs that fit together on a processor."""
    fewer: bool = False
    """Fewer jobs at once than were asked for."""
    refused: str = ""
    """Why it cannot be tried."""
    estimate: Estimate | None = None
    """Of its hours on all GPUs of this kind; None on a processor, and where nothing tells."""
    room_for: Mapping[str, Any] = field(default_factory=dict)
    """Settings that would take more of a GPU's memory, and less time; empty where there is no room, or no use of it."""
    roomier: Estimate | None = None
    """With those."""

    @property
    def possible(self) -> bool:
        return not self.refused and (self.fits or bool(self.changes))


@dataclass(frozen=True)
class Disk:
    """Bytes on the disk."""

    files: int | None
    """Of the checkpoint's weight files."""
    download: int | None
    """Of those that are still to fetch."""
    kept: int
    """In oof/, over all folds."""
    hidden_states: int
    """Of what frozen layers compute."""
    free: int | None
    """Where the hub's files go; None: that is another machine."""


@dataclass(frozen=True)
class ModelPlan:
    """All that is known of one recipe."""

    name: str
    checkpoint: str = ""
    aside: str = ""
    """A sentence in place of everything else, where there is no estimate."""
    settings: Planned | None = None
    shape: Anatomy | None = None
    batch: BatchSize | None = None
    tokens_counted: bool = False
    disk: Disk | None = None
    on_machine: bool = False
    notices: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    cards: Mapping[int, int] = field(default_factory=dict)
    """Number of GPUs it takes, by their memory in GiB, for a model that does not fit on every device here."""

    @property
    def adaptation(self) -> str:
        """How much of the checkpoint is trained; empty where it is not planned."""
        return "" if self.settings is None else str(getattr(self.settings, "adaptation", "frozen"))


@dataclass(frozen=True)
class Machine:
    """What the models of a competition would be trained on."""

    devices: Sequence[Hardware]
    """The processor and every GPU."""
    workers: int
    """Jobs at once."""
    folds: int
    """As the competition says."""
    keep_weights: bool = False
    """As the competition says."""
    asked: str = ""
    """What --device named, if the devices are not all that this machine has."""
    session: float | None = None
    """Hours after which the machine is taken away."""

    @property
    def absent(self) -> bool:
        """Whether it is another machine than this one."""
        return bool(self.asked) and any(device.kind == "gpu" for device in self.devices)


@dataclass(frozen=True)
class Downloads:
    """What all models together have still to fetch."""

    size: int
    """Bytes of all weight files, as far as they are known."""
    folder: Path
    """Where they go."""
    free: int
    """Bytes that are free there."""


def downloads(plans: Sequence[ModelPlan]) -> Downloads:
    """What all models download together; a checkpoint that several share counts once."""
    sizes = {plan.checkpoint: plan.disk.download or 0 for plan in plans if plan.disk is not None}
    return Downloads(sum(sizes.values()), *hub_cache())


def all_together(plans: Sequence[ModelPlan], machine: Machine) -> Schedule | None:
    """All models that have an estimate, one after the other on the GPUs; None where those are not alike."""
    found = [verdict.estimate for plan in plans for verdict in plan.verdicts[-1:] if verdict.estimate is not None]
    gpus = sum(device.kind == "gpu" for device in machine.devices)
    if not found or found[0].gpus != gpus:
        return None
    return schedule([each.work for each in found], gpus, machine.session)


def without_reckoning(recipe: Recipe) -> ModelPlan | None:
    """The plan of a recipe for which nothing is reckoned; None where there is something to reckon."""
    settings = recipe.settings
    if recipe.unfit:
        return ModelPlan(recipe.name, aside=recipe.unfit)
    if not isinstance(settings, SequenceClassifierSettings | LabelGeneratorSettings | EmbeddingsSettings):
        return ModelPlan(recipe.name, aside="no checkpoint, runs on the processor")
    if settings.checkpoint.startswith(MINIATURE):
        return ModelPlan(recipe.name, settings.checkpoint, aside="a miniature, made on the spot")
    return None
