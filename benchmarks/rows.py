"""Rows of a labelled CSV (id, text, then a column per label) for the benchmarks on real checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compete.competition.reading import read_table


@dataclass(frozen=True)
class Rows:
    """texts and their 0/1 labels (n_rows, n_labels)."""

    texts: list[str]
    labels: NDArray[np.int8]
    names: tuple[str, ...]


def read_rows(path: Path, count: int, seed: int = 0) -> Rows:
    """`count` rows drawn at random, or all of them if there are fewer."""
    table = read_table(path)
    table = table.iloc[np.random.default_rng(seed).permutation(len(table))[:count]]
    names = tuple(str(name) for name in table.columns[2:])
    return Rows(table.iloc[:, 1].tolist(), table[list(names)].to_numpy().astype(np.int8), names)
