"""Honest scores: planted noise must score at chance, and no label may reach the decision on its own row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from compete.competition.metrics import METRICS, Labels, Metric, Probabilities
from compete.competition.rule_names import RuleName
from compete.stacking.ensemble.cross_fitting import as_it_is, cross_fit
from compete.stacking.ensemble.decision_rules import default_rule, rules_for
from compete.stacking.ensemble.evaluation import Evaluation, evaluate
from compete.stacking.ensemble.meta_learners import Logistic, Mean
from compete.stacking.ensemble.thresholds import decide, fit_thresholds
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe
from support.declared_metrics import DECLARED_METRICS

pytestmark = pytest.mark.slow

ROWS, RATES = 240, (0.5, 0.3, 0.2)
F1, AUC = METRICS["f1_macro"], METRICS["roc_auc_macro"]
# Trees that learn noise by heart, so that there is something to be honest about.
GREEDY_TREES = {"max_trees": 20, "min_data_in_leaf": 2, "num_leaves": 20, "learning_rate": 0.3, "lambda_l2": 0.0}
DECLARED: dict[str, dict[str, Any]] = {
    "mean": {"method": "mean"},
    "ranks": {"method": "mean", "ranks": True},
    "blend": {"method": "blend", "per": "label"},
    "simplex": {"method": "nelder_mead", "per": "label", "negative": True},
    "logistic": {"method": "logistic", "C": [0.1, 1.0]},
    "ridge": {"method": "ridge", "alpha": [1.0, 10.0]},
    "platt": {"method": "logistic", "C": 1.0, "calibration": "platt"},
    "lightgbm": {"method": "lightgbm", "trees": GREEDY_TREES},
    "second": {"method": "blend", "stacks": ["mean", "logistic"]},
}
EVERY_STACK = pytest.mark.parametrize("name", DECLARED)
DECISIONS: list[tuple[Metric, RuleName]] = [
    *((F1, rule) for rule in rules_for(F1)),
    (METRICS["f1_micro"], "empirical"),
    (METRICS["f1_micro"], "expected"),
    (METRICS["f1_samples"], "per_row"),
    (METRICS["jaccard_samples"], "cross_fitted"),
]


def make_labels(seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((ROWS, 3)) < RATES).astype(np.int8)


def make_folds(k: int) -> NDArray[np.int16]:
    return np.random.default_rng(9).permutation(np.arange(ROWS) % k).astype(np.int16)


def make_models(labels: Labels, n_models: int, signal: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(1).normal(size=(n_models, *labels.shape))
    return np.asarray(1 / (1 + np.exp(-noise - signal * (labels - 0.5))), dtype=np.float32)


def workbench(labels: Labels, folds: NDArray[np.int16], models: NDArray[np.float32], metric: Metric = F1) -> Workbench:
    recipes = {name: StackRecipe(name, StackDeclaration.model_validate(d)) for name, d in DECLARED.items()}
    return Workbench(Materials({f"m{i}": model for i, model in enumerate(models)}, labels, [folds]), recipes, metric)


def evaluated(metric: Metric, bench: Workbench, name: str, rule: RuleName | None = None) -> Evaluation:
    naive = bench.fitted(name).predict_proba(bench.materials.oof)
    return evaluate(metric, bench.materials.labels, bench.cross_fits(name), naive, rule)


def predict_all(labels: Labels) -> float:
    """The macro-F1 of predicting every label in every row, which knowing nothing cannot beat for long."""
    rates = labels.mean(axis=0)
    return float(np.mean(2 * rates / (1 + rates)))


@EVERY_STACK
def test_on_shuffled_labels_the_honest_score_is_at_chance_and_the_naive_one_is_not(name: str) -> None:
    knowing = make_labels()
    models = make_models(knowing, 15, signal=2.0)
    labels = knowing[np.random.default_rng(6).permutation(ROWS)]
    # What a score takes for chance is itself chance: the honest score beats it in half of all shuffles, by little.
    bench = workbench(labels, make_folds(5), models)
    assert evaluated(F1, bench, name).honest < predict_all(labels) + 0.03
    f1 = evaluated(F1, bench, name, "empirical")
    assert f1.honest < predict_all(labels) + 0.03
    # With thresholds alone, and with trees that an inner slice stops, there is little to learn by heart.
    assert f1.naive > f1.honest + (0.01 if name in ("mean", "ranks", "lightgbm") else 0.03)
    auc = evaluated(AUC, workbench(labels, make_folds(5), models, AUC), name)
    assert abs(auc.honest - 0.5) < 0.08
    if name not in ("mean", "ranks"):
        assert auc.naive > auc.honest + 0.04
    # The control: with the labels in their place the same stacks are good.
    known = workbench(knowing, make_folds(5), models)
    assert evaluated(F1, known, name).honest > predict_all(knowing) + 0.2


def test_a_stack_of_noise_is_honestly_at_chance_and_naively_good() -> None:
    labels, folds = make_labels(), make_folds(5)
    noise = make_models(labels, 25, signal=0.0)  # 75 features that know nothing, 240 rows
    fit, naive = cross_fit([Logistic(C=1.0)], noise, labels, folds), Logistic(C=1.0).fit(noise, labels)
    auc = evaluate(AUC, labels, [fit], naive.predict_proba(noise))
    assert abs(auc.honest - 0.5) < 0.08
    assert auc.naive > 0.75
    f1 = evaluate(F1, labels, [fit], naive.predict_proba(noise))
    assert f1.honest < predict_all(labels) + 0.03
    assert f1.naive > predict_all(labels) + 0.15


def test_thresholds_alone_flatter_the_naive_score_of_noise() -> None:
    labels, folds = make_labels(), make_folds(5)
    labels[:, 2] = np.random.default_rng(4).random(ROWS) < 0.03  # rare: its best cut on seen rows is luck
    noise = make_models(labels, 1, signal=0.0)[0]
    found = evaluate(F1, labels, [as_it_is(noise, folds)], noise, "empirical")
    assert found.naive > found.honest + 0.01
    assert found.naive == pytest.approx(f1_score(labels, decide(noise, found.labels.threshold), average="macro"))


@EVERY_STACK
def test_labels_of_a_fold_do_not_reach_the_decisions_on_its_own_rows(name: str) -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 3, signal=1.5)
    held_out = folds == 1
    flipped = np.where(held_out[:, None], 1 - labels, labels).astype(np.int8)
    before, after = workbench(labels, folds, models), workbench(flipped, folds, models)
    outer = [bench.cross_fits(name)[0].outer for bench in (before, after)]
    assert np.array_equal(outer[0][held_out], outer[1][held_out])
    for metric, rule in DECISIONS:
        decided = [evaluated(metric, bench, name, rule).predicted[0] for bench in (before, after)]
        assert np.array_equal(decided[0][held_out], decided[1][held_out]), (metric.name, rule)
        # The control: the labels do count where they may, for every other row.
        if name not in ("mean", "ranks") or rule not in ("half", "where_worth"):
            assert not np.array_equal(decided[0][~held_out], decided[1][~held_out]), (metric.name, rule)


def test_with_two_folds_the_labels_do_not_reach_their_own_rows_either() -> None:
    labels, folds = make_labels(), make_folds(2)
    models = make_models(labels, 3, signal=1.5)
    before = evaluated(F1, workbench(labels, folds, models), "logistic").predicted[0]
    for fold in (0, 1):
        flipped = np.where((folds == fold)[:, None], 1 - labels, labels).astype(np.int8)
        after = evaluated(F1, workbench(flipped, folds, models), "logistic").predicted[0]
        assert np.array_equal(before[folds == fold], after[folds == fold])
        assert not np.array_equal(before[folds != fold], after[folds != fold])


def _check_parts(found: Evaluation, labels: Labels, folds: NDArray[np.int16], outer: Probabilities) -> None:
    """Precision, recall and F1 belong to decisions by thresholds of the other folds."""
    decisions = np.empty_like(labels)
    per_fold = []
    for fold in range(int(folds.max()) + 1):
        others = folds != fold
        per_fold.append([_brute_force(labels[others, i], outer[others, i]) for i in range(3)])
        decisions[~others] = outer[~others] >= per_fold[-1]
    assert np.array_equal(found.predicted[0], decisions)
    assert found.honest == pytest.approx(f1_score(labels, decisions, average="macro"))
    assert found.labels.f1.tolist() == pytest.approx(f1_score(labels, decisions, average=None).tolist())
    assert found.honest != pytest.approx(found.naive)
    assert found.labels.threshold_spread == pytest.approx(np.std(per_fold, axis=0), abs=1e-12)
    hits = (labels & decisions).sum(axis=0)
    assert found.labels.precision.tolist() == pytest.approx((hits / decisions.sum(axis=0)).tolist())
    assert found.labels.recall.tolist() == pytest.approx((hits / labels.sum(axis=0)).tolist())
    half = f1_score(labels, outer >= 0.5, average=None)
    assert found.labels.gain.tolist() == pytest.approx((found.labels.f1 - half).tolist())
    assert (found.labels.gain_low <= found.labels.gain).all()
    assert (found.labels.gain <= found.labels.gain_high).all()


def _brute_force(labels: NDArray[np.int8], scores: Probabilities) -> float:
    """The highest of the best cuts, halfway to the next value below."""
    values = np.unique(scores.astype(np.float64))[::-1]
    cuts = [scores >= value for value in values]
    best = int(np.argmax([2 * (labels & cut).sum() / (labels.sum() + cut.sum()) for cut in cuts]))
    return float((values[best] + values[best + 1]) / 2)


def test_decisions_of_a_single_model_are_cut_without_their_fold() -> None:
    labels, folds = make_labels(), make_folds(4)
    model = make_models(labels, 1, signal=1.5)[0]
    _check_parts(evaluate(F1, labels, [as_it_is(model, folds)], model, "empirical"), labels, folds, model)


@pytest.mark.parametrize("metric", DECLARED_METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_scored_on_what_it_asks_for(metric: Metric) -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 2, signal=2.0).astype(np.float64)
    mean = models.mean(axis=0)
    fit = cross_fit([Mean()], models, labels, folds)
    found = evaluate(metric, labels, [fit], mean)
    alone = evaluate(metric, labels, [as_it_is(mean, folds)], mean)
    assert found.honest == pytest.approx(alone.honest)  # the mean fits nothing: cross-fitting it is the mean itself
    assert found.naive == alone.naive
    if metric.thresholds is None:
        assert found.labels.threshold.tolist() == [0.5] * 3
        assert found.labels.threshold_spread.tolist() == [0.0] * 3
        assert found.honest == pytest.approx(metric.compute(labels, mean))
        assert found.naive == metric.compute(labels, mean)
        return
    assert found.naive == metric.compute(labels, alone.decision.decide(mean))
    assert metric.compute(labels, found.predicted[0]) == found.honest <= found.naive + 0.02
    if found.decision.thresholds is None:
        assert np.isnan(found.labels.threshold).all() and np.isnan(found.labels.threshold_spread).all()
    else:
        # Nobody knows a search for accuracy over several labels: it is cut at one half.
        assert (found.labels.threshold_spread > 0).any() == (default_rule(metric) != "half")
        assert found.labels.threshold.tolist() == found.decision.thresholds.tolist()


def test_the_honest_auc_is_that_of_the_out_of_fold_probabilities() -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 3, signal=1.0)
    fit, naive = cross_fit([Logistic()], models, labels, folds), Logistic().fit(models, labels).predict_proba(models)
    found = evaluate(AUC, labels, [fit], naive)
    assert found.honest == pytest.approx(roc_auc_score(labels, fit.outer, average="macro"))
    assert found.naive == pytest.approx(roc_auc_score(labels, naive, average="macro"))


def test_thresholds_for_the_test_set_are_fitted_on_rows_that_were_not_seen() -> None:
    labels, folds = make_labels(), make_folds(3)
    models = make_models(labels, 2, signal=1.5)
    fit = cross_fit([Logistic()], models, labels, folds)
    learnt_by_heart = labels.astype(np.float64)
    found = evaluate(F1, labels, [fit], learnt_by_heart, "empirical")
    assert found.naive == 1.0
    assert found.decision.thresholds is not None
    assert found.decision.thresholds.tolist() == fit_thresholds(F1, labels, fit.outer).tolist()


def test_of_several_plans_the_mean_is_told_and_the_first_decides() -> None:
    labels, models = make_labels(), make_models(make_labels(), 2, signal=1.5)
    plans = [make_folds(3), np.roll(make_folds(3), 1), np.roll(make_folds(3), 2)]
    fits = [cross_fit([Logistic()], models, labels, folds) for folds in plans]
    naive = models.mean(axis=0)
    found, single = evaluate(F1, labels, fits, naive), [evaluate(F1, labels, [fit], naive) for fit in fits]
    assert found.repeats == tuple(each.honest for each in single)
    assert len(set(found.repeats)) > 1
    assert found.honest == pytest.approx(np.mean(found.repeats))
    assert found.draws == pytest.approx(np.mean([each.draws for each in single], axis=0), abs=1e-6)
    assert found.labels.f1 == pytest.approx(np.mean([each.labels.f1 for each in single], axis=0))
    assert found.labels.gain == pytest.approx(np.mean([each.labels.gain for each in single], axis=0))
    assert found.decision.record() == single[0].decision.record()
    low, high = found.interval
    assert low < found.honest < high
    assert 0.02 < high - low < 0.25


@pytest.mark.parametrize("rule", rules_for(F1))
@pytest.mark.parametrize("seed", range(3))
def test_a_gain_over_several_plans_lies_within_its_interval(rule: RuleName, seed: int) -> None:
    labels = make_labels(seed)
    model = make_models(labels, 1, signal=1.5)[0] ** 2  # too low: a threshold of 0.5 is not the best
    plans = [np.roll(make_folds(3), shift) for shift in range(5)]
    parts = evaluate(F1, labels, [as_it_is(model, folds) for folds in plans], model, rule).labels
    half = f1_score(labels, decide(model, np.full(3, 0.5)), average=None, zero_division=0)
    assert parts.gain == pytest.approx(parts.f1 - half)
    assert (parts.gain_low <= parts.gain).all() and (parts.gain <= parts.gain_high).all()
    if rule == "half":
        assert parts.gain.tolist() == parts.gain_low.tolist() == parts.gain_high.tolist() == [0.0] * 3
    else:
        tuned = parts.gain != 0 if rule == "where_worth" else np.ones(3, dtype=bool)
        assert (parts.gain_high - parts.gain_low > 0.01)[tuned].all()
        assert parts.gain.max() > 0.05
