"""What a network is fitted by in each task, by name; light, so that reading a recipe stays quick."""

from __future__ import annotations

from typing import Literal

from compete.base_models.task_settings import listed
from compete.competition.task import KINDS, Kind, TaskName
from compete.declarations import Problem

LossName = Literal["bce", "focal", "asymmetric", "cross_entropy", "mse", "mae", "huber", "pearson", "cumulative"]
# The default first.
LOSSES: dict[Kind, tuple[LossName, ...]] = {
    "labels": ("bce", "focal", "asymmetric"),
    "classes": ("cross_entropy", "focal"),
    "numbers": ("mse", "mae", "huber", "pearson"),
    "grades": ("cumulative", "mse", "mae", "huber"),
}


def default_loss(kind: Kind) -> LossName:
    """What outputs of this kind are fitted by where nothing is said."""
    return LOSSES[kind][0]


def refused_loss(loss: LossName | None, task: TaskName) -> list[Problem]:
    """A loss of another task, with those of this one."""
    known = LOSSES[KINDS[task]]
    if loss is None or loss in known:
        return []
    others = [name for name, kind in KINDS.items() if loss in LOSSES[kind]]
    return [Problem("loss", f'"{loss}" is for {listed(others)}; for {task} there are {", ".join(known)}')]
