"""Alarms of base models that predict numbers: as `alarms`, with correlations in the place of AUC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Probabilities
from compete.competition.shape import Targets
from compete.stacking.ensemble.alarms import (
    Alarm,
    Floats,
    column_correlations,
    constant_columns,
    contrary,
    misplaced_in_test,
    moved_columns,
    other_distribution,
    outstanding_fold,
    surely,
)

_ENOUGH = 30  # rows that a correlation is told by
_JUMP = 0.2  # of what the best other model leaves unexplained
_FOLD_EXCESS = 0.1  # correlation
_KNOWS_SOMETHING = 0.2  # correlation; the distributions of models at chance say nothing


def find_number_alarms(
    names: Sequence[str],
    oof: Probabilities,
    test: Probabilities,
    truth: Targets,
    folds: NDArray[np.int16],
    targets: Sequence[str],
) -> list[Alarm]:
    """Every alarm, model by model.

    oof: numbers (n_models, n_rows, n_targets); test: (n_models, n_test, n_targets); truth: (n_rows, n_targets); folds:
    (n_rows,).
    """
    oof, test, truth = _of_size_one(oof, test, truth)
    fit = np.stack([column_correlations(model, truth.astype(np.float64)) for model in oof])
    own = fit.diagonal(axis1=1, axis2=2).mean(axis=1)
    found = [*constant_columns(oof, test, targets), *contrary(oof, own)]
    noise = np.full(len(targets), 1 / np.sqrt(max(1, len(truth))))
    for model, matrix in enumerate(fit):
        where = moved_columns(matrix, noise, targets)
        if where:
            found.append((model, f"out-of-fold columns fit other targets than their own: {where}"))
    found += _far_above_the_others(own, len(truth), len(targets))
    if np.bincount(folds).min() >= _ENOUGH:
        found += _one_fold_too_good(oof, truth, folds)
    if test.shape[1] >= _ENOUGH:
        found += misplaced_in_test(oof, test, targets, "targets")
        found += other_distribution(oof, test, own > _KNOWS_SOMETHING)
    return [Alarm(names[model], evidence) for model, evidence in sorted(found, key=lambda alarm: alarm[0])]


def _of_size_one(oof: Probabilities, test: Probabilities, truth: Targets) -> tuple[Floats, Floats, Floats]:
    """The same with every column divided by its largest number among the training rows: what is too little to tell from
    rounding is told on one scale, whatever that of the targets, and of every model, is."""

    def largest(numbers: Floats) -> Floats:
        found = np.abs(numbers).max(axis=-2, keepdims=True, initial=0.0)
        return np.where(found > 0, found, 1.0)

    of_models, of_truth = oof.astype(np.float64), truth.astype(np.float64)
    unit = largest(of_models)
    return of_models / unit, test.astype(np.float64) / unit, of_truth / largest(of_truth)


def _far_above_the_others(own: Floats, n_rows: int, n_targets: int) -> list[tuple[int, str]]:
    """Models that leave next to nothing of what the best other model leaves unexplained.

    own: mean correlation with the targets, (n_models,).
    """
    found = []
    for model in range(len(own)) if len(own) > 1 else ():
        rest = float(np.delete(own, model).max())
        margin = surely(len(own)) * (1 - rest**2) / np.sqrt(n_rows * n_targets)
        if own[model] > 0 and 1 - own[model] ** 2 < _JUMP * (1 - min(1.0, rest + margin) ** 2):
            evidence = f"correlation {own[model]:.3f} on the training rows, the best of the others {rest:.3f}"
            found.append((model, f"{evidence}: did it see the rows it predicted?"))
    return found


def _one_fold_too_good(oof: Probabilities, truth: Targets, folds: NDArray[np.int16]) -> list[tuple[int, str]]:
    """Folds that a model predicts far better than its other folds, where the other models do not."""
    n_folds = int(folds.max()) + 1
    # A target that is the same in all rows of a fold has no correlation there, and says nothing of the others.
    told = np.all([np.ptp(truth[folds == k], axis=0) > 0 for k in range(n_folds)], axis=0)
    if not told.any():
        return []
    oof, truth = oof[:, :, told], truth[:, told]
    per_fold = np.array(
        [[_mean_correlation(model[folds == k], truth[folds == k]) for k in range(n_folds)] for model in oof]
    )
    found = []
    for model in range(len(oof)):
        fold, excess = outstanding_fold(per_fold, model)
        rest = float(np.delete(per_fold[model], fold).mean())
        noise = (1 - rest**2) / np.sqrt(np.sum(folds == fold))
        if excess > max(_FOLD_EXCESS, 5 * noise):
            evidence = f"correlation {per_fold[model, fold]:.3f} in fold {fold}, {rest:.3f} in the others"
            found.append((model, f"{evidence}: a leak?"))
    return found


def _mean_correlation(numbers: Probabilities, truth: Targets) -> float:
    return float(column_correlations(numbers, truth.astype(np.float64)).diagonal().mean())
