"""Rows of the training folds that choose an epoch, a rate or when to stop: never rows that are predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit
from numpy.typing import NDArray

from compete.base_models.families import FitContext
from compete.competition.near_identical import near_identical_groups
from compete.competition.shape import Targets
from compete.competition.targets import strata
from compete.competition.task import Task

RowNumbers = NDArray[np.int64]


def strata_of(targets: Targets, context: FitContext) -> NDArray[np.int8]:
    """What a validation split is stratified by, 0/1 (n_rows, n_strata)."""
    return strata(Task(context.task, context.labels, context.grades), targets)


def validation_split(
    texts: Sequence[str], labels: NDArray[np.int8], share: float, seed: int
) -> tuple[RowNumbers, RowNumbers]:
    """Rows to fit and rows to choose on, disjoint, together all rows; about `share` of them choose.

    Stratified by all labels; near-identical texts stay on one side, as in the fold plan. Needs at least three rows, so
    that two are left to fit; of no more than five, chance decides where the stratification leaves a side empty.
    """
    groups = near_identical_groups(texts)
    if groups.max() < 2:  # fewer than three different texts: then rows are all there is to split
        groups = np.arange(len(texts))
    union = np.zeros((groups.max() + 1, labels.shape[1]), dtype=np.int8)
    np.maximum.at(union, groups, labels)
    count = min(max(1, round(share * len(union))), len(union) - 2)
    chooses = np.isin(groups, _choosing_groups(union, count, seed))
    return np.flatnonzero(~chooses), np.flatnonzero(chooses)


def _choosing_groups(labels: NDArray[np.int8], count: int, seed: int) -> NDArray[np.intp]:
    if labels.shape[1] == 1:  # a single label is no multilabel problem to the stratifier; with its opposite it is
        labels = np.hstack([labels, 1 - labels])
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=count, random_state=seed)
    rest, chosen = next(splitter.split(labels, labels))
    if len(chosen) and len(rest) > 1:
        return np.asarray(chosen)
    return np.random.default_rng(seed).permutation(len(labels))[:count]
