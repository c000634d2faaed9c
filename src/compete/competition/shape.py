"""The ids and labels of a competition: what every stored table must agree with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

# What is true, (n_rows, n_outputs): int8 of 0 and 1, or float32 of numbers and grades, as the task says.
Targets = NDArray[Any]


@dataclass(frozen=True)
class Shape:
    """Ids in the order of the rows, and label columns in order."""

    train_ids: Sequence[str]
    test_ids: Sequence[str]
    labels: Sequence[str]
    """Names of the outputs."""
    probabilities: bool = True
    """Whether what is predicted are probabilities; else numbers of any size."""
