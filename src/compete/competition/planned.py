"""A competition under its fold plan: what every out-of-fold result depends on, besides its recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from compete.competition.folds import FoldPlan, made_from, rows_identity
from compete.competition.task import Task
from compete.competition.workspace import Workspace

if TYPE_CHECKING:  # both import pandas, which `compete status` has no time for
    from compete.competition.data import Competition
    from compete.competition.rare_labels import Learnt
    from compete.competition.shape import Targets


@dataclass(frozen=True)
class Planned:
    """The rows and the folds they are divided into."""

    competition: Competition
    plan: FoldPlan

    @property
    def workspace(self) -> Workspace:
        return self.competition.workspace

    @cached_property
    def identity(self) -> dict[str, str]:
        """The rows under the plan, by name; part of every OOF's identity."""
        origin = made_from(self.competition.fingerprints, self.competition.declaration.folds)
        return rows_identity(self.competition.fingerprints, self.plan.fingerprint, origin)

    def label_rates_by_fold(self) -> list[tuple[str, list[float]]]:
        """Label rates: a row for all of train, then one for every fold; shape (k + 1, n_labels)."""
        return [(name, targets.mean(axis=0).tolist()) for name, targets in self.targets_by_fold()]

    def targets_by_fold(self) -> list[tuple[str, Targets]]:
        """What is true of all training rows, then of those of every fold, (n_rows, n_outputs) each."""
        targets = self.competition.train_targets
        return [("all", targets), *((str(fold), targets[self.plan.rows(fold)]) for fold in range(self.plan.k))]

    @property
    def learnt_task(self) -> Task:
        """The task with the outputs that models learn under this plan."""
        return replace(self.competition.task, outputs=self.learnt.names)

    @cached_property
    def learnt(self) -> Learnt:
        """Which of the labels models learn under this plan."""
        from compete.competition.rare_labels import learnt_labels

        return learnt_labels(self.competition, self.plan)
