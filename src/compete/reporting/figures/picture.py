"""What the catalogue is made of: a figure that can be drawn, or one that cannot and why; and which rows are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compete.reporting.figures.style import Draw

Section = Literal["data", "models", "labels", "stack", "submissions", "experiments"]
# More rows than that do not change a picture, and cost time and memory.
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn."""

    name: str
    """Of its files, and of the figure in `Opened.figure`."""
    section: Section
    title: str
    caption: str
    draw: Draw


@dataclass(frozen=True)
class NotDrawn:
    """A figure that this workspace cannot give, and what would change that."""

    section: Section
    title: str
    why: str


Drawings = Iterator[Picture | NotDrawn]


def some_rows(count: int) -> NDArray[np.intp] | slice:
    """All rows, or a chance sample of them where they are very many; always the same one."""
    if count <= MOST_ROWS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(count, size=MOST_ROWS, replace=False))
