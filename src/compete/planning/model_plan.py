"""What is known of a model before it is trained, and what it was reckoned from; light, for models without a checkpoint.

The reckoning itself (`resources`) imports torch and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import MINIATURE
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.recipes import Recipe
from compete.planning.local_checkpoints import hub_cache

if TYPE_CHECKING:
    from compete.planning.footprint import Adapted, Anatomy, BatchSize, Footprint

_LONGEST = 256  # texts, the longest in bytes: which of them has the most tokens is counted


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


def rows_to_plan(labels: Sequence[str], train: Sequence[str], test: Sequence[str]) -> Rows:
    """What a plan keeps of the texts: the longest and the sum."""
    longest = sorted(train, key=lambda text: len(text.encode()), reverse=True)[:_LONGEST]
    total = sum(len(text.encode()) for text in [*train, *test])
    return Rows(tuple(labels), len(train), len(test), tuple(longest), total)


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
    free: int
    """Where the hub's files go."""


@dataclass(frozen=True)
class ModelPlan:
    """All that is known of one recipe."""

    name: str
    checkpoint: str = ""
    aside: str = ""
    """A sentence in place of everything else, where there is no estimate."""
    settings: Adapted | None = None
    shape: Anatomy | None = None
    batch: BatchSize | None = None
    tokens_counted: bool = False
    disk: Disk | None = None
    on_machine: bool = False
    notices: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    cards: Mapping[int, int] = field(default_factory=dict)
    """Number of GPUs it takes, by their memory in GiB, for a model that does not fit on every device here."""


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


def without_reckoning(recipe: Recipe) -> ModelPlan | None:
    """The plan of a recipe for which nothing is reckoned; None where there is something to reckon."""
    settings = recipe.settings
    if not isinstance(settings, SequenceClassifierSettings | LabelGeneratorSettings):
        return ModelPlan(recipe.name, aside="no checkpoint, runs on the processor")
    if settings.checkpoint.startswith(MINIATURE):
        return ModelPlan(recipe.name, settings.checkpoint, aside="a miniature, made on the spot")
    return None
