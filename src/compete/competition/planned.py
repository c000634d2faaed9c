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
        labels = self.competition.train_targets
        rates = [("all", labels.mean(axis=0).tolist())]
        for fold in range(self.plan.k):
            rates.append((str(fold), labels[self.plan.rows(fold)].mean(axis=0).tolist()))
        return rates

    @property
    def learnt_task(self) -> Task:
        """The task with the outputs that models learn under this plan."""
        return replace(self.competition.task, outputs=self.learnt.names)

    @cached_property
    def learnt(self) -> Learnt:
        """Which of the labels models learn under this plan."""
        from compete.competition.rare_labels import learnt_labels

        return learnt_labels(self.competition, self.plan.k)
