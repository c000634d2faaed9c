"""What a network is fitted by in each task, by name; light, so that reading a recipe stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from compete.base_models.task_settings import listed
from compete.competition.task import KINDS, Kind, TaskName
from compete.declarations import Problem

LossName = Literal["bce", "focal", "asymmetric", "cross_entropy", "mse", "mae", "huber", "pearson", "cumulative"]
Losses = Mapping[Kind, tuple[LossName, ...]]
# The default first.
LOSSES: Losses = {
    "labels": ("bce", "focal", "asymmetric"),
    "classes": ("cross_entropy", "focal"),
    "numbers": ("mse", "mae", "huber", "pearson"),
    "grades": ("cumulative", "cross_entropy", "mse", "mae", "huber"),
}


def settled_loss(loss: LossName | None, task: TaskName, losses: Losses = LOSSES) -> LossName:
    """The loss, or the task's default where nothing is said."""
    return loss or losses[KINDS[task]][0]


def refused_loss(loss: LossName | None, task: TaskName, losses: Losses = LOSSES) -> list[Problem]:
    """A loss of another task, with those of this one."""
    known = losses[KINDS[task]]
    if loss is None or loss in known:
        return []
    others = [name for name, kind in KINDS.items() if loss in losses[kind]]
    meant = f"is for {listed(others)}" if others else "is of another family"
    return [Problem("loss", f'"{loss}" {meant}; for {task} there are {", ".join(known)}')]
