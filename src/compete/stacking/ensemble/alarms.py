"""Signs that a base model's probabilities are damaged or saw what they must not have seen.

Every check compares a model with itself (its folds with one another, its OOF with its test set) and with the other
models, which saw the same rows. Evidence is given in numbers, so that a false alarm can be told from a true one. How
often honest models are accused, and how often a leak is found, is measured (`benchmarks/alarms.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities, auc_values, both_classes
from compete.competition.metrics.ranks import average_ranks
from compete.logits import logits
from compete.stacking.ensemble.calibration import fit_calibration

Floats = NDArray[np.float64]
Values = NDArray[np.float32] | NDArray[np.float64]
# Differences of AUC. What honest models differ by is measured (docs/stacking.md).
_FOLD_EXCESS = 0.05
_PROMISE_EXCESS = 0.12
_SWAP_GAIN = 0.05
# Of the error 1 - AUC that the best of the other models leaves, so much at the least is left by an honest model.
_JUMP = 0.1
_AGREEMENT = 0.3  # correlation of two models that must not be lost on the test set
_ENOUGH = 30  # rows; of fewer, nothing can be told
_CONTRARY = 0.1  # correlation; a model that knows nothing may come out a little below 0
_KNOWS_SOMETHING = 0.6  # AUC; the distributions of models at chance say nothing
# Largest distance of two distribution functions, mean over labels, more than the other models' median.
_SHIFT_EXCESS = 0.33


@dataclass(frozen=True)
class Alarm:
    """What is wrong with a base model, in words with the numbers that say so."""

    model: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.model}: {self.evidence}"


def find_alarms(
    names: Sequence[str],
    oof: Probabilities,
    test: Probabilities,
    labels: Labels,
    folds: NDArray[np.int16],
    label_names: Sequence[str],
    learnt: NDArray[np.bool_] | None = None,
    nouns: str = "labels",
) -> list[Alarm]:
    """Every alarm, model by model.

    oof: (n_models, n_rows, n_labels); test: (n_models, n_test, n_labels); labels: (n_rows, n_labels), folds: (n_rows,);
    learnt: (n_labels,), labels that are not too rare for the folds; default: all. The others are not looked at. nouns:
    what they are called, "labels" or "classes".
    """
    if learnt is not None and not learnt.all():
        label_names = [name for name, each in zip(label_names, learnt, strict=True) if each]
        oof, test, labels = oof[:, :, learnt], test[:, :, learnt], labels[:, learnt]
    auc = np.stack([_auc_matrix(model, labels) for model in oof])
    noise = _auc_noise(auc, labels)
    own = auc.diagonal(axis1=1, axis2=2).mean(axis=1)
    known, new = logits(oof), logits(test)
    found = [*constant_columns(oof, test, label_names), *contrary(known, own)]
    found += [*_swapped_in_oof(auc, noise, label_names, nouns), *_far_above_the_others(auc, noise, label_names)]
    # Of one row's share in a model's macro-AUC; over the root of the rows, the noise of an AUC.
    spread = np.array([auc_values(labels, model).std() for model in oof])
    if np.bincount(folds).min() >= _ENOUGH:
        found += _one_fold_too_good(oof, labels, folds, spread)
    if test.shape[1] >= _ENOUGH:
        found += misplaced_in_test(known, new, label_names, nouns)
        found += _better_than_its_test_set(oof, test, labels, spread)
        found += other_distribution(oof, test, own > _KNOWS_SOMETHING)
    return [Alarm(names[model], evidence) for model, evidence in sorted(found, key=lambda alarm: alarm[0])]


def constant_columns(oof: Probabilities, test: Probabilities, label_names: Sequence[str]) -> list[tuple[int, str]]:
    found = []
    for what, sets in (("out-of-fold", oof), ("test", test)):
        # In a single row, every column is constant.
        for model, columns in enumerate(sets.max(axis=1) - sets.min(axis=1) < 1e-6 if sets.shape[1] > 1 else []):
            if columns.any():
                named = ", ".join(label_names[i] for i in np.flatnonzero(columns).tolist())
                found.append((model, f"the same {what} prediction in every row for {named}"))
    return found


def contrary(known: Values, own: Floats) -> list[tuple[int, str]]:
    """Models that say the opposite of the mean of the others.

    known: logits or numbers (n_models, n_rows, n_outputs); own: how good each model is, (n_models,).
    """
    found = []
    for model in range(len(known)):
        others = [other for other in range(len(known)) if other != model]
        if not others or own[model] >= np.median(own[others]):
            continue
        mean = np.mean([known[other] for other in others], axis=0)
        agreement = column_correlations(known[model], mean).diagonal().mean()
        if agreement < -_CONTRARY:
            found.append((model, f"correlates with the other models by {agreement:.2f}: is it turned around?"))
    return found


def _swapped_in_oof(auc: Floats, noise: Floats, label_names: Sequence[str], nouns: str) -> list[tuple[int, str]]:
    found = []
    for model, matrix in enumerate(auc):
        moved = moved_columns(matrix, noise[model], label_names)
        if moved:
            found.append((model, f"out-of-fold columns fit other {nouns} than their own: {moved}"))
    return found


def _far_above_the_others(auc: Floats, noise: Floats, label_names: Sequence[str]) -> list[tuple[int, str]]:
    """Models, or single columns, that leave next to nothing of the error that the best other model leaves."""
    own = auc.diagonal(axis1=1, axis2=2)
    n_models, n_labels = own.shape
    sure = surely(own.size)
    found = []
    for model in range(n_models) if n_models > 1 else ():
        others, spread = np.delete(own, model, axis=0), np.delete(noise, model, axis=0)
        # What the best other's AUC may be off by: a model that errs nowhere shows no noise of its own.
        strongest = int(others.mean(axis=1).argmax())
        rest, wobble = others[strongest].mean(), sure * np.sqrt(np.square(spread[strongest]).mean() / n_labels)
        best, margin = others.max(axis=0), sure * spread[others.argmax(axis=0), np.arange(n_labels)]
        if 1 - own[model].mean() < _JUMP * (1 - rest - wobble):
            evidence = f"AUC {own[model].mean():.3f} on the training rows, the best of the others {rest:.3f}"
            found.append((model, f"{evidence}: did it see the rows it predicted?"))
            continue
        jumps = np.flatnonzero(1 - own[model] < _JUMP * (1 - best - margin))
        if len(jumps):
            told = ", ".join(f"{label_names[i]} {own[model, i]:.3f} (the others {best[i]:.3f})" for i in jumps.tolist())
            found.append((model, f"AUC on the training rows far above that of the other models: {told}: a leak?"))
    return found


def surely(comparisons: int) -> float:
    """Standard deviations that so many comparisons with noise alone exceed one time in a thousand (Bonferroni)."""
    from scipy.special import ndtri

    return float(-ndtri(0.001 / max(1, comparisons)))


def _auc_noise(auc: Floats, labels: Labels) -> Floats:
    """The most that the standard deviation of an AUC can be (Hanley and McNeil 1982), (n_models, n_labels).

    The spread that is seen would be 0 for a perfect column, and for one of few positives next to anything.
    """
    own = auc.diagonal(axis1=1, axis2=2)
    positives = labels.sum(axis=0, dtype=np.int64)
    fewest = np.minimum(positives, len(labels) - positives)
    # 0.01 is about 0.99 * (1 - 0.99): a perfect column is given the noise of an AUC of 0.99.
    return np.asarray(np.sqrt(np.maximum(own * (1 - own), 0.01) / np.maximum(fewest, 1)))


def misplaced_in_test(
    known: Values, new: Values, label_names: Sequence[str], nouns: str = "labels"
) -> list[tuple[int, str]]:
    """Test columns, or test rows, that go with others of the other models; told by most of the others.

    known, new: logits or numbers of the training and of the test rows, (n_models, n_rows, n_outputs) each.
    """
    found = []
    for model in range(len(new)):
        others = [other for other in range(len(new)) if other != model]
        if len(others) < 2:  # of two models that disagree, neither can be told to be the wrong one
            break
        fits = [column_correlations(new[model], new[other]) for other in others]
        before = [column_correlations(known[model], known[other]).diagonal().mean() for other in others]
        # Dealt out anew, swapped columns agree as they did; of rows in another order only chance agreements are found.
        moved = [
            moved
            for fit, agreed in zip(fits, before, strict=True)
            if (moved := moved_columns(fit, np.full(len(fit), 2 / np.sqrt(new.shape[1])), label_names))
            and fit[_dealt_out_anew(fit)].mean() > agreed / 2
        ]
        if len(moved) > len(others) / 2:
            found.append((model, f"test columns go with other {nouns} of the other models: {moved[0]}"))
            continue
        after = [fit.diagonal().mean() for fit in fits]
        lost = [b > _AGREEMENT and a < b / 3 for a, b in zip(after, before, strict=True)]
        if sum(lost) > len(others) / 2:
            evidence = f"correlates with the other models by {np.mean(before):.2f} on the training rows, by"
            found.append((model, f"{evidence} {np.mean(after):.2f} on the test set: are its rows in another order?"))
    return found


def _dealt_out_anew(fit: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The columns, and for each the label that it is given to where all together fit best."""
    from scipy.optimize import linear_sum_assignment

    columns, dealt = linear_sum_assignment(np.nan_to_num(fit), maximize=True)
    return columns, dealt


