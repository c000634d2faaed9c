"""Which rows are computed together: rows of like lengths, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Row = dict[str, Any]
Batch = dict[str, Any]
Collate = Callable[[Sequence[Row]], Batch]

# A window of this many batches is sorted by length before it is cut into batches: wide enough that a batch is nearly
# of one length, and narrow enough that which rows meet is still chance.
_WINDOW = 16


def micro_batches(batch_size: int, limit: int) -> tuple[int, int]:
    """The most rows at once, not above `limit`, of which a whole number make up a batch; and that number."""
    micro = next(rows for rows in range(min(limit, batch_size), 0, -1) if batch_size % rows == 0)
    return micro, batch_size // micro


def by_length(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Numbers of the rows from the shortest to the longest, equal lengths in their order."""
    return np.argsort(lengths, kind="stable")


def in_batches(lengths: Sequence[int], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of the rows, batch by batch, from the shortest rows to the longest."""
    order = by_length(lengths)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


class LikeLengths(torch.utils.data.Sampler[int]):
    """Every row once, in batches of like lengths whose order has nothing to do with their lengths.

    transformers' own grouping by length begins every epoch with its longest rows; here that cost score at equal
    epochs (docs/benchmarks.md).
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.random = np.random.default_rng(seed)  # goes on from epoch to epoch
        self.began: dict[str, Any] = dict(self.random.bit_generator.state)
        """What its random numbers were when the epoch began."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        self.began = dict(self.random.bit_generator.state)
        order = self.random.permutation(len(self.lengths))
        window = _WINDOW * self.batch_size
        batches: list[NDArray[np.int64]] = []
        for start in range(0, len(order), window):
            rows = order[start : start + window]
            batches += [rows[batch] for batch in in_batches(self.lengths[rows].tolist(), self.batch_size)]
        # A short batch can only be the last one, or the loader would cut all that follow it elsewhere.
        short = [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        self.random.shuffle(batches)
        yield from (int(row) for batch in batches + short for row in batch)
