"""The ids and labels of a competition: what every stored table must agree with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Ids in the order of the rows, and label columns in order."""

    train_ids: Sequence[str]
    test_ids: Sequence[str]
    labels: Sequence[str]
