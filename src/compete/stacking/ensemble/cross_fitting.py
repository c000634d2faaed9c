"""Fitting meta-learners so that no row is predicted, and no threshold fitted, by what saw the row.

For every fold, the meta-learner is fitted on the other folds. Whatever is fitted on top (thresholds, a choice between
settings, a second level) needs probabilities of those other rows that are themselves out of fold, so the meta-learner
is also fitted without every *pair* of folds: without {j, k} it predicts fold j for what is fitted without fold k, and
fold k for what is fitted without fold j. K folds cost K (K - 1) / 2 fits of pairs and K of single folds.

A learner of few parameters (a weight per base model) fits its own rows hardly better than others. What is fitted on top
of it sees the rows that it was fitted on, under the very weights that it will be used with, and no pairs are needed.

One dependence remains, as in every stack over out-of-fold probabilities: the base model that predicted a row was
trained on the labels of other rows, those that are scored among them. Folds that are alike in their label rates leave
it next to nothing to tell; folds of unlike rates would not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from compete.competition.metrics import METRICS, Labels, Probabilities
from compete.competition.shape import Targets
from compete.progress import Progress, unseen
from compete.stacking.ensemble.meta_learners import MetaLearner, RowFeatures

Folds = NDArray[np.int16]
Cells = NDArray[np.float32]
# What several settings are told apart by: from what is true and what is predicted to a number, lower is better.
Loss = Callable[[Targets, Probabilities], float]
# Above so many rows, luck and settings matter less than the hours they take (docs/benchmarks.md, "Many rows").
MANY_ROWS = 20_000


@dataclass(frozen=True)
class CrossFit:
    """Out-of-fold probabilities of a meta-learner under one plan of folds."""

    folds: Folds
    outer: Probabilities
    """(n_rows, n_labels), every row predicted without its fold."""
    inner: Sequence[Probabilities]
    """For every fold k, (n_rows, n_labels): rows of fold j predicted without folds j and k, or, for a learner of few
    parameters, without fold k; the rows of fold k itself are NaN."""
    best: int = 0
    """Which of the candidates has the lowest loss over all rows."""
    few_parameters: bool = False
    """Of the learner."""


def as_it_is(probabilities: Probabilities, folds: Folds) -> CrossFit:
    """Out-of-fold probabilities that nothing is fitted on but thresholds."""
    return CrossFit(folds, probabilities, [probabilities] * (int(folds.max()) + 1))


def cross_fit(
    candidates: Sequence[MetaLearner],
    probabilities: Probabilities,
    labels: Targets,
    folds: Folds,
    rows: RowFeatures | None = None,
    progress: Progress = unseen,
    loss: Loss = METRICS["log_loss"].compute,
) -> CrossFit:
    """Fit every candidate without every fold and every pair of folds; of several the one with the lowest loss is taken,
    chosen anew for every fold on the rows of the other folds.

    The one in the middle is taken where no row is left to choose on, with two folds, and where there are MANY_ROWS: the
    penalty hardly matters then, and trying others takes most of the time.
    """
    if int(folds.max()) == 1 or len(labels) > MANY_ROWS:
        middle = len(candidates) // 2
        return replace(
            _cross_fit(candidates[middle : middle + 1], probabilities, labels, folds, rows, progress, loss),
            best=middle,
        )
    return _cross_fit(candidates, probabilities, labels, folds, rows, progress, loss)


def _cross_fit(
    candidates: Sequence[MetaLearner],
    probabilities: Probabilities,
    labels: Targets,
    folds: Folds,
    rows: RowFeatures | None,
    progress: Progress,
    loss: Loss,
) -> CrossFit:
    n_folds = int(folds.max()) + 1
    shape = (len(candidates), *labels.shape)
    outer = np.full(shape, np.nan, dtype=np.float32)
    inner = [np.full(shape, np.nan, dtype=np.float32) for _ in range(n_folds)]
    few_parameters = all(learner.few_parameters for learner in candidates)
    # Of two folds, no row is left for models of the thresholds' own: they see rows that were fitted on, too.
    fitted_rows = few_parameters or n_folds == 2
    pairs = [] if fitted_rows else list(combinations(range(n_folds), 2))
    jobs = [(number, without) for without in [*((k,) for k in range(n_folds)), *pairs] for number in range(len(outer))]
    calls = [
        delayed(_without)(candidates[number], probabilities, labels, folds, without, rows, fitted_rows)
        for number, without in jobs
    ]
    # One thread in linear algebra: small matrices gain nothing from several.
    with threadpool_limits(1, "blas"):
        done = _parallel(candidates, len(jobs) * labels.size)(calls)
        for count, ((number, without), (of_folds, of_known)) in enumerate(zip(jobs, done, strict=True)):
            progress(count / len(jobs), "cross-fitting")
            for fold, predicted in zip(without, of_folds, strict=True):
                if len(without) == 1:
                    outer[number, folds == fold] = predicted
                else:
                    (other,) = set(without) - {fold}
                    inner[other][number, folds == fold] = predicted
            if of_known is not None:
                inner[without[0]][number, folds != without[0]] = of_known
    progress(1.0, "cross-fitting")
    return replace(_choose(labels, folds, outer, inner, loss), few_parameters=few_parameters)


def _without(
    learner: MetaLearner,
    probabilities: Probabilities,
    labels: Targets,
    folds: Folds,
    without: tuple[int, ...],
    rows: RowFeatures | None,
    fitted_rows: bool,
) -> tuple[list[Cells], Cells | None]:
    """Fit without some folds; probabilities of each of them, and, if asked for, of the rows it was fitted on."""
    known = ~np.isin(folds, without)
    fitted = learner.fit(probabilities[:, known], labels[known], _of(rows, known))

    def predicted(chosen: NDArray[np.bool_]) -> Cells:
        return fitted.predict_proba(probabilities[:, chosen], _of(rows, chosen)).astype(np.float32)

    return [predicted(folds == fold) for fold in without], predicted(known) if fitted_rows else None


def _parallel(candidates: Sequence[MetaLearner], cells: int) -> Parallel:
    """How the fits of so many cells of a label matrix, over all fits, run beside one another; in order, one by one."""
    in_threads = all(learner.parallel == "threads" for learner in candidates)
    # Some hundredths of a second of weights, since threads take one to start and be waited for; some seconds of trees,
    # since a process costs one to start.
    worth_it = cells >= (20_000 if in_threads else 100_000)
    return Parallel(
        cpu_count() if worth_it else 1, backend="threading" if in_threads else "loky", return_as="generator"
    )


def cross_fit_second_level(learner: MetaLearner, stacks: Sequence[CrossFit], labels: Targets) -> CrossFit:
    """Fit a meta-learner over stacks, all of them cross-fitted under the same folds.

    For fold k it sees the other rows' inner probabilities, which saw neither their own fold nor fold k. It has few
    parameters itself.
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
    return CrossFit(folds, outer, inner, few_parameters=True)


