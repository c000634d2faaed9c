"""Which rows a trial is fitted and scored on: never those of the fold whose settings are looked for.

To tune for fold k, one of the other folds, the next one round, is set aside to score on, and the folds that are left
are fitted. So what shares a fold for a reason (near-identical texts, a user's groups, times) is on one side here too,
and no label of fold k is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.folds import FoldPlan
from compete.competition.metrics import Metric, Probabilities
from compete.competition.planned import Planned
from compete.competition.shape import Targets
from compete.stacking.ensemble.cross_fitting import as_it_is, repeated_folds
from compete.stacking.ensemble.decision_rules import default_rule
from compete.stacking.ensemble.evaluation import decide_by_fold

FEWEST_FOLDS = 3  # one that is left alone, one to score on, one to fit
_PARTS = 100
_DECIDED_IN = 5  # parts of the scored rows: each is decided by what was fitted on the others
_SEED = 0

RowNumbers = NDArray[np.intp]


@dataclass(frozen=True)
class TrialRows:
    """Numbers of training rows."""

    fitted: RowNumbers
    scored: RowNumbers


def scored_fold(fold: int, k: int) -> int:
    """The fold that trials for `fold` are scored on."""
    return (fold + 1) % k


def trial_rows(planned: Planned, fold: int, share: float = 1.0) -> TrialRows:
    """The rows of a trial that looks for settings of `fold`; share: of the rows to fit."""
    plan = planned.plan
    against = scored_fold(fold, plan.k)
    fitted = _rows(plan, ~np.isin(plan.folds, (fold, against)))
    return TrialRows(_part(planned, fitted, share), _rows(plan, plan.folds == against))


def _rows(plan: FoldPlan, chosen: NDArray[np.bool_]) -> RowNumbers:
    return np.flatnonzero(chosen)


def _part(planned: Planned, rows: RowNumbers, share: float) -> RowNumbers:
    """`share` of the rows, dealt out like folds: every label has its share, rows of a group stay together."""
    if share >= 1:
        return rows
    competition = planned.competition
    groups = competition.groups[rows]
    parts = min(_PARTS, len(np.unique(groups)))
    return rows[_dealt(competition.strata[rows], groups, parts) < max(1, round(parts * share))]


def _dealt(strata: NDArray[np.int8], groups: NDArray[np.intp], parts: int) -> NDArray[np.int16]:
    """A part for every row, (n_rows,)."""
    _, own = np.unique(groups, return_inverse=True)
    # The first of the two plans only says how many parts there are.
    shape = (np.arange(len(groups)) % parts).astype(np.int16)
    return repeated_folds(shape, strata, own.astype(np.intp), 2, _SEED)[1]


def score_of_rows(planned: Planned, rows: RowNumbers, predictions: Probabilities) -> float:
    """The competition's metric on these rows, (n_rows, n_outputs) predicted.

    Where the metric scores decisions, every fifth of the rows is decided by thresholds that were fitted on the other
    four: nothing is fitted on the row it decides. Raises DataError where the metric has no value on the rows.
    """
    competition = planned.competition
    return _score(
        competition.metric,
        competition.train_targets[rows],
        predictions,
        competition.strata[rows],
        competition.groups[rows],
    )


def _score(
    metric: Metric,
    truth: Targets,
    predictions: Probabilities,
    strata: NDArray[np.int8],
    groups: NDArray[np.intp],
) -> float:
    if not metric.decides:
        return metric.compute(truth, metric.possible(predictions))
    parts = min(_DECIDED_IN, len(np.unique(groups)))
    fit = as_it_is(predictions, _dealt(strata, groups, parts))
    decided, _ = decide_by_fold(metric, truth, fit, default_rule(metric))
    return metric.compute(truth, decided)
