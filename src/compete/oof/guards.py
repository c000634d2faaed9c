"""What may be wrong with a fold that was trained without an error: said by name, never decided here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.task import Kind, are_probabilities

NEVER = 0.5  # a label whose highest probability stays below this is never predicted as it comes
_CONSTANT = 1e-6  # of a probability; of numbers, a share of the largest
_CONSTANT_COLUMN = "the same probability in every row"
_NEVER_PREDICTED = f"never predicted, no probability reaches {NEVER}"
_CONSTANT_NUMBER = "the same number in every row"
_NEVER_HIGHEST = "never the most probable class"
_TOO_RARE = "fewer positive rows than folds, not learnt, a constant in every row"
_DIVERGED = 1.1  # the last validation loss against the best


@dataclass(frozen=True)
class FoldWarning:
    """What a fold's training is suspected of; of a label, or of the whole."""

    text: str
    label: str | None = None

    def __str__(self) -> str:
        return self.text if self.label is None else f"{self.text}: {self.label}"

    def record(self) -> str | dict[str, str]:
        """As it stands in part.json; of the whole, its text alone."""
        return self.text if self.label is None else {"text": self.text, "label": self.label}

    @classmethod
    def read(cls, record: str | Mapping[str, str]) -> FoldWarning:
        """The inverse of `record`."""
        return cls(record) if isinstance(record, str) else cls(record["text"], record["label"])


def warnings_of(
    held_out: NDArray[np.float32], labels: Sequence[str], curves: Sequence[Mapping[str, float]], kind: Kind = "labels"
) -> list[FoldWarning]:
    """Sentences on the probabilities (n_rows, n_labels) of the held-out fold and on the curves of its training."""
    return [*_of_columns(held_out, labels, kind), *_of_curves(curves)]


def rare_warnings(too_rare: Sequence[str]) -> list[FoldWarning]:
    """Sentences on the labels that were left out of the training."""
    return [FoldWarning(_TOO_RARE, label) for label in too_rare]


def warning_lines(warnings: Mapping[FoldWarning, Sequence[int]], k: int) -> list[str]:
    """Warnings of a model, with the folds they were given in, as few lines as say the same: labels share one."""
    lines: dict[str, list[str]] = {}
    for warning, folds in warnings.items():
        where = "" if len(folds) == k else f" (fold {', '.join(map(str, folds))})"
        if warning.label is None:
            lines[warning.text + where] = []
        else:
            lines.setdefault(warning.text, []).append(warning.label + where)
    return [f"{what}: {', '.join(labels)}" if labels else what for what, labels in lines.items()]


def _of_columns(held_out: NDArray[np.float32], labels: Sequence[str], kind: Kind) -> list[FoldWarning]:
    if len(held_out) < 2:
        return []
    highest, spread = held_out.max(axis=0), np.ptp(held_out, axis=0)
    # Numbers are on any scale.
    unit = np.ones(len(labels)) if are_probabilities(kind) else np.abs(held_out).max(axis=0)
    constant = [label for label, same in zip(labels, spread <= _CONSTANT * unit, strict=True) if same]
    if not are_probabilities(kind):
        return [FoldWarning(_CONSTANT_NUMBER, target) for target in constant]
    if kind == "classes":  # the highest of a row is predicted, and may be any
        first = np.bincount(held_out.argmax(axis=1), minlength=len(labels))
        never = [name for name, count in zip(labels, first, strict=True) if not count and name not in constant]
        return [FoldWarning(_CONSTANT_COLUMN, name) for name in constant] + [
            FoldWarning(_NEVER_HIGHEST, name) for name in never
        ]
    never = [label for label, top in zip(labels, highest, strict=True) if top < NEVER and label not in constant]
    warnings = [FoldWarning(_CONSTANT_COLUMN, label) for label in constant]
    return warnings + [FoldWarning(_NEVER_PREDICTED, label) for label in never]


def _of_curves(curves: Sequence[Mapping[str, float]]) -> list[FoldWarning]:
    """Of every run in the curves; a family that trains several nets numbers them as members."""
    warnings = []
    for member in dict.fromkeys(row.get("member", 1) for row in curves):
        rows = [
            row for row in curves if row.get("member", 1) == member and {"train_loss", "validation_loss"} <= row.keys()
        ]
        if not all(math.isfinite(row["validation_loss"]) for row in rows):
            warnings.append(FoldWarning("the loss on the validation rows is not finite"))
        elif rows and _diverges(rows):
            warnings.append(
                FoldWarning("training and validation loss part: the best epoch was kept, fewer epochs would do")
            )
    return list(dict.fromkeys(warnings))


def _diverges(rows: Sequence[Mapping[str, float]]) -> bool:
    """Whether the training loss went on falling while the validation loss had long begun to rise."""
    best = min(rows, key=lambda row: row["validation_loss"])
    last = rows[-1]
    return last["validation_loss"] > _DIVERGED * best["validation_loss"] and last["train_loss"] < best["train_loss"]
