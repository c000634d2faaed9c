"""What learns on the numbers that an encoder says of texts: a linear head, the nearest neighbours, or trees.

All but trees take the numbers standardised on the rows of the fit, so that a penalty means the same for every
checkpoint and layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compete.base_models.boosted.trees import Design, Trees, grow
from compete.base_models.embeddings.linear_heads import Affine, Rows, learner, validation_losses
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.embeddings.standard import FILE, Floats, Numbers, Standard, save_arrays
from compete.base_models.families import FitContext
from compete.base_models.pseudo_labels import SoftRows
from compete.competition.shape import Targets
from compete.errors import UserError
from compete.logits import EPSILON
from compete.progress import unheard

_AT_ONCE = 512  # rows whose neighbours are looked for


class Head(Protocol):
    """A fitted head."""

    def predict(self, numbers: Numbers) -> Floats:
        """Predictions (n_rows, n_outputs): see `competition/task.py`."""
        ...

    def save(self, folder: Path) -> None:
        """Write it into the folder, as safetensors and LightGBM's text."""
        ...


def fit_head(
    settings: EmbeddingsSettings,
    numbers: Numbers,
    targets: Targets,
    rows: Rows,
    context: FitContext,
    soft: tuple[Numbers, SoftRows] | None = None,
) -> Head:
    """Fit the head that the settings name on (n_rows, width) and what is true, (n_rows, n_outputs).

    rows: to fit and to choose on, if something is chosen. soft: numbers of rows that only teachers know, and what they
    say; they are fitted by the linear head alone, and choose nothing.
    """
    if soft is not None and settings.head != "linear":
        raise UserError(f'pseudo_labels: head = "{settings.head}" does not learn from soft targets; "linear" does')
    if settings.head == "lightgbm":
        design = Design(numbers.astype(np.float64), [])
        return GrownHead(grow(settings.trees, design, targets, rows, replace(context, progress=unheard)))
    scale = Standard.of(numbers)
    X = scale.apply(numbers)
    if settings.head == "knn":
        return Neighbours(scale, _unit(X), targets.astype(np.float32), settings.neighbours)
    learn = learner(settings.head, context)
    best = settings.C[0]
    if len(settings.C) > 1:
        losses = validation_losses(settings.C, X, targets, rows, learn, context.kind)
        context.curves.extend({"C": C, "validation_loss": loss} for C, loss in losses.items())
        best = min(losses, key=losses.__getitem__)
    if soft is None:
        return learn(X, targets, best, scale, None)
    more, said = scale.apply(soft[0]), soft[1]
    counts = np.concatenate([np.ones(len(X), dtype=np.float32), said.weights])
    return learn(np.concatenate([X, more]), np.concatenate([targets, said.targets]), best, scale, counts)


def load_head(settings: EmbeddingsSettings, folder: Path, context: FitContext) -> Head:
    """What `save` wrote into `folder`."""
    from safetensors.numpy import load_file

    if settings.head == "lightgbm":
        return GrownHead(Trees.load(folder, context))
    kept = load_file(folder / FILE)
    scale = Standard(kept.pop("center"), kept.pop("spread"))
    if settings.head == "knn":
        return Neighbours(scale, kept["units"], kept["targets"], settings.neighbours)
    return Affine(scale, kept["weights"], kept["constants"], context.kind, context.grades, settings.head == "svm")


@dataclass(frozen=True)
class Neighbours:
    """What is true of the most similar rows of the fit, weighted by their similarity (cosine)."""

    scale: Standard
    units: Numbers
    """(n_rows, width), standardised, of length 1."""
    targets: NDArray[np.float32]
    """(n_rows, n_outputs)."""
    count: int

    def predict(self, numbers: Numbers) -> Floats:
        units = _unit(self.scale.apply(numbers))
        parts = [self._of(units[start : start + _AT_ONCE]) for start in range(0, len(units), _AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros((0, self.targets.shape[1]))

    def _of(self, units: Numbers) -> Floats:
        similar = units @ self.units.T
        count = min(self.count, len(self.units))
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        # A row of the fit that points away says nothing; the smallest weight keeps the sum from being zero.
        weights = np.maximum(np.take_along_axis(similar, nearest, axis=1), EPSILON).astype(np.float64)
        found: Floats = np.einsum("rk,rko->ro", weights, self.targets[nearest].astype(np.float64))
        return np.asarray(found / weights.sum(axis=1, keepdims=True))

    def save(self, folder: Path) -> None:
        save_arrays(folder, self.scale, units=self.units, targets=self.targets)


@dataclass(frozen=True)
class GrownHead:
    """Trees."""

    trees: Trees

    def predict(self, numbers: Numbers) -> Floats:
        return self.trees.predict(numbers.astype(np.float64))

    def save(self, folder: Path) -> None:
        self.trees.save(folder)


def _unit(X: Numbers) -> Numbers:
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(lengths > 0, lengths, 1), dtype=np.float32)