def moved_columns(fit: Floats, noise: Floats, label_names: Sequence[str]) -> str:
    """Which columns fit another label clearly better, if the columns are dealt out anew; "" if none.

    noise: standard deviations (n_labels,) of what a column's fit differs by from chance. The best of many labels fits
    better by chance, the more so the fewer rows have it.
    """
    columns, dealt = _dealt_out_anew(fit)
    gains, spread = fit[columns, dealt] - fit[columns, columns], np.hypot(noise[columns], noise[dealt])
    moved = columns[(dealt != columns) & (gains > np.maximum(_SWAP_GAIN, surely(fit.size) * spread))]
    if len(moved) < 2 and not (len(moved) and gains.mean() > _SWAP_GAIN):
        return ""
    return ", ".join(f"{label_names[i]} as {label_names[dealt[i]]}" for i in moved)


def _one_fold_too_good(
    oof: Probabilities, labels: Labels, folds: NDArray[np.int16], spread: Floats
) -> list[tuple[int, str]]:
    """Folds that a model predicts far better than its other folds, where the other models do not."""
    n_folds = int(folds.max()) + 1
    # A label or class that a fold has none of has no AUC there: that fold would look worse, and the others better.
    told = np.all([both_classes(labels[folds == k]) for k in range(n_folds)], axis=0)
    if not told.any():
        return []
    oof, labels = oof[:, :, told], labels[:, told]
    per_fold = np.array([[_macro_auc(model[folds == k], labels[folds == k]) for k in range(n_folds)] for model in oof])
    found = []
    for model in range(len(oof)):
        fold, excess = outstanding_fold(per_fold, model)
        # The spread of all rows: the fold that looks best is the one whose own rows happen to vary least.
        noise = float(spread[model] / np.sqrt(np.sum(folds == fold)))
        if excess > max(_FOLD_EXCESS, 5 * noise):
            rest = np.delete(per_fold[model], fold).mean()
            found.append((model, f"AUC {per_fold[model, fold]:.3f} in fold {fold}, {rest:.3f} in the others: a leak?"))
    return found


