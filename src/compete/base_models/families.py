"""What a family of base models must offer.

A family is a class with a pydantic model `Settings` and one method, `fit`. What `fit` returns predicts
probabilities for texts it is handed. Neither ever sees a label, an id or a text of the fold that is
predicted before `predict_proba` is called with its texts, so that a leak cannot be written by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel


@dataclass(frozen=True)
class FitContext:
    """What one training run is told besides its rows.

    labels: names of the label columns, in the order of the columns of the label matrix.
    seed: differs between folds, the same whenever the same fold of the same recipe is trained.
    threads: how many threads the run may use; the environment (OMP_NUM_THREADS) already says the same.
    progress: called with the fraction of the work that is done, from 0 to 1, as often as is convenient.
    curves: rows of numbers to keep, one per epoch (`{"epoch": 1, "train_loss": 0.4, ...}`).
    warnings: sentences on what the user should know of this run, such as a batch that had to be made smaller.
    cache: folder for what every fold of every recipe may share, because it depends on a text alone; None: no such
        folder.
    """

    labels: tuple[str, ...]
    seed: int
    threads: int = 1
    progress: Callable[[float], None] = lambda fraction: None
    curves: list[dict[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cache: Path | None = None


class FittedModel(Protocol):
    """A trained model of one fold."""

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities in [0, 1], shape (len(texts), n_labels), independent of the other texts."""
        ...


@runtime_checkable
class Keepable(Protocol):
    """A fitted model that can be written down; its family has `load(folder, context)` to read it again."""

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Write what was trained into an empty folder.

        Adapters and heads are always written; all weights of a model that was trained as a whole only if
        `whole`. Returns whether what was written is enough to predict with.
        """
        ...


class Family(Protocol):
    """The code that trains one kind of base model; constructed with its validated settings.

    version: raise it when the same settings and rows would now give other probabilities; results of the
    older version then count as stale. A built-in family may also name in `imports` the modules that training and
    loading need, for the process that jobs are forked from.
    """

    Settings: ClassVar[type[BaseModel]]
    version: ClassVar[int]

    def fit(self, texts: Sequence[str], labels: NDArray[np.int8], context: FitContext) -> FittedModel:
        """Train on `texts` and their 0/1 `labels`, shape (len(texts), n_labels).

        Whatever is learnt from text, a vocabulary included, is learnt from these texts only; rows to stop
        early or choose an epoch on are taken from them too.
        """
        ...
