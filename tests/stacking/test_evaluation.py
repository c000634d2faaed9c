"""Honest scores: planted noise must score at chance, and no label may reach the decision on its own row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from compete.competition.metrics import METRICS, Labels, Metric, Probabilities
from compete.stacking.evaluation import Evaluation, cross_fit, evaluate, evaluate_stack
from compete.stacking.meta_learners import Logistic, Mean
from compete.stacking.thresholds import decide, fit_thresholds

ROWS, RATES = 240, (0.5, 0.3, 0.2)
F1, AUC = METRICS["f1_macro"], METRICS["roc_auc_macro"]


def make_labels(seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, 3)) < RATES).astype(np.int8)


def make_folds(k: int) -> NDArray[np.int16]:
    return np.random.default_rng(9).permutation(np.arange(ROWS) % k).astype(np.int16)


def make_models(labels: Labels, n_models: int, signal: float) -> NDArray[np.float64]:
    noise = np.random.default_rng(1).normal(size=(n_models, *labels.shape))
    return np.asarray(1 / (1 + np.exp(-noise - signal * (labels - 0.5))))


@dataclass
class FoldSpy:
    """A meta-learner that answers every row with the folds it was fitted on, as a bit mask.

    The feature of a row is its number, so that no row can pass unnoticed.
    """

    folds: NDArray[np.int16]
    fitted_on: int = 0
    seen: frozenset[int] = frozenset()
    trace: list[tuple[frozenset[int], frozenset[int]]] = field(default_factory=list)

    def rows(self, probabilities: Probabilities) -> frozenset[int]:
        return frozenset(np.rint(probabilities[0, :, 0] * ROWS).astype(int).tolist())

    def fit(self, probabilities: Probabilities, labels: Labels) -> FoldSpy:
        rows = self.rows(probabilities)
        assert len(rows) == len(labels)
        mask = sum(1 << fold for fold in {int(self.folds[row]) for row in rows})
        return FoldSpy(self.folds, mask, rows, self.trace)

    def predict_proba(self, probabilities: Probabilities) -> NDArray[np.float64]:
        self.trace.append((self.seen, self.rows(probabilities)))
        return np.full(probabilities.shape[1:], float(self.fitted_on))


def numbered_rows(labels: Labels) -> NDArray[np.float64]:
    return np.broadcast_to(np.arange(ROWS)[None, :, None] / ROWS, (2, *labels.shape)).copy()


@pytest.mark.parametrize("k", [3, 5])
def test_every_row_is_predicted_without_its_fold_and_for_thresholds_without_two(k: int) -> None:
    labels, folds = make_labels(), make_folds(k)
    spy = FoldSpy(folds)
    fit = cross_fit(spy, numbered_rows(labels), labels, folds)
    everything = (1 << k) - 1
    own = 1 << folds.astype(int)
    assert np.array_equal(fit.outer, np.repeat((everything - own)[:, None], 3, axis=1))
    for fold, inner in enumerate(fit.inner):
        others = folds != fold
        assert np.isnan(inner[~others]).all()
        assert np.array_equal(inner[others], np.repeat((everything - own - (1 << fold))[others, None], 3, axis=1))
    assert len(spy.trace) == k + k * (k - 1)
    assert all(not seen & predicted for seen, predicted in spy.trace)
    assert isinstance(fit.on_all, FoldSpy) and fit.on_all.seen == frozenset(range(ROWS))


def test_with_two_folds_only_thresholds_see_fitted_rows_and_never_those_they_cut() -> None:
    labels, folds = make_labels(), make_folds(2)
    fit = cross_fit(FoldSpy(folds), numbered_rows(labels), labels, folds)
    for fold in (0, 1):
        held_out, other = folds == fold, 1 << (1 - fold)
        assert (fit.outer[held_out] == other).all()
        assert (fit.inner[fold][~held_out] == other).all()
        assert np.isnan(fit.inner[fold][held_out]).all()
    models = make_models(labels, 2, signal=2.0)
    two = cross_fit(Logistic(), models, labels, folds)
    assert 0.5 < evaluate_stack(F1, labels, folds, models, two).honest < 1


def test_a_stack_of_noise_is_honestly_at_chance_and_naively_good() -> None:
    labels, folds = make_labels(), make_folds(5)
    noise = make_models(labels, 25, signal=0.0)  # 75 features that know nothing, 240 rows
    fit = cross_fit(Logistic(C=1.0), noise, labels, folds)
    auc = evaluate_stack(AUC, labels, folds, noise, fit)
    assert abs(auc.honest - 0.5) < 0.08
    assert auc.naive > 0.75
    f1 = evaluate_stack(F1, labels, folds, noise, fit)
    rates = labels.mean(axis=0)
    predict_all = float(np.mean(2 * rates / (1 + rates)))
    assert f1.honest < predict_all + 0.03
    assert f1.naive > predict_all + 0.15


def test_thresholds_alone_flatter_the_naive_score_of_noise() -> None:
    labels, folds = make_labels(), make_folds(5)
    labels[:, 2] = np.random.default_rng(4).random(ROWS) < 0.03  # rare: its best cut on seen rows is luck
    noise = make_models(labels, 1, signal=0.0)[0]
    found = evaluate(F1, labels, folds, noise)
    assert found.naive > found.honest + 0.01
    assert found.naive == pytest.approx(f1_score(labels, decide(noise, found.thresholds), average="macro"))


def _honest_decisions(labels: Labels, folds: NDArray[np.int16], models: Probabilities) -> NDArray[np.generic]:
    """What the honest score was computed from: the metric answers with the number of its call."""
    calls: list[NDArray[np.generic]] = []

    def remember(labels: Labels, decisions: NDArray[np.generic]) -> float:
        calls.append(decisions.copy())
        return float(len(calls) - 1)

    metric = dataclasses.replace(F1, compute=remember)
    fit = cross_fit(Logistic(), models, labels, folds)
    return calls[int(evaluate_stack(metric, labels, folds, models, fit).honest)]


@pytest.mark.parametrize("k", [2, 4])
def test_labels_of_a_fold_do_not_reach_the_decisions_on_its_own_rows(k: int) -> None:
    labels, folds = make_labels(), make_folds(k)
    models = make_models(labels, 3, signal=1.5)
    before = cross_fit(Logistic(), models, labels, folds)
    decisions = _honest_decisions(labels, folds, models)
    for fold in range(k):
        held_out, others = folds == fold, folds != fold
        flipped = labels.copy()
        flipped[held_out] ^= 1
        after = cross_fit(Logistic(), models, flipped, folds)
        assert np.array_equal(before.outer[held_out], after.outer[held_out])
        assert np.array_equal(before.inner[fold], after.inner[fold], equal_nan=True)
        thresholds = [fit_thresholds(F1, labels[others], fit.inner[fold][others]) for fit in (before, after)]
        assert thresholds[0].tolist() == thresholds[1].tolist()
        changed = _honest_decisions(flipped, folds, models)
        assert np.array_equal(decisions[held_out], changed[held_out])
        # The control: the labels do count where they may, for every other row.
        assert not (before.outer[others] == after.outer[others]).any()
        assert not np.array_equal(decisions[others], changed[others])


def _check_parts(found: Evaluation, labels: Labels, folds: NDArray[np.int16], outer: Probabilities) -> None:
    """Precision, recall and F1 belong to decisions by thresholds of the other folds."""
    decisions = np.empty_like(labels)
    per_fold = []
    for fold in range(int(folds.max()) + 1):
        others = folds != fold
        per_fold.append([_brute_force(labels[others, i], outer[others, i]) for i in range(3)])
        decisions[~others] = outer[~others] >= per_fold[-1]
    assert found.honest == pytest.approx(f1_score(labels, decisions, average="macro"))
    assert found.f1.tolist() == pytest.approx(f1_score(labels, decisions, average=None).tolist())
    assert found.honest != pytest.approx(found.naive)
    assert found.threshold_spread == pytest.approx(np.std(per_fold, axis=0), abs=1e-12)
    hits = (labels & decisions).sum(axis=0)
    assert found.precision.tolist() == pytest.approx((hits / decisions.sum(axis=0)).tolist())
    assert found.recall.tolist() == pytest.approx((hits / labels.sum(axis=0)).tolist())


def _brute_force(labels: NDArray[np.int8], scores: Probabilities) -> float:
    """The highest of the best cuts, halfway to the next value below."""
    values = np.unique(scores)[::-1]
    cuts = [scores >= value for value in values]
    best = int(np.argmax([2 * (labels & cut).sum() / (labels.sum() + cut.sum()) for cut in cuts]))
    return float((values[best] + values[best + 1]) / 2)


def test_decisions_of_a_single_model_are_cut_without_their_fold() -> None:
    labels, folds = make_labels(), make_folds(4)
    model = make_models(labels, 1, signal=1.5)[0]
    _check_parts(evaluate(F1, labels, folds, model), labels, folds, model)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_scored_on_what_it_asks_for(metric: Metric) -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 2, signal=2.0)
    fit = cross_fit(Mean(), models, labels, folds)
    found = evaluate_stack(metric, labels, folds, models, fit)
    alone = evaluate(metric, labels, folds, models.mean(axis=0))
    assert found.honest == alone.honest  # the mean fits nothing: cross-fitting it is the mean itself
    assert found.naive == alone.naive
    if metric.thresholds is None:
        assert found.thresholds.tolist() == [0.5] * 3
        assert found.threshold_spread.tolist() == [0.0] * 3
        assert found.honest == found.naive == metric.compute(labels, models.mean(axis=0))
    else:
        assert found.naive == metric.compute(labels, decide(models.mean(axis=0), found.thresholds))
        assert found.honest <= found.naive
        assert (found.threshold_spread > 0).any()


def test_the_honest_auc_is_that_of_the_out_of_fold_probabilities() -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 3, signal=1.0)
    fit = cross_fit(Logistic(), models, labels, folds)
    found = evaluate_stack(AUC, labels, folds, models, fit)
    assert found.honest == pytest.approx(roc_auc_score(labels, fit.outer, average="macro"))
    assert found.naive == pytest.approx(roc_auc_score(labels, fit.on_all.predict_proba(models), average="macro"))


def test_progress_rises_from_nothing_to_one() -> None:
    labels, folds = make_labels(), make_folds(3)
    reported: list[float] = []
    cross_fit(Mean(), make_models(labels, 2, 1.0), labels, folds, reported.append)
    assert reported == sorted(reported)
    assert (reported[0], reported[-1]) == (0.0, 1.0)