def outstanding_fold(per_fold: Floats, model: int) -> tuple[int, float]:
    """The fold that a model predicts furthest above its other folds, and by how much, more than the other models do.

    per_fold: how good every model is in every fold, (n_models, n_folds).
    """
    n_models, n_folds = per_fold.shape
    excess = per_fold - (per_fold.sum(axis=1, keepdims=True) - per_fold) / max(1, n_folds - 1)
    usual = np.median(np.delete(excess, model, axis=0), axis=0) if n_models > 2 else np.zeros(n_folds)
    # The lesser of both: a fold in which the others do badly is no sign of a leak.
    lesser = np.minimum(excess[model], excess[model] - usual)
    fold = int(np.argmax(lesser))
    return fold, float(lesser[fold])


def _better_than_its_test_set(
    oof: Probabilities, test: Probabilities, labels: Labels, spread: Floats
) -> list[tuple[int, str]]:
    """Models whose probabilities promise far more for the rows they claim not to have seen than for the test rows.

    Both promises are made by the same calibration, so that a model whose probabilities say too much says it of both.
    """
    promised = np.empty((2, len(oof)))
    for model in range(len(oof)):
        calibration = fit_calibration(labels, oof[model])
        for number, cells in enumerate((oof[model], test[model])):
            promised[number, model] = np.mean([_promised_auc(column) for column in calibration.apply(cells).T])
    excess = promised[0] - promised[1]
    found = []
    for model in range(len(oof)):
        usual = np.median(np.delete(excess, model)) if len(oof) > 2 else 0.0
        noise = spread[model] * np.sqrt(1 / len(labels) + 1 / len(test[model]))
        if excess[model] - max(0.0, usual) > max(_PROMISE_EXCESS, 5 * noise):
            evidence = f"probabilities that promise an AUC of {promised[0, model]:.3f} on the training rows and of"
            found.append(
                (model, f"{evidence} {promised[1, model]:.3f} on the test set: did it see the rows it predicted?")
            )
    return found


