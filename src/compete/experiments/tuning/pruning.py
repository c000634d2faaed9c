"""When a trial is given up before its last epoch: the median stopping rule.

As Golovin et al. 2017 ("Google Vizier", section 3.2.2) and Optuna's MedianPruner: a trial whose best validation loss so
far is worse than the median of the earlier trials' losses at the same epoch is stopped. The medians are those of
trials that had ended before it was begun, so that it does not matter how many run at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

# Trials that have to have ended before one is given up: as of MedianPruner.
FEWEST_TRIALS = 5
# Settings that make the validation loss another quantity: trials with other values of them are not compared.
_OTHER_LOSSES = frozenset({"loss", "class_weights", "label_smoothing", "r_drop", "noisy_rows", "validation_share"})


class GivenUpError(Exception):
    """A trial is not worth its other epochs."""


class WatchedCurves(list[dict[str, float]]):
    """The curves of a training, which stop it by the rule as they are written.

    medians: of earlier trials, by epoch. Only the first of several nets in one training is watched.
    """

    def __init__(self, medians: Mapping[int, float]) -> None:
        super().__init__()
        self.medians = medians
        self.losses: dict[int, float] = {}
        """Of every epoch that was seen."""

    def append(self, row: dict[str, float]) -> None:
        super().append(row)
        self._see(row)

    def extend(self, rows: Iterable[dict[str, float]]) -> None:
        for row in rows:
            self.append(row)

    def _see(self, row: Mapping[str, float]) -> None:
        if "epoch" not in row or "validation_loss" not in row or row.get("member", 1) != 1:
            return
        epoch = int(row["epoch"])
        self.losses[epoch] = float(row["validation_loss"])
        # NaN is worse than anything.
        if epoch in self.medians and not min(self.losses.values()) <= self.medians[epoch]:
            raise GivenUpError


def medians(ended: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The median loss at every epoch, of trials that ended; none while there are few."""
    epochs = sorted({epoch for losses in ended for epoch in losses})
    by_epoch = {epoch: [losses[epoch] for losses in ended if epoch in losses] for epoch in epochs}
    return {epoch: median(losses) for epoch, losses in by_epoch.items() if len(losses) >= FEWEST_TRIALS}


def comparable(params: Mapping[str, Any]) -> dict[str, Any]:
    """What two trials have to have in common for their losses to be compared."""
    return {name: value for name, value in params.items() if name in _OTHER_LOSSES}
