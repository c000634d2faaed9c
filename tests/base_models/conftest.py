"""Posts and their labels for the families of transformers; checkpoints are miniatures, so nothing is downloaded."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def posts() -> tuple[list[str], NDArray[np.int8]]:
    """Posts in which "sunny" means joy and "rotten" anger."""
    random = Random(5)
    texts, rows = [], []
    for _ in range(96):
        row = (int(random.random() < 0.5), int(random.random() < 0.3))
        cues = [cue for cue, is_on in zip(("sunny", "rotten"), row, strict=True) if is_on]
        texts.append(" ".join([*cues, "day", *(f"filler{random.randrange(30)}" for _ in range(random.randrange(6)))]))
        rows.append(row)
    return texts, np.array(rows, dtype=np.int8)
