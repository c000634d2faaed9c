"""How far a score may be from the truth: scores of resampled rows, for one model or for several on the same rows.

Every metric but a user's own is written as sums over rows (of hits and counts for F1, of row values for a mean), so
that a bootstrap draw is a weighted sum and a thousand of them are one matrix product. A user's own is computed for
every draw, on RESAMPLED_ROWS of the rows at most.

F1 is curved: of few positives, the scores of resampled rows lie below the score of the rows themselves, as that lies
below the score of very many rows. Resampling makes the same error once more, so it is told from the draws and taken
back: they scatter around the score as new sets of rows of the same size do (the bootstrap's estimate of bias; Efron and
Tibshirani 1993, chapter 10). Coverage is measured by benchmarks/interval_coverage.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Metric, Predicted, Truth, f1_of_sums, f1_sums
from compete.errors import UserError

DRAWS = 1000
LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
# Of labels with fewer positive rows, intervals were measured to hold less often than they say.
FEW_POSITIVES = 60
# Above this many rows, chance blocks of rows are resampled in their place: sums of blocks are as independent as rows,
# and the cost no longer grows with the rows.
_BLOCKS = 10_000
# So many rows at most are resampled for a metric that is no function of sums.
RESAMPLED_ROWS = 5_000

Floats = NDArray[np.float64]
# How many rows are drawn, and of these how many again; None: as many as there are.
Sizes = tuple[int | None, ...]
# Scores (n, 1) of the rows themselves, and what gives scores (n, draws) of resampled ones.
Resampler = tuple[Floats, Callable[[Sizes], Floats]]


def interval(draws: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The central interval that holds `level` of the draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_scores(
    metric: Metric,
    truth: Truth,
    predicted: Sequence[Predicted],
    *,
    new_rows: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Floats:
    """Scores (len(predicted), draws) of resampled rows, the same rows for all of them (a paired bootstrap).

    truth: (n_rows, n_outputs). predicted: what the metric wants, each of the shape of `truth`. new_rows: scores that so
    many new rows like these may get: not only which rows they are is uncertain, but also how well these rows speak for
    the rows they come from.
    """
    own, scores = (_by_sums if metric.sums else _by_rows)(metric, truth, predicted, draws, seed)
    once = scores((None,))
    if new_rows is None:
        return _around(once, own, metric.lowest, metric.highest)
    # Of so many rows as there are, a score lies as far below that of very many as the score of these rows does.
    fewer = scores((new_rows,)).mean(axis=1, keepdims=True) - once.mean(axis=1, keepdims=True)
    return _around(scores((None, new_rows)), own + fewer, metric.lowest, metric.highest)


def _by_sums(metric: Metric, truth: Truth, predicted: Sequence[Predicted], draws: int, seed: int) -> Resampler:
    """Scores (len(predicted), 1) of the rows themselves, and what draws others from sums over rows."""
    assert metric.sums is not None and metric.of_sums is not None
    of_sums = metric.of_sums
    sums = [metric.sums(truth, each) for each in predicted]
    own = np.stack([of_sums(each.sum(axis=0, keepdims=True)) for each in sums])

    def scores(sizes: Sizes) -> Floats:
        return _defined(np.stack([of_sums(totals) for totals in _resampled(sums, sizes, draws, seed)]), own)

    return own, scores


def _by_rows(metric: Metric, truth: Truth, predicted: Sequence[Predicted], draws: int, seed: int) -> Resampler:
    """The same, computing the metric for every draw, on RESAMPLED_ROWS rows at most.

    Of so many among n rows, scores scatter more, by the square root of n over them, and their mean lies further from
    the score, by n over them (an m-out-of-n bootstrap; Bickel, Götze and van Zwet 1997): both are scaled back. Of
    50,000 rows with 5 targets, 1,000 draws took 9 s of a processor's time for scipy's Spearman correlation and 8 s for
    scikit-learn's average precision; from sums, 0.1 to 0.2 s.
    """
    n_rows = len(truth)
    share = min(1.0, RESAMPLED_ROWS / n_rows)
    own = np.array([[metric.compute(truth, each)] for each in predicted])

    def scores(sizes: Sizes) -> Floats:
        shares = [max(1, round(share * (n_rows if size is None else size))) for size in sizes]
        random = np.random.default_rng(seed)
        found = np.full((len(predicted), draws), np.nan)
        for draw in range(draws):
            rows = _chosen(random, n_rows, shares)
            with suppress(UserError):  # these rows may be such that the metric is not defined
                found[:, draw] = [metric.compute(truth[rows], each[rows]) for each in predicted]
        found = _defined(found, own)
        mean = found.mean(axis=1, keepdims=True)
        return np.asarray(own + share * (mean - own) + np.sqrt(share) * (found - mean))

    return own, scores


def _defined(draws: Floats, own: Floats) -> Floats:
    """The draws (n, draws), another draw in place of one that gives no score for one of the n; where none does, `own`.

    Correlations, for one, are not defined for rows of which all are the same.
    """
    defined = np.flatnonzero(np.isfinite(draws).all(axis=0))
    if len(defined) == draws.shape[1]:
        return draws
    if not len(defined):
        return np.repeat(own, draws.shape[1], axis=1)
    instead = np.arange(draws.shape[1])
    missing = np.setdiff1d(instead, defined)
    instead[missing] = np.resize(defined, len(missing))
    return draws[:, instead]


def _around(draws: Floats, centre: Floats, lowest: float, highest: float) -> Floats:
    """The draws (n, draws, ...), moved so that their mean is the centre (n, 1, ...), but not beyond the bounds."""
    return np.asarray(np.clip(draws - draws.mean(axis=1, keepdims=True) + centre, lowest, highest))


def resampled_label_f1(
    labels: Labels, decisions: Sequence[NDArray[np.generic]], *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """F1 of every label in resampled rows, (len(decisions), draws, n_labels); the same rows for all of them."""
    sums = [f1_sums(labels, each) for each in decisions]
    found = np.stack([f1_of_sums(totals) for totals in _resampled(sums, (None,), draws, seed)])
    return _around(found, np.stack([f1_of_sums(each.sum(axis=0, keepdims=True)) for each in sums]), 0.0, 1.0)


def resampled_gain(
    labels: Labels, decided: Sequence[NDArray[np.generic]], others: Sequence[NDArray[np.generic]]
) -> Floats:
    """How much higher the F1 of every label is in `decided` than in `others`, (DRAWS, n_labels); the means of both."""
    drawn = resampled_label_f1(labels, [*decided, *others])
    return np.asarray(drawn[: len(decided)].mean(axis=0) - drawn[len(decided) :].mean(axis=0))


def _resampled(sums: Sequence[Floats], sizes: Sizes, draws: int, seed: int) -> list[Floats]:
    """Sums over resampled rows, (draws, statistics) for each of several (n_rows, statistics)."""
    blocks = _in_blocks(np.hstack(sums), seed).astype(np.float32)
    n_rows = len(sums[0])
    shares = tuple(len(blocks) if n is None else max(1, round(n * len(blocks) / n_rows)) for n in sizes)
    totals = (_counts(len(blocks), shares, draws, seed).astype(np.float32) @ blocks).astype(np.float64)
    return np.split(totals, np.cumsum([each.shape[1] for each in sums])[:-1], axis=1)


@lru_cache(maxsize=8)
def _counts(n_blocks: int, shares: tuple[int, ...], draws: int, seed: int) -> NDArray[np.unsignedinteger]:
    """How often every block is drawn, (draws, n_blocks).

    Kept: one stack asks for the same draws dozens of times. A thousand of them take up ten megabytes at the most.
    """
    random = np.random.default_rng(seed)
    counts = np.empty((draws, n_blocks), dtype=np.uint32)
    for draw in range(draws):
        counts[draw] = np.bincount(_chosen(random, n_blocks, shares), minlength=n_blocks)
    return counts.astype(np.min_scalar_type(counts.max(initial=0)))


def _chosen(random: np.random.Generator, n: int, sizes: Sequence[int]) -> NDArray[np.intp]:
    """Of numbers below n so many by chance, with replacement, and of these so many again."""
    chosen = random.integers(n, size=sizes[0])
    for size in sizes[1:]:
        chosen = chosen[random.integers(len(chosen), size=size)]
    return chosen


def _in_blocks(values: Floats, seed: int) -> Floats:
    """The rows themselves, or sums of chance blocks of about equal size where there are many rows."""
    if len(values) <= _BLOCKS:
        return values
    order = np.random.default_rng([seed, 1]).permutation(len(values))
    starts = np.linspace(0, len(values), _BLOCKS, endpoint=False).astype(np.intp)
    return np.asarray(np.add.reduceat(values[order], starts, axis=0))
