"""How much more a label's positive rows count than its negative ones."""

from __future__ import annotations

from typing import Literal

ClassWeights = Literal["none", "balanced", "sqrt"]
_POWERS: dict[ClassWeights, float] = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}


def positive_weight(positives: float, negatives: float, how: ClassWeights) -> float:
    """1, negatives / positives ("balanced"), or its root ("sqrt"), which takes the edge off very rare labels."""
    return float((negatives / positives) ** _POWERS[how])