def _promised_auc(calibrated: Floats) -> float:
    """The AUC to be expected where every row is positive with its probability."""
    p = np.sort(calibrated)
    # Expected negatives that are ranked below each row, itself not among them: a row makes no pair with itself.
    below = np.cumsum(1 - p) - (1 - p)
    pairs = p.sum() * (1 - p).sum() - float(np.sum(p * (1 - p)))
    return float(np.sum(p * below) / pairs) if pairs > 0 else 0.5


def other_distribution(oof: Values, test: Values, knows: NDArray[np.bool_]) -> list[tuple[int, str]]:
    """Models whose test predictions are distributed unlike their out-of-fold ones, where other models' are not.

    knows: (n_models,), those that tell something at all.
    """
    distance = np.array([_distances(a, b).mean() for a, b in zip(oof, test, strict=True)])
    # What two samples of one distribution lie apart by chance (Kolmogorov 1933): the mean of the limiting
    # distribution is sqrt(pi / 2) ln 2 = 0.87.
    by_chance = 0.87 * np.sqrt(1 / oof.shape[1] + 1 / test.shape[1])
    found = []
    for model in np.flatnonzero(knows).tolist():
        others = [other for other in np.flatnonzero(knows).tolist() if other != model]
        usual = float(np.median(distance[others])) if len(others) > 1 else 0.0
        if distance[model] - max(usual, by_chance) > _SHIFT_EXCESS:
            evidence = f"test and out-of-fold predictions lie {distance[model]:.2f} apart (Kolmogorov-Smirnov)"
            beside = f", those of the other models {usual:.2f}" if len(others) > 1 else ""
            found.append((model, evidence + beside))
    return found


def _distances(first: Values, second: Values) -> Floats:
    """Kolmogorov-Smirnov distance of every column, (n_labels,)."""
    distances = []
    for a, b in zip(np.sort(first, axis=0).T, np.sort(second, axis=0).T, strict=True):
        everywhere = np.concatenate([a, b])
        shares = [np.searchsorted(column, everywhere, side="right") / max(1, len(column)) for column in (a, b)]
        distances.append(np.abs(shares[0] - shares[1]).max(initial=0.0))
    return np.array(distances)


def _auc_matrix(probabilities: Probabilities, labels: Labels) -> Floats:
    """AUC of column i against label j, (n_labels, n_labels); 0.5 for a label with one class."""
    ranks = np.column_stack([average_ranks(column) for column in probabilities.T])
    positives = labels.sum(axis=0, dtype=np.float64)
    negatives = len(labels) - positives
    # Mann and Whitney's U: the rank sum of the positives, less the lowest that so many ranks can have.
    wins = ranks.T @ labels.astype(np.float64) - positives * (positives + 1) / 2
    pairs = positives * negatives
    return np.asarray(np.divide(wins, pairs, out=np.full_like(wins, 0.5), where=pairs > 0))


def _macro_auc(probabilities: Probabilities, labels: Labels) -> float:
    return float(_auc_matrix(probabilities, labels).diagonal().mean())


def column_correlations(first: Values, second: Values) -> Floats:
    """Correlation of column i of the first with column j of the second, (n_labels, n_labels); 0 for a constant."""

    def standard(values: Values) -> Floats:
        centred = values - values.mean(axis=0, dtype=np.float64)
        spread = centred.std(axis=0)
        return np.asarray(np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-6))

    return np.asarray(standard(first).T @ standard(second) / max(1, len(first)))
