"""What is predicted: the tasks, and what each of them makes of the training labels and of a model's predictions.

Every task has a matrix of what is true and a matrix of predictions, both (n_rows, n_outputs), with the same columns:

| task | an output is | true | predicted | decided |
|---|---|---|---|---|
| multilabel | a label | 0 or 1 | a probability | 0 or 1 |
| binary | the one label | 0 or 1 | a probability | 0 or 1 |
| multiclass | a class | 1 for the row's class, else 0 | a probability; a row's sum is 1 | 1 for one class, else 0 |
| regression | a target | a number | a number | the same number |
| ordinal | a target | a grade | a number on the scale of the grades | a grade |

So that a class is scored, stratified and calibrated as a label is, and a grade as a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TaskName = Literal["multilabel", "binary", "multiclass", "regression", "ordinal"]
# What one output means; multilabel and binary differ in how many there are.
Kind = Literal["labels", "classes", "numbers", "grades"]
KINDS: dict[TaskName, Kind] = {
    "multilabel": "labels",
    "binary": "labels",
    "multiclass": "classes",
    "regression": "numbers",
    "ordinal": "grades",
}


def are_probabilities(kind: Kind) -> bool:
    """Whether outputs of the kind are predicted as probabilities; else as numbers."""
    return kind in ("labels", "classes")


@dataclass(frozen=True)
class Task:
    """A task with its outputs."""

    name: TaskName
    outputs: tuple[str, ...]
    """Labels, classes or targets: the columns of every matrix, in order."""
    grades: tuple[float, ...] = ()
    """ordinal: the scale, increasing; all targets share it."""

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def gives_probabilities(self) -> bool:
        """Whether predictions are probabilities, and what is true is 0 or 1."""
        return are_probabilities(self.kind)

    @property
    def noun(self) -> str:
        """What one output is called."""
        return {"labels": "label", "classes": "class", "numbers": "target", "grades": "target"}[self.kind]
