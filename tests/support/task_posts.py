"""Posts whose words tell what is true of them, in every task; for models that learn words."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from compete.base_models.families import FitContext
from compete.competition.task import KINDS, TaskName

GRADES = (-2.0, -1.0, 0.0, 1.0)
TASKS: tuple[TaskName, ...] = tuple(KINDS)
_CUES = ("awful", "poor", "fine", "lovely")
_OUTPUTS: dict[TaskName, tuple[str, ...]] = {
    "multilabel": ("good", "bad"),
    "binary": ("good",),
    "multiclass": ("worst", "worse", "better", "best"),
    "regression": ("mood", "height"),
    "ordinal": ("mood", "calm"),
}


def task_posts(task: TaskName, count: int) -> tuple[list[str], NDArray[np.number]]:
    """Posts with one of four cues, and the task's targets, (count, n_outputs): numbers about 40 and 1000."""
    random = Random(5)
    levels = np.array([random.randrange(4) for _ in range(count)])
    texts = [f"what a {_CUES[level]} day filler{random.randrange(30)}" for level in levels]
    return texts, _targets(task, levels)


def task_context(task: TaskName, seed: int = 3) -> FitContext:
    """What a family is told of these posts."""
    return FitContext(_OUTPUTS[task], seed, task, GRADES if task == "ordinal" else ())


def _targets(task: TaskName, levels: NDArray[np.int64]) -> NDArray[np.number]:
    if task == "multiclass":
        return np.eye(4, dtype=np.int8)[levels]
    if task == "regression":
        return np.stack([40 + 2 * levels, 1000 - 100 * levels], axis=1).astype(np.float32)
    if task == "ordinal":
        scale = np.array(GRADES, dtype=np.float32)
        return np.stack([scale[levels], scale[3 - levels]], axis=1)
    good = np.stack([levels >= 2, levels == 0], axis=1).astype(np.int8)
    return good if task == "multilabel" else good[:, :1]


def assert_in_form(task: TaskName, predictions: NDArray[np.float32], rows: int) -> None:
    """Shape, type, range and sum of what a family predicts in the task."""
    assert predictions.shape == (rows, len(_OUTPUTS[task]))
    assert predictions.dtype == np.float32
    assert np.isfinite(predictions).all()
    if task in ("multilabel", "binary", "multiclass"):
        assert np.all((predictions >= 0) & (predictions <= 1))
    if task == "multiclass":
        np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-5)
    if task == "ordinal":
        assert np.all((predictions >= GRADES[0]) & (predictions <= GRADES[-1]))


def assert_better_than_a_constant(predictions: NDArray[np.float32], targets: NDArray[np.number]) -> None:
    """Least squares of every output are well below those of its mean."""
    errors = ((predictions - targets) ** 2).mean(axis=0)
    assert np.all(errors < 0.7 * targets.astype(np.float64).var(axis=0)), (errors, targets.var(axis=0))
