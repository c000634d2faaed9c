"""What the raw outputs of a network mean in each task: how many there are, what they learn, and what they predict.

| an output is | its raw outputs | fitted by |
|---|---|---|
| a label | the logit | bce, focal, asymmetric |
| a class | the logit; the softmax is over a row's | cross_entropy, focal |
| a number | the number, standardised | mse, mae, huber, pearson |
| a target with grades | for every grade but the lowest, the logit of "at least this grade" | cumulative |
| | for every grade the logit; the softmax is over the target's | cross_entropy |
| | the number, standardised | mse, mae, huber |

Of steps and of grades it is the expected grade that is predicted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compete.base_models.class_weights import ClassWeights, weights_of_classes
from compete.base_models.families import FitContext
from compete.base_models.losses import Loss, classes_loss, make_loss, numbers_loss, positive_weights
from compete.base_models.task_losses import LossName, settled_loss
from compete.competition.shape import Targets
from compete.competition.task import Kind
from compete.logits import sigmoid, softmax

_STANDARD = "targets.json"


@dataclass(frozen=True)
class Objective:
    """One task for one network."""

    kind: Kind
    n_outputs: int
    """Labels, classes or targets."""
    grades: tuple[float, ...]
    loss_name: LossName
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    scale: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    """Of every target, (n_outputs,), in the rows that are trained on; 0 and 1 where nothing is standardised."""

    @classmethod
    def of(cls, loss: LossName | None, targets: Targets, context: FitContext) -> Objective:
        """For the rows (n_rows, n_outputs) that are trained on, those that choose the epoch among them."""
        plain = cls(context.kind, targets.shape[1], context.grades, settled_loss(loss, context.task))
        if not plain.standardises:
            return plain
        spread = targets.std(axis=0, dtype=np.float64)
        return replace(plain, mean=targets.mean(axis=0, dtype=np.float64), scale=np.where(spread > 0, spread, 1.0))

    def save(self, folder: Path) -> None:
        """Mean and scale as JSON, where there are any: the rest is said by settings and task."""
        if self.standardises:
            numbers = {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
            (folder / _STANDARD).write_text(json.dumps(numbers), encoding="utf-8")

    @classmethod
    def read(cls, loss: LossName | None, folder: Path, context: FitContext) -> Objective:
        """What `save` wrote into `folder`."""
        plain = cls(context.kind, len(context.labels), context.grades, settled_loss(loss, context.task))
        if not plain.standardises:
            return plain
        numbers = json.loads((folder / _STANDARD).read_text(encoding="utf-8"))
        return replace(plain, mean=np.array(numbers["mean"]), scale=np.array(numbers["scale"]))

    @property
    def standardises(self) -> bool:
        """Whether raw outputs are numbers."""
        return self.loss_name in ("mse", "mae", "huber", "pearson")

    @property
    def each(self) -> int:
        """Raw outputs of one output."""
        by_grade = {"cumulative": len(self.grades) - 1, "cross_entropy": len(self.grades)}
        return by_grade.get(self.loss_name, 1) if self.kind == "grades" else 1

    @property
    def width(self) -> int:
        """Raw outputs of a row."""
        return self.n_outputs * self.each

    def learnt(self, targets: Targets) -> NDArray[np.float32]:
        """What the raw outputs are compared with, (n_rows, width), from what is true, (n_rows, n_outputs)."""
        if self.standardises:
            return ((targets - self.mean) / self.scale).astype(np.float32)
        if self.kind != "grades":
            return targets.astype(np.float32)
        grades = np.asarray(self.grades, dtype=targets.dtype)
        # What lies between two grades, as teachers say it, is so much of the way from one to the other.
        columns = targets[:, :, None]
        steps = np.where(columns >= grades[1:], 1, ((columns - grades[:-1]) / np.diff(grades)).clip(0, 1))
        first, last = np.ones_like(steps[:, :, :1]), np.zeros_like(steps[:, :, :1])
        of_each = np.concatenate([first, steps], axis=2) - np.concatenate([steps, last], axis=2)
        cells = steps if self.loss_name == "cumulative" else of_each
        return np.asarray(cells.reshape(len(targets), self.width), dtype=np.float32)

    def loss(self, fitted: Targets, class_weights: ClassWeights, smoothing: float = 0.0) -> Loss:
        """From raw outputs and what is learnt to a scalar; labels and classes are weighted by the rows that are fitted.

        smoothing: of classes, and of labels under bce.
        """
        if self.standardises:
            return numbers_loss(self.loss_name)
        if self.kind == "labels":
            return make_loss(self.loss_name, output_weights(self.kind, fitted, class_weights), smoothing)
        if self.kind == "classes":
            return classes_loss(self.loss_name, output_weights(self.kind, fitted, class_weights), smoothing)
        if self.loss_name == "cumulative":
            return make_loss("bce", torch.ones(self.width))
        of_grades = classes_loss("cross_entropy", torch.ones(self.each), 0.0)

        def loss(raw: Tensor, learnt: Tensor, cell_weights: Tensor | None = None, /) -> Tensor:
            weights = None if cell_weights is None else cell_weights.reshape(-1, self.each)
            return of_grades(raw.reshape(-1, self.each), learnt.reshape(-1, self.each), weights)

        return loss

    def predictions(self, raw: NDArray[np.floating]) -> NDArray[np.float64]:
        """Predictions (..., n_outputs) from raw outputs (..., width): see `competition/task.py`."""
        if self.kind == "labels":
            return sigmoid(raw)
        if self.kind == "classes":
            return softmax(raw)
        if self.kind == "numbers":
            return self._numbers(raw)
        lowest, highest = self.grades[0], self.grades[-1]
        if self.standardises:
            return self._numbers(raw).clip(lowest, highest)
        of_each = raw.reshape(*raw.shape[:-1], self.n_outputs, self.each)
        if self.loss_name == "cumulative":  # the lowest, and each step up as far as it is likely
            expected = lowest + sigmoid(of_each) @ np.diff(self.grades)
        else:
            expected = softmax(of_each) @ np.asarray(self.grades)
        return np.asarray(expected.clip(lowest, highest))  # the last bit of a sum

    def _numbers(self, raw: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray(raw, dtype=np.float64) * self.scale + self.mean


def output_weights(kind: Kind, fitted: Targets, how: ClassWeights) -> Tensor:
    """Weight of every label's positives, or of every class's rows, (n_outputs,), by the rows that are fitted."""
    if kind == "classes":
        return torch.from_numpy(weights_of_classes(fitted, how)).float()
    return positive_weights(fitted, how)
