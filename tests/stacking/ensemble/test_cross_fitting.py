"""Who saw what: no row is predicted, and nothing on top is fitted, by what saw the row."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Probabilities
from compete.stacking.ensemble.blend import Blend
from compete.stacking.ensemble.cross_fitting import as_it_is, cross_fit, cross_fit_second_level, repeated_folds
from compete.stacking.ensemble.evaluation import evaluate
from compete.stacking.ensemble.meta_learners import Logistic, Mean, MetaLearner, RowFeatures
from compete.stacking.ensemble.nelder_mead import NelderMead
from compete.stacking.ensemble.rank_means import RankedProbabilities
from compete.stacking.ensemble.ridge import ProbabilityRidge

ROWS, RATES = 240, (0.5, 0.3, 0.2)
F1 = METRICS["f1_macro"]


def make_labels(seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, 3)) < RATES).astype(np.int8)


def make_folds(k: int) -> NDArray[np.int16]:
    return np.random.default_rng(9).permutation(np.arange(ROWS) % k).astype(np.int16)


def make_models(labels: Labels, n_models: int, signal: float) -> NDArray[np.float64]:
    noise = np.random.default_rng(1).normal(size=(n_models, *labels.shape))
    return np.asarray(1 / (1 + np.exp(-noise - signal * (labels - 0.5))))


def numbered_rows(labels: Labels) -> NDArray[np.float64]:
    """Base models whose probability is the number of the row, so that no row can pass unnoticed."""
    return np.broadcast_to(np.arange(ROWS)[None, :, None] / ROWS, (2, *labels.shape)).copy()


@dataclass
class FoldSpy:
    """A meta-learner that answers every row with the folds it was fitted on, as a bit mask."""

    folds: NDArray[np.int16]
    fitted_on: int = 0
    parallel: Literal["threads", "processes"] = "threads"
    few_parameters: bool = False
    seen: frozenset[int] = frozenset()
    trace: list[tuple[frozenset[int], frozenset[int]]] = field(default_factory=list)

    def numbers(self, probabilities: Probabilities, rows: RowFeatures | None) -> frozenset[int]:
        numbers = np.rint(probabilities[0, :, 0] * ROWS).astype(int)
        assert rows is None or np.array_equal(rows[:, 0], numbers)
        return frozenset(numbers.tolist())

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FoldSpy:
        numbers = self.numbers(probabilities, rows)
        assert len(numbers) == len(labels)
        mask = sum(1 << fold for fold in {int(self.folds[number]) for number in numbers})
        return FoldSpy(self.folds, mask, seen=numbers, trace=self.trace)

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        self.trace.append((self.seen, self.numbers(probabilities, rows)))
        return np.full(probabilities.shape[1:], float(self.fitted_on))


@dataclass(frozen=True)
class Pick:
    """A candidate that believes one base model."""

    model: int
    parallel: Literal["threads", "processes"] = "threads"
    few_parameters: bool = False

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> Pick:
        return self

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        return np.asarray(probabilities[self.model], dtype=np.float64)


@pytest.mark.parametrize("with_rows", [False, True])
@pytest.mark.parametrize("k", [3, 5])
def test_every_row_is_predicted_without_its_fold_and_for_what_is_on_top_without_two(k: int, with_rows: bool) -> None:
    labels, folds = make_labels(), make_folds(k)
    spy = FoldSpy(folds)
    rows = np.arange(ROWS, dtype=np.float32)[:, None] if with_rows else None
    fit = cross_fit([spy], numbered_rows(labels), labels, folds, rows)
    everything = (1 << k) - 1
    own = 1 << folds.astype(int)
    assert np.array_equal(fit.outer, np.repeat((everything - own)[:, None], 3, axis=1))
    for fold, inner in enumerate(fit.inner):
        others = folds != fold
        assert np.isnan(inner[~others]).all()
        assert np.array_equal(inner[others], np.repeat((everything - own - (1 << fold))[others, None], 3, axis=1))
    assert len(spy.trace) == k + k * (k - 1)
    assert all(not seen & predicted for seen, predicted in spy.trace)


def test_with_two_folds_only_thresholds_see_fitted_rows_and_never_those_they_cut() -> None:
    labels, folds = make_labels(), make_folds(2)
    fit = cross_fit([FoldSpy(folds)], numbered_rows(labels), labels, folds)
    for fold in (0, 1):
        held_out, other = folds == fold, 1 << (1 - fold)
        assert (fit.outer[held_out] == other).all()
        assert (fit.inner[fold][~held_out] == other).all()
        assert np.isnan(fit.inner[fold][held_out]).all()
    models = make_models(labels, 2, signal=2.0)
    two = cross_fit([Logistic()], models, labels, folds)
    assert 0.5 < evaluate(F1, labels, [two], models.mean(axis=0)).honest < 1


def test_a_second_level_sees_neither_the_fold_it_predicts_nor_parts_that_saw_it() -> None:
    """For fold k it is fitted on rows that were predicted without fold k, and without their own."""
    labels, folds = make_labels(), make_folds(4)
    everything, own = 15, 1 << folds.astype(int)
    part = cross_fit([FoldSpy(folds)], numbered_rows(labels), labels, folds)
    fitted_on: list[frozenset[int]] = []

    @dataclass(frozen=True)
    class Remembers:
        parallel: Literal["threads", "processes"] = "threads"
        few_parameters: bool = False

        def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> Remembers:
            fitted_on.append(frozenset(np.unique(probabilities).astype(int).tolist()))
            return self

        def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
            return np.asarray(probabilities[0], dtype=np.float64)

    fit = cross_fit_second_level(Remembers(), [part, part], labels)
    for fold in range(4):
        others = [j for j in range(4) if j != fold]
        assert fitted_on[fold] == {everything - (1 << fold) - (1 << j) for j in others}
        assert np.isnan(fit.inner[fold][folds == fold]).all()
        known = folds != fold
        assert np.array_equal(fit.inner[fold][known, 0], (everything - own - (1 << fold))[known])
    assert np.array_equal(fit.outer[:, 0], everything - own)


def test_candidates_are_chosen_without_the_fold_that_is_scored() -> None:
    """Model 0 knows fold 0 by heart and nothing else, model 1 knows a little of every row."""
    labels, folds = make_labels(), make_folds(4)
    models = make_models(labels, 2, signal=2.0)
    models[0] = np.where((folds == 0)[:, None], np.clip(labels, 0.001, 0.999), 0.4)
    fit = cross_fit([Pick(0), Pick(1)], models, labels, folds)
    assert fit.outer[folds == 0] == pytest.approx(models[1][folds == 0])
    for fold in range(4):
        assert np.isnan(fit.inner[fold][folds == fold]).all()


def test_what_is_fitted_on_top_sees_the_candidate_that_is_taken_for_its_fold() -> None:
    """Model 0 is better where fold 3 is left out, model 1 where it is not."""
    labels, folds = make_labels(), make_folds(4)
    good = np.where(labels == 1, 0.9, 0.1)
    models = np.stack([np.where((folds == 3)[:, None], 1 - good, good), np.full(labels.shape, 0.4)])
    fit = cross_fit([Pick(0), Pick(1)], models, labels, folds)
    losses = [METRICS["log_loss"].compute(labels[folds != 0], model[folds != 0]) for model in models]
    assert losses[0] > losses[1]
    assert fit.best == 1
    for fold, chosen in enumerate([1, 1, 1, 0]):
        held_out = folds == fold
        assert fit.outer[held_out] == pytest.approx(models[chosen][held_out])
        assert fit.inner[fold][~held_out] == pytest.approx(models[chosen][~held_out])


@pytest.mark.parametrize(("n_candidates", "middle"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_with_two_folds_the_candidate_in_the_middle_is_taken(n_candidates: int, middle: int) -> None:
    """All rows that a choice could look at were fitted on, and the candidate that learns by heart would win."""
    labels, folds = make_labels(), make_folds(2)
    models = make_models(labels, n_candidates, signal=1.0)
    models[-1] = np.clip(labels, 0.001, 0.999) if n_candidates > 1 and middle < n_candidates - 1 else models[-1]
    fit = cross_fit([Pick(number) for number in range(n_candidates)], models, labels, folds)
    assert fit.best == middle
    assert np.array_equal(fit.outer, models[middle].astype(np.float32))
    for fold, inner in enumerate(fit.inner):
        assert np.array_equal(inner[folds != fold], models[middle, folds != fold].astype(np.float32))
        assert np.isnan(inner[folds == fold]).all()


def test_with_two_folds_several_candidates_give_what_the_middle_one_gives_alone() -> None:
    labels, folds = make_labels(), make_folds(2)
    models = make_models(labels, 3, signal=1.5)
    several = cross_fit([Logistic(0.01), Logistic(0.1), Logistic(1000.0)], models, labels, folds)
    alone = cross_fit([Logistic(0.1)], models, labels, folds)
    assert np.array_equal(several.outer, alone.outer)
    assert np.array_equal(several.inner, alone.inner, equal_nan=True)
    assert (several.best, alone.best) == (1, 0)


def test_labels_of_a_fold_do_not_reach_the_choice_for_it() -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 3, signal=1.5)
    candidates: list[MetaLearner] = [Logistic(0.001), Logistic(1.0), Mean()]
    before = cross_fit(candidates, models, labels, folds)
    for fold in range(3):
        flipped = np.where((folds == fold)[:, None], 1 - labels, labels).astype(np.int8)
        after = cross_fit(candidates, models, flipped, folds)
        assert np.array_equal(before.outer[folds == fold], after.outer[folds == fold])
        assert np.array_equal(before.inner[fold], after.inner[fold], equal_nan=True)
        assert not np.array_equal(before.outer, after.outer)


def test_nothing_is_fitted_to_probabilities_as_they_are() -> None:
    labels, folds = make_labels(), make_folds(3)
    model = make_models(labels, 1, signal=1.0)[0]
    fit = as_it_is(model, folds)
    assert fit.outer is model
    assert len(fit.inner) == 3 and all(inner is model for inner in fit.inner)


@pytest.mark.parametrize(
    ("learner", "tolerance"),
    [
        (Mean(), 1e-6),
        (RankedProbabilities(), 1e-6),
        (Blend(), 1e-6),
        (Blend(per_label=True), 1e-6),
        (NelderMead(), 1e-6),
        (Logistic(), 1e-4),
        (ProbabilityRidge(), 1e-5),
    ],
)
def test_another_order_of_rows_models_or_labels_is_another_order_of_the_result(
    learner: MetaLearner, tolerance: float
) -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 4, signal=1.5)
    models[1:3] = 0.5 * models[1:3] + 0.25 * (models[0] > 0.5)
    random = np.random.default_rng(5)
    order, columns = random.permutation(ROWS), [2, 0, 1]
    first = cross_fit([learner], models, labels, folds)
    by_row = cross_fit([learner], models[:, order], labels[order], folds[order])
    by_model = cross_fit([learner], models[[3, 1, 0, 2]], labels, folds)
    by_label = cross_fit([learner], models[..., columns], labels[:, columns], folds)
    renamed = cross_fit([learner], models, labels, np.array([2, 0, 1], dtype=np.int16)[folds])
    expected = [(by_row, first.outer[order]), (by_model, first.outer), (by_label, first.outer[:, columns])]
    for found, outer in [*expected, (renamed, first.outer)]:
        assert np.abs(found.outer - outer).max() < tolerance
    assert np.nanmax(np.abs(by_row.inner[1] - first.inner[1][order])) < tolerance
    assert np.nanmax(np.abs(renamed.inner[2] - first.inner[0])) < tolerance


def test_the_same_fit_gives_the_same_bits() -> None:
    """Fits run on several cores in any order."""
    labels, folds = make_labels(), make_folds(5)
    models = make_models(labels, 3, signal=1.0)
    first, again = (cross_fit([Logistic(0.1), Logistic(1.0)], models, labels, folds) for _ in range(2))
    assert np.array_equal(first.outer, again.outer)
    assert np.array_equal(first.inner, again.inner, equal_nan=True)


def test_progress_rises_from_nothing_to_one() -> None:
    labels, folds = make_labels(), make_folds(3)
    reported: list[float] = []
    cross_fit(
        [Mean()], make_models(labels, 2, 1.0), labels, folds, progress=lambda fraction, doing: reported.append(fraction)
    )
    assert reported == sorted(reported)
    assert (reported[0], reported[-1]) == (0.0, 1.0)


def test_an_error_in_a_fit_is_not_swallowed() -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 2, 1.0)
    with pytest.raises(IndexError):
        cross_fit([Mean(), Pick(7)], models, labels, folds)


def rare_labels(n_rows: int = 1000) -> Labels:
    return (np.random.default_rng(2).random((n_rows, 4)) < (0.5, 0.2, 0.05, 0.02)).astype(np.int8)


@pytest.mark.parametrize("k", [2, 5])
def test_other_plans_have_even_folds_and_even_rare_labels(k: int) -> None:
    labels = rare_labels()
    given = (np.arange(1000) % k).astype(np.int16)
    plans = repeated_folds(given, labels, np.arange(1000), repeats=4, seed=1)
    assert len(plans) == 4
    assert plans[0] is given
    for plan in plans[1:]:
        assert np.ptp(np.bincount(plan, minlength=k)) <= 1
        assert np.unique(plan).tolist() == list(range(k))
        rarest = [labels[plan == fold, 3].sum() for fold in range(k)]
        assert np.ptp(rarest) <= 1
        rates = np.array([labels[plan == fold].mean(axis=0) for fold in range(k)])
        assert np.abs(rates - labels.mean(axis=0)).max() < 0.05
    agreement = [(a == b).mean() for a, b in pairwise(plans)]
    assert max(agreement) < 1 / k + 0.1  # other plans, not the same again


def test_rows_of_a_group_share_a_fold_in_every_other_plan() -> None:
    labels = rare_labels(600)
    groups = np.sort(np.random.default_rng(3).integers(400, size=600))
    groups = np.unique(groups, return_inverse=True)[1]
    given = (groups % 5).astype(np.int16)
    for plan in repeated_folds(given, labels, groups, repeats=4, seed=0)[1:]:
        assert all(len(np.unique(plan[groups == group])) == 1 for group in np.unique(groups))
        sizes = np.bincount(plan)
        assert len(sizes) == 5 and sizes.min() > 80


def test_a_seed_names_the_plans() -> None:
    labels, groups = rare_labels(), np.arange(1000)
    given = (groups % 5).astype(np.int16)
    first, again, other = (repeated_folds(given, labels, groups, 3, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[1], other[1])
    assert not np.array_equal(first[1], first[2])
    longer = repeated_folds(given, labels, groups, 5, 1)
    assert np.array_equal(longer[:3], first)  # more repeats leave the others as they are
