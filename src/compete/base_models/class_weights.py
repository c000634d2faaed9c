"""How much more a label's positive rows count than its negative ones."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

ClassWeights = Literal["none", "balanced", "sqrt"]
_POWERS: dict[ClassWeights, float] = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}


def positive_weight(positives: float, negatives: float, how: ClassWeights) -> float:
    """1, negatives / positives ("balanced"), or its root ("sqrt"), which takes the edge off very rare labels."""
    return float((negatives / positives) ** _POWERS[how])


def weights_of_classes(classes: NDArray[np.number], how: ClassWeights) -> NDArray[np.float64]:
    """Weight of every class's rows (n_classes,), from one-hot rows: rows / (classes * its rows) for "balanced", as
    scikit-learn has it, or its root; a class without a row counts as if it had one.
    """
    counts = np.maximum(classes.sum(axis=0, dtype=np.float64), 1)
    return np.asarray((len(classes) / (classes.shape[1] * counts)) ** _POWERS[how])