def repeated_folds(folds: Folds, strata: Labels, groups: NDArray[np.intp], repeats: int, seed: int) -> list[Folds]:
    """The fold plan, and other plans of as many folds for the meta-learner and the thresholds.

    strata: 0/1 (n_rows, n_strata), as the fold plan has them; groups: (n_rows,), rows of a group share a fold. Groups
    are dealt out in turn, those with the same rarest stratum after one another, so that every fold gets its share of
    every rare label.
    """
    union = np.zeros((int(groups.max()) + 1, strata.shape[1]), dtype=bool)
    np.logical_or.at(union, groups, strata == 1)
    by_rarity = np.argsort(strata.mean(axis=0), kind="stable")
    rarest = np.where(union.any(axis=1), np.argmax(union[:, by_rarity], axis=1), strata.shape[1])
    n_folds = int(folds.max()) + 1
    plans = [folds]
    for repeat in range(1, repeats):
        random = np.random.default_rng([seed, repeat])
        # By the rarest label, by chance among groups with the same one; groups without any label come last.
        order = np.lexsort((random.random(len(rarest)), rarest))
        dealt = np.empty(len(order), dtype=np.int16)
        dealt[order] = random.permutation(n_folds)[np.arange(len(order)) % n_folds]
        plans.append(dealt[groups])
    return plans


def _of(rows: RowFeatures | None, chosen: NDArray[np.bool_]) -> RowFeatures | None:
    return None if rows is None else rows[chosen]


def _choose(
    labels: Targets, folds: Folds, outer: Probabilities, inner: Sequence[Probabilities], loss: Loss
) -> CrossFit:
    """Keep one candidate: for every fold the best on the other folds, for all rows the best on all."""
    if len(outer) == 1:
        return CrossFit(folds, outer[0], [cells[0] for cells in inner])
    chosen, kept = np.empty(labels.shape, dtype=np.float32), []
    for fold, cells in enumerate(inner):
        others, held_out = folds != fold, folds == fold
        best = _lowest(loss, labels[others], cells[:, others])
        chosen[held_out] = outer[best][held_out]
        kept.append(cells[best].copy())
    return CrossFit(folds, chosen, kept, _lowest(loss, labels, outer))


def _lowest(loss: Loss, labels: Targets, candidates: Probabilities) -> int:
    """Number of the candidate (n_candidates, n_rows, n_outputs) with the lowest loss."""
    return int(np.argmin([loss(labels, cells) for cells in candidates]))
