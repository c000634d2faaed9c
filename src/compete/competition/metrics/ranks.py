"""Ranks of numbers. scipy.stats has them too, and takes longer to import than a whole stack of few rows to be built."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Ranks (n,) of the values (n,), from 1; equal values get the mean of the ranks that they take up together."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[which])
