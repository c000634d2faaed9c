"""What a result is worth: its honest score, kept beside its probabilities, so that tables need not compute it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compete import atomic
from compete.competition.workspace import ResultFolder
from compete.oof import store
from compete.stored_json import read_json

# Raise it when the same probabilities would be scored or cut differently.
VERSION = 4


@dataclass(frozen=True)
class TargetScore:
    """One target under the honest predictions."""

    rmse: float
    mae: float
    pearson: float
    bias: float
    """Predicted minus true, on average."""
    right: float | None
    """Share of rows that are given their very grade; None where no grades are decided."""


@dataclass(frozen=True)
class LabelScore:
    """One label under the honest decisions."""

    precision: float
    recall: float
    f1: float
    threshold: float | None
    """The one for the test set, None for a rule without any."""
    threshold_spread: float | None
    """Standard deviation of the thresholds of the folds."""
    gain: float
    """F1 more than with a threshold of 0.5; then its 95 % interval."""
    gain_low: float
    gain_high: float

    @property
    def worth_tuning(self) -> bool:
        """Whether the threshold's gain over 0.5 is more than noise."""
        return self.gain_low > 0


@dataclass(frozen=True)
class Score:
    """A model's or a stack's score, and its labels one by one."""

    metric: str
    honest: float
    low: float
    """Of the honest score's 95 % interval."""
    high: float
    naive: float
    """Fitted and scored on the same rows, as in most notebooks."""
    repeats: tuple[float, ...]
    """The honest score under every plan of folds."""
    decision: dict[str, Any]
    """How the test set is decided (`decision_from`)."""
    labels: dict[str, LabelScore]
    """Of labels and classes, by name."""
    targets: dict[str, TargetScore] = field(default_factory=dict)
    """Of numbers and grades, by name."""

    def record(self) -> dict[str, Any]:
        labels = {name: vars(label) for name, label in self.labels.items()}
        targets = {name: vars(target) for name, target in self.targets.items()}
        return {**vars(self), "labels": labels, "targets": targets}


def score_from(record: Mapping[str, Any]) -> Score:
    """The inverse of Score.record; raises KeyError, TypeError or ValueError for anything else."""
    labels = {name: LabelScore(**_numbers(label)) for name, label in record["labels"].items()}
    targets = {name: TargetScore(**_numbers(target)) for name, target in record["targets"].items()}
    numbers = {key: float(record[key]) for key in ("honest", "low", "high", "naive")}
    repeats = tuple(float(score) for score in record["repeats"])
    decision = dict(record["decision"])
    return Score(
        metric=str(record["metric"]), repeats=repeats, decision=decision, labels=labels, targets=targets, **numbers
    )


def _numbers(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else float(value) for name, value in record.items()}


def kept_score(folder: ResultFolder, metric: str, manifest: Mapping[str, Any], source: str = "") -> Score | None:
    """The score of exactly these predictions under this metric and plan, or None if it must be computed.

    source: a hash of the file of a metric of the user's own.
    """
    try:
        record = read_json(folder.scores)
        current = record["metric"] == metric and record["of"] == _scored(folder, manifest, source)
        return score_from(record) if current and (record["labels"] or record["targets"]) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # only a cache


def keep_score(folder: ResultFolder, manifest: Mapping[str, Any], score: Score, source: str = "") -> None:
    """Write a score beside the predictions that were scored; source as in `kept_score`."""
    atomic.write_json(folder.scores, {"of": _scored(folder, manifest, source), **score.record()})


def _scored(folder: ResultFolder, manifest: Mapping[str, Any], source: str) -> list[str]:
    """What a score depends on besides the metric's name; the plan's fingerprint covers the labels too."""
    scored = [str(VERSION), str(manifest["identity"]["fold plan"]), store.hash_of(manifest, folder.oof)]
    return [*scored, source] if source else scored
