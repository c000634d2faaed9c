"""Fitting meta-learners so that no row is predicted, and no threshold fitted, by what saw the row.

For every fold, the meta-learner is fitted on the other folds. Whatever is fitted on top (thresholds, a choice between
settings, a second level) needs probabilities of those other rows that are themselves out of fold, so the meta-learner
is also fitted without every *pair* of folds: without {j, k} it predicts fold j for what is fitted without fold k, and
fold k for what is fitted without fold j. K folds cost K (K - 1) / 2 fits of pairs and K of single folds.

One dependence remains, as in every stack over out-of-fold probabilities: the base model that predicted a row was
trained on the labels of other rows, those that are scored among them. Folds that are alike in their label rates leave
it next to nothing to tell; folds of unlike rates would not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from compete.competition.metrics import METRICS, Labels, Probabilities
from compete.stacking.meta_learners import MetaLearner, RowFeatures

Folds = NDArray[np.int16]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class CrossFit:
    """Out-of-fold probabilities of a meta-learner under one plan of folds.

    outer: (n_rows, n_labels), every row predicted without its fold. inner: for every fold k, (n_rows, n_labels): rows
    of fold j predicted without folds j and k; the rows of fold k itself are NaN. best: which of the candidates has the
    lowest log loss over all rows.
    """

    folds: Folds
    outer: Probabilities
    inner: Sequence[Probabilities]
    best: int = 0


def as_it_is(probabilities: Probabilities, folds: Folds) -> CrossFit:
    """Out-of-fold probabilities that nothing is fitted on but thresholds."""
    return CrossFit(folds, probabilities, [probabilities] * (int(folds.max()) + 1))


def cross_fit(
    candidates: Sequence[MetaLearner],
    probabilities: Probabilities,
    labels: Labels,
    folds: Folds,
    rows: RowFeatures | None = None,
    progress: Progress = lambda fraction: None,
) -> CrossFit:
    """Fit every candidate without every fold and every pair of folds; of several the one with the lowest log loss
    is taken, chosen anew for every fold on the rows of the other folds.

    With two folds, no row is left to choose on, and the candidate in the middle is taken.
    """
    if int(folds.max()) == 1:
        middle = len(candidates) // 2
        return replace(
            _cross_fit(candidates[middle : middle + 1], probabilities, labels, folds, rows, progress), best=middle
        )
    return _cross_fit(candidates, probabilities, labels, folds, rows, progress)


def _cross_fit(
    candidates: Sequence[MetaLearner],
    probabilities: Probabilities,
    labels: Labels,
    folds: Folds,
    rows: RowFeatures | None,
    progress: Progress,
) -> CrossFit:
    n_folds = int(folds.max()) + 1
    shape = (len(candidates), *labels.shape)
    outer = np.full(shape, np.nan, dtype=np.float32)
    inner = [np.full(shape, np.nan, dtype=np.float32) for _ in range(n_folds)]

    def fit(number: int, without: tuple[int, ...]) -> None:
        known = ~np.isin(folds, without)
        fitted = candidates[number].fit(probabilities[:, known], labels[known], _of(rows, known))
        for fold in without:
            held_out = folds == fold
            predicted = fitted.predict_proba(probabilities[:, held_out], _of(rows, held_out))
            if len(without) == 1:
                outer[number, held_out] = predicted
            else:
                (other,) = set(without) - {fold}
                inner[other][number, held_out] = predicted
        if n_folds == 2:
            # No row is left for models of the thresholds' own: they see fitted rows of the other fold.
            inner[without[0]][number, known] = fitted.predict_proba(probabilities[:, known], _of(rows, known))

    pairs = list(combinations(range(n_folds), 2)) if n_folds > 2 else []
    left_out = [*((k,) for k in range(n_folds)), *pairs]
    jobs = [partial(fit, number, without) for without in left_out for number in range(len(candidates))]
    _run(jobs, cpu_count() if all(learner.at_once for learner in candidates) else 1, progress)
    return _choose(labels, folds, outer, inner)


def _run(jobs: Sequence[Callable[[], None]], at_once: int, progress: Progress) -> None:
    """Run the jobs, each with one thread in linear algebra: small matrices gain nothing from several."""
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(job) for job in jobs]
        for done, job in enumerate(running):
            progress(done / len(jobs))
            job.result()
    progress(1.0)


def cross_fit_second_level(learner: MetaLearner, stacks: Sequence[CrossFit], labels: Labels) -> CrossFit:
    """Fit a meta-learner over stacks, all of them cross-fitted under the same folds.

    For fold k it sees the other rows' inner probabilities, which saw neither their own fold nor fold k. What is fitted
    on top of it then sees rows that it was fitted on: with a few weights to fit, that costs next to nothing, and the
    rows that are scored are out of it all the same.
    """
    folds = stacks[0].folds
    outer = np.full(labels.shape, np.nan, dtype=np.float32)
    inner: list[Probabilities] = []
    for fold in range(int(folds.max()) + 1):
        others, held_out = folds != fold, folds == fold
        known = np.stack([stack.inner[fold][others] for stack in stacks])
        fitted = learner.fit(known, labels[others])
        outer[held_out] = fitted.predict_proba(np.stack([stack.outer[held_out] for stack in stacks]))
        inner.append(np.full(labels.shape, np.nan, dtype=np.float32))
        inner[-1][others] = fitted.predict_proba(known)
    return CrossFit(folds, outer, inner)


def repeated_folds(folds: Folds, labels: Labels, groups: NDArray[np.intp], repeats: int, seed: int) -> list[Folds]:
    """The fold plan, and other plans of as many folds for the meta-learner and the thresholds.

    groups: (n_rows,), rows of a group share a fold. Groups are dealt out in turn, those with the same rarest label
    after one another, so that every fold gets its share of every rare label.
    """
    union = np.zeros((int(groups.max()) + 1, labels.shape[1]), dtype=bool)
    np.logical_or.at(union, groups, labels == 1)
    by_rarity = np.argsort(labels.mean(axis=0), kind="stable")
    rarest = np.where(union.any(axis=1), np.argmax(union[:, by_rarity], axis=1), labels.shape[1])
    n_folds = int(folds.max()) + 1
    plans = [folds]
    for repeat in range(1, repeats):
        random = np.random.default_rng([seed, repeat])
        order = np.lexsort((random.random(len(rarest)), rarest))
        dealt = np.empty(len(order), dtype=np.int16)
        dealt[order] = random.permutation(n_folds)[np.arange(len(order)) % n_folds]
        plans.append(dealt[groups])
    return plans


def _of(rows: RowFeatures | None, chosen: NDArray[np.bool_]) -> RowFeatures | None:
    return None if rows is None else rows[chosen]


def _choose(labels: Labels, folds: Folds, outer: Probabilities, inner: Sequence[Probabilities]) -> CrossFit:
    """Keep one candidate: for every fold the best on the other folds, for all rows the best on all."""
    if len(outer) == 1:
        return CrossFit(folds, outer[0], [cells[0] for cells in inner])
    chosen, kept = np.empty(labels.shape, dtype=np.float32), []
    for fold, cells in enumerate(inner):
        others, held_out = folds != fold, folds == fold
        best = _lowest_log_loss(labels[others], cells[:, others])
        chosen[held_out] = outer[best][held_out]
        kept.append(cells[best].copy())
    return CrossFit(folds, chosen, kept, _lowest_log_loss(labels, outer))


def _lowest_log_loss(labels: Labels, candidates: Probabilities) -> int:
    """Number of the candidate (n_candidates, n_rows, n_labels) that gave most to what came true."""
    return int(np.argmin([METRICS["log_loss"].compute(labels, cells) for cells in candidates]))
