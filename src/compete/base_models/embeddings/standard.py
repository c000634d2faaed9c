"""Numbers on one scale, and writing down what was learnt on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]
Floats = NDArray[np.float64]
FILE = "head.safetensors"


@dataclass(frozen=True)
class Standard:
    """Centre and spread of every number in the rows of the fit, (width,)."""

    center: Numbers
    spread: Numbers

    @classmethod
    def of(cls, numbers: Numbers) -> Standard:
        """Of (n_rows, width)."""
        center, spread = numbers.mean(axis=0, dtype=np.float64), numbers.std(axis=0, dtype=np.float64)
        # Nothing but rounding, which dividing would blow up.
        constant = spread <= 1e-6 * np.maximum(np.abs(center), 1e-6)
        return cls(center.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32))

    def apply(self, numbers: Numbers) -> Numbers:
        """Standardised, (n_rows, width)."""
        return (numbers - self.center) / self.spread


def save_arrays(folder: Path, scale: Standard, **arrays: NDArray[Any]) -> None:
    """Write the arrays of a head into the folder."""
    from safetensors.numpy import save_file

    kept = {"center": scale.center, "spread": scale.spread, **arrays}
    save_file({name: np.ascontiguousarray(values) for name, values in kept.items()}, folder / FILE)
