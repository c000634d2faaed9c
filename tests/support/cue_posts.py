"""Posts whose labels are told by a word each, for models that learn words."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray


def cue_posts(count: int, anger_rate: float) -> tuple[list[str], NDArray[np.int8]]:
    """Posts in which "sunny" means joy and "rotten" anger, which is rare, with one in ten cues missing."""
    random = Random(5)
    texts, rows = [], []
    for _ in range(count):
        row = (int(random.random() < 0.5), int(random.random() < anger_rate))
        cues = [cue for cue, is_on in zip(("sunny", "rotten"), row, strict=True) if is_on and random.random() < 0.9]
        texts.append(" ".join([*cues, "day", f"filler{random.randrange(30)}"]))
        rows.append(row)
    return texts, np.array(rows, dtype=np.int8)
