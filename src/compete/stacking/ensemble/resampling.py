"""How far a score may be from the truth: scores of resampled rows, for one model or for several on the same rows.

Every metric is written as a sum over rows (of hits and counts for F1, of row values for a mean), so that a bootstrap
draw is a weighted sum and a thousand of them are one matrix product.

F1 is curved: of few positives, the scores of resampled rows lie below the score of the rows themselves, as that lies
below the score of very many rows. Resampling makes the same error once more, so it is told from the draws and taken
back: they scatter around the score as new sets of rows of the same size do (the bootstrap's estimate of bias; Efron and
Tibshirani 1993, chapter 10). Coverage is measured by benchmarks/interval_coverage.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Metric, both_classes
from compete.stacking.ensemble.ranks import average_ranks

DRAWS = 1000
LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
# Of labels with fewer positive rows, intervals were measured to hold less often than they say.
FEW_POSITIVES = 60
# Above this many rows, chance blocks of rows are resampled in their place: sums of blocks are as independent as rows,
# and the cost no longer grows with the rows.
_BLOCKS = 10_000

Floats = NDArray[np.float64]


def interval(draws: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The central interval that holds `level` of the draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_scores(
    metric: Metric,
    labels: Labels,
    predicted: Sequence[NDArray[np.generic]],
    *,
    new_rows: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Floats:
    """Scores (len(predicted), draws) of resampled rows, the same rows for all of them (a paired bootstrap).

    labels: (n_rows, n_labels). predicted: decisions, or probabilities where the metric scores those, each of the shape
    of `labels`. new_rows: scores that so many new rows like these may get: not only which rows they are is uncertain,
    but also how well these rows speak for the rows they come from.
    """
    sums = [_contributions(metric, labels, each) for each in predicted]

    def scores(sizes: tuple[int | None, ...]) -> Floats:
        return np.stack([_score(metric, totals) for totals in _resampled(sums, sizes, draws, seed)])

    own = np.stack([_score(metric, each.sum(axis=0, keepdims=True)) for each in sums])
    once = scores((None,))
    highest = 1.0 if metric.greater_is_better else np.inf
    if new_rows is None:
        return _around(once, own, highest)
    # Of so many rows as there are, a score lies as far below that of very many as the score of these rows does.
    fewer = scores((new_rows,)).mean(axis=1, keepdims=True) - once.mean(axis=1, keepdims=True)
    return _around(scores((None, new_rows)), own + fewer, highest)


def _around(draws: Floats, centre: Floats, highest: float) -> Floats:
    """The draws (n, draws, ...), moved so that their mean is the centre (n, 1, ...), but not beyond 0 or `highest`."""
    return np.asarray(np.clip(draws - draws.mean(axis=1, keepdims=True) + centre, 0.0, highest))


def resampled_label_f1(
    labels: Labels, decisions: Sequence[NDArray[np.generic]], *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """F1 of every label in resampled rows, (len(decisions), draws, n_labels); the same rows for all of them."""
    sums = [_f1_contributions(labels, each) for each in decisions]
    found = np.stack([_f1(totals) for totals in _resampled(sums, (None,), draws, seed)])
    return _around(found, np.stack([_f1(each.sum(axis=0, keepdims=True)) for each in sums]), 1.0)


def resampled_gain(
    labels: Labels, decided: Sequence[NDArray[np.generic]], others: Sequence[NDArray[np.generic]]
) -> Floats:
    """How much higher the F1 of every label is in `decided` than in `others`, (DRAWS, n_labels); the means of both."""
    drawn = resampled_label_f1(labels, [*decided, *others])
    return np.asarray(drawn[: len(decided)].mean(axis=0) - drawn[len(decided) :].mean(axis=0))


def _resampled(sums: Sequence[Floats], sizes: tuple[int | None, ...], draws: int, seed: int) -> list[Floats]:
    """Sums over resampled rows, (draws, statistics) for each of several (n_rows, statistics).

    sizes: how many rows are drawn, and of these how many again; None: as many as there are.
    """
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
        chosen = random.integers(n_blocks, size=shares[0])
        for size in shares[1:]:
            chosen = chosen[random.integers(len(chosen), size=size)]
        counts[draw] = np.bincount(chosen, minlength=n_blocks)
    return counts.astype(np.min_scalar_type(counts.max(initial=0)))


def _contributions(metric: Metric, labels: Labels, predicted: NDArray[np.generic]) -> Floats:
    """(n_rows, statistics), whose sum over rows determines the score."""
    if metric.name == "f1_macro":
        return _f1_contributions(labels, predicted)
    if metric.name == "f1_micro":
        return np.asarray(_f1_contributions(labels, predicted).reshape(len(labels), 2, -1).sum(axis=2))
    return np.column_stack([_row_values(metric, labels, predicted), np.ones(len(labels))])


def _f1_contributions(labels: Labels, decisions: NDArray[np.generic]) -> Floats:
    """Hits of every label, then positives plus predicted of every label."""
    hits = (labels == 1) & (decisions == 1)
    counts = (labels == 1).astype(np.int8) + (decisions == 1).astype(np.int8)
    sums: Floats = np.hstack([hits, counts]).astype(np.float64)
    return sums


def _row_values(metric: Metric, labels: Labels, predicted: NDArray[np.generic]) -> Floats:
    """A value per row whose mean is the score."""
    if metric.name == "roc_auc_macro":
        return auc_values(labels, predicted)
    if metric.name == "log_loss":
        clipped = np.clip(np.asarray(predicted, dtype=np.float64), 1e-7, 1 - 1e-7)
        return np.asarray(-np.where(labels == 1, np.log(clipped), np.log1p(-clipped)).mean(axis=1))
    if metric.name not in ("f1_samples", "jaccard_samples"):
        raise ValueError(f"nobody has said what the metric {metric.name!r} sums over rows")
    hits = ((labels == 1) & (predicted == 1)).sum(axis=1)
    both = (labels == 1).sum(axis=1) + (predicted == 1).sum(axis=1)
    top, bottom = (2 * hits, both) if metric.name == "f1_samples" else (hits, both - hits)
    return np.asarray(np.divide(top, bottom, out=np.zeros(len(labels)), where=bottom > 0))


def auc_values(labels: Labels, probabilities: NDArray[np.generic]) -> Floats:
    """Values (n_rows,) whose mean is the macro-AUC and whose spread is its noise: its influence function (DeLong 1988).

    labels, probabilities: (n_rows, n_labels).
    """
    both = np.flatnonzero(both_classes(labels))
    values = np.full((len(labels), max(1, len(both))), 0.5)
    for column, label in enumerate(both):
        positive = labels[:, label] == 1
        scores = np.asarray(probabilities[:, label], dtype=np.float64)
        ranks = average_ranks(scores)
        # The share of the other class that a positive is ranked above, and that a negative is ranked below.
        beaten = (ranks[positive] - average_ranks(scores[positive])) / (~positive).sum()
        beating = 1 - (ranks[~positive] - average_ranks(scores[~positive])) / positive.sum()
        auc, rate = beaten.mean(), positive.mean()
        # The AUC moves with the mean of either class over its own rows, which are `rate` or 1 - `rate` of all rows.
        values[positive, column] = auc + (beaten - auc) / rate
        values[~positive, column] = auc + (beating - auc) / (1 - rate)
    return np.asarray(values.mean(axis=1))


def _score(metric: Metric, totals: Floats) -> Floats:
    """Scores (draws,) of totals (draws, statistics)."""
    if metric.name in ("f1_macro", "f1_micro"):
        return np.asarray(_f1(totals).mean(axis=1))
    return np.asarray(totals[:, 0] / totals[:, 1])


def _f1(totals: Floats) -> Floats:
    """F1 (draws, n) of totals (draws, 2 n): hits, then positives plus predicted."""
    hits, counts = np.hsplit(totals, 2)
    return np.asarray(np.divide(2 * hits, counts, out=np.zeros_like(hits), where=counts > 0))


def _in_blocks(values: Floats, seed: int) -> Floats:
    """The rows themselves, or sums of chance blocks of about equal size where there are many rows."""
    if len(values) <= _BLOCKS:
        return values
    order = np.random.default_rng([seed, 1]).permutation(len(values))
    starts = np.linspace(0, len(values), _BLOCKS, endpoint=False).astype(np.intp)
    return np.asarray(np.add.reduceat(values[order], starts, axis=0))
