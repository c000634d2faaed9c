"""Deciding row by row for the highest expected F1 or Jaccard index of the row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Probabilities

# Rows: what is computed of each takes some n_labels^2 / 2 numbers.
_AT_ONCE = 10_000


def best_decisions(probabilities: Probabilities, *, jaccard: bool) -> NDArray[np.int8]:
    """0/1 decisions (n_rows, n_labels) with the highest expected score of every row, at least one label in each.

    The probabilities must be calibrated, and labels are taken as independent given the text. Then the best set of m
    labels is the m most probable ones (Lewis 1995), and its expected score follows from the distributions of how many
    of them, and of the others, are true: O(n_labels^3) per row. A row without any label scores 0 whatever is
    predicted, so a label is always predicted.
    """
    decisions = np.zeros(np.shape(probabilities), dtype=np.int8)
    for start in range(0, len(decisions), _AT_ONCE):
        rows = np.asarray(probabilities[start : start + _AT_ONCE], dtype=np.float64)
        order = np.argsort(-rows, axis=1, kind="stable")
        expected = _expected_scores(np.take_along_axis(rows, order, axis=1), jaccard)
        taken = np.arange(rows.shape[1]) <= np.argmax(expected, axis=1)[:, None]
        np.put_along_axis(decisions[start : start + _AT_ONCE], order, taken.astype(np.int8), axis=1)
    return decisions


def _expected_scores(descending: NDArray[np.float64], jaccard: bool) -> NDArray[np.float64]:
    """Expected score (n_rows, n_labels) of taking the first 1, 2, ... labels."""
    n_rows, n_labels = descending.shape
    others = _counts_of_the_rest(descending)
    taken = np.ones((n_rows, 1))
    expected = np.empty((n_rows, n_labels))
    for m in range(1, n_labels + 1):
        taken = _with_one_more(taken, descending[:, m - 1])
        # m labels are predicted and hits + missed are true, so F1 is 2 hits / (m + hits + missed).
        hits, missed = np.arange(m + 1)[:, None], np.arange(n_labels - m + 1)[None, :]
        score = hits / (m + missed) if jaccard else 2 * hits / (m + hits + missed)
        expected[:, m - 1] = np.sum((taken @ score) * others[m], axis=1)
    return expected


def _counts_of_the_rest(descending: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """For every m the distribution of how many labels after the first m are true, (n_rows, n_labels - m + 1)."""
    counts = [np.ones((len(descending), 1))]
    for label in reversed(range(descending.shape[1])):
        counts.append(_with_one_more(counts[-1], descending[:, label]))
    return counts[::-1]


def _with_one_more(counts: NDArray[np.float64], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution of a count (n_rows, n + 1) after one more label of that probability may be true."""
    p = probability[:, None]
    more = np.zeros((len(counts), counts.shape[1] + 1))
    more[:, :-1] = counts * (1 - p)
    more[:, 1:] += counts * p
    return more
