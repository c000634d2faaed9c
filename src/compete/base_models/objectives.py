"""What the raw outputs of a network mean in each task: how many there are, what they learn, and what they predict.

| an output is | raw outputs | fitted by |
|---|---|---|
| a label | its logit | bce, focal, asymmetric |
| a class | its logit; the softmax is over a row's | cross_entropy, focal |
| a number | the number, standardised | mse, mae, huber, pearson |
| a grade | for each but the lowest, the logit of "at least this grade" | cumulative |
| a grade | or the number, standardised | mse, mae, huber |
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compete.base_models.class_weights import ClassWeights, weights_of_classes
from compete.base_models.families import FitContext
from compete.base_models.losses import Loss, classes_loss, make_loss, numbers_loss, positive_weights
from compete.base_models.task_losses import LossName, default_loss
from compete.competition.shape import Targets
from compete.competition.targets import strata
from compete.competition.task import Kind, Task
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
        plain = cls(context.kind, targets.shape[1], context.grades, loss or default_loss(context.kind))
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
        n_outputs = len(context.labels)
        plain = cls(context.kind, n_outputs, context.grades, loss or default_loss(context.kind))
        if not plain.standardises:
            return plain
        numbers = json.loads((folder / _STANDARD).read_text(encoding="utf-8"))
        return replace(plain, mean=np.array(numbers["mean"]), scale=np.array(numbers["scale"]))

    @property
    def standardises(self) -> bool:
        """Whether raw outputs are numbers."""
        return self.kind in ("numbers", "grades") and not self.cumulative

    @property
    def cumulative(self) -> bool:
        """Whether a grade has several raw outputs."""
        return self.loss_name == "cumulative"

    @property
    def width(self) -> int:
        """Raw outputs of a row."""
        return self.n_outputs * (len(self.grades) - 1 if self.cumulative else 1)

    def learnt(self, targets: Targets) -> NDArray[np.float32]:
        """What the raw outputs are compared with, (n_rows, width), from what is true, (n_rows, n_outputs)."""
        if self.cumulative:
            at_least = targets[:, :, None] >= np.asarray(self.grades[1:], dtype=targets.dtype)
            return at_least.reshape(len(targets), self.width).astype(np.float32)
        if self.kind in ("labels", "classes"):
            return targets.astype(np.float32)
        return ((targets - self.mean) / self.scale).astype(np.float32)

    def loss(self, fitted: Targets, class_weights: ClassWeights, smoothing: float = 0.0) -> Loss:
        """From raw outputs and what is learnt to a scalar; classes are weighted by the rows that are fitted."""
        if self.kind == "labels":
            return make_loss(self.loss_name, positive_weights(fitted, class_weights))
        if self.kind == "classes":
            weights = torch.from_numpy(weights_of_classes(fitted, class_weights)).float()
            return classes_loss(self.loss_name, weights, smoothing)
        return make_loss("bce", torch.ones(self.width)) if self.cumulative else numbers_loss(self.loss_name)

    def predictions(self, raw: NDArray[np.floating]) -> NDArray[np.float64]:
        """Predictions (..., n_outputs) from raw outputs (..., width): see `competition/task.py`."""
        if self.kind == "labels":
            return sigmoid(raw)
        if self.kind == "classes":
            return softmax(raw)
        if self.cumulative:  # the expected grade: the lowest, and each step up as far as it is likely
            steps = sigmoid(raw).reshape(*raw.shape[:-1], self.n_outputs, len(self.grades) - 1)
            return np.asarray(self.grades[0] + steps @ np.diff(self.grades))
        numbers = np.asarray(raw, dtype=np.float64) * self.scale + self.mean
        return numbers if self.kind == "numbers" else numbers.clip(self.grades[0], self.grades[-1])


def strata_of(targets: Targets, context: FitContext) -> NDArray[np.int8]:
    """What a validation split is stratified by, 0/1 (n_rows, n_strata)."""
    return strata(Task(context.task, context.labels, context.grades), targets)
