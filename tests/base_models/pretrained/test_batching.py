"""Batches of like lengths: every row once, whole batches first, and no order of the lengths in their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compete.base_models.pretrained.batching import LikeLengths, in_batches, micro_batches

lengths_of_rows = st.lists(st.integers(0, 60), max_size=400)


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 600))
def test_micro_batches_make_up_a_batch_exactly_and_are_as_large_as_allowed(batch_size: int, limit: int) -> None:
    micro, accumulated = micro_batches(batch_size, limit)
    assert micro * accumulated == batch_size
    assert 1 <= micro <= limit
    assert not any(batch_size % rows == 0 for rows in range(micro + 1, min(limit, batch_size) + 1))


@settings(deadline=None)
@given(st.integers(1, 500))
def test_halving_the_micro_batch_comes_to_one_row(batch_size: int) -> None:
    micro, tried = batch_size, 0
    while micro > 1:
        smaller, _ = micro_batches(batch_size, micro // 2)
        assert smaller < micro
        micro, tried = smaller, tried + 1
    assert tried <= 8


@settings(deadline=None)
@given(lengths_of_rows, st.integers(1, 40))
def test_batches_go_from_the_shortest_rows_to_the_longest(lengths: list[int], batch_size: int) -> None:
    batches = list(in_batches(lengths, batch_size))
    order = [int(row) for batch in batches for row in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths)
    assert all(len(batch) == batch_size for batch in batches[:-1])


@settings(deadline=None)
@given(lengths_of_rows, st.integers(1, 40), st.integers(0, 9))
def test_every_epoch_has_every_row_once(lengths: list[int], batch_size: int, seed: int) -> None:
    sampler = LikeLengths(lengths, batch_size, seed)
    for _ in range(2):
        assert sorted(sampler) == list(range(len(sampler)))


def batches_of(sampler: LikeLengths) -> list[list[int]]:
    """What a DataLoader makes of the order."""
    order = list(sampler)
    return [order[start : start + sampler.batch_size] for start in range(0, len(order), sampler.batch_size)]


@pytest.fixture
def sampler() -> LikeLengths:
    lengths = np.random.default_rng(0).integers(5, 60, size=6_001)
    return LikeLengths(lengths.tolist(), batch_size=32, seed=1)


def test_a_batch_wastes_little_on_padding(sampler: LikeLengths) -> None:
    padded = sum(len(batch) * int(sampler.lengths[batch].max()) for batch in batches_of(sampler))
    shuffled = np.random.default_rng(2).permutation(len(sampler))
    at_random = sum(int(sampler.lengths[rows].max()) * len(rows) for rows in np.split(shuffled, range(32, 6_001, 32)))
    needed = int(sampler.lengths.sum())
    assert padded < 1.1 * needed < 1.6 * needed < at_random


def test_the_order_of_batches_does_not_follow_their_lengths(sampler: LikeLengths) -> None:
    means = [float(sampler.lengths[batch].mean()) for batch in batches_of(sampler)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.25


def test_epochs_differ_and_the_seed_decides() -> None:
    lengths = list(range(200))
    one, same, other = (LikeLengths(lengths, 8, seed) for seed in (1, 1, 2))
    first, second = list(one), list(one)
    assert [first, second] == [list(same), list(same)]
    assert first != second and first != list(other)
