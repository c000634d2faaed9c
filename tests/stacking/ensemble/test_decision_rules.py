"""Every rule for every metric: what it decides, and that its record decides the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Metric
from compete.competition.rule_names import RuleName
from compete.competition.task import Task
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.calibration import fit_calibration
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.decision_rules import Cut, PerRow, decision_from, default_rule, fit_rule, rules_for
from compete.stacking.ensemble.evaluation import evaluate
from compete.stacking.ensemble.thresholds import DEFAULT, best_expected_f1_threshold, fit_thresholds
from support.declared_metrics import DECLARED_METRICS

ROWS, RATES = 600, (0.4, 0.2, 0.05)
EVERY_RULE = [(metric, rule) for metric in DECLARED_METRICS.values() for rule in rules_for(metric)]
MACRO = METRICS["f1_macro"]
DECIDING = [metric for metric in DECLARED_METRICS.values() if "cross_fitted" in rules_for(metric)]


def miscalibrated(seed: int = 0, shift: float = -1.5) -> tuple[Labels, NDArray[np.float64], NDArray[np.int16]]:
    """Labels, probabilities that know them but are too low (or high), and folds."""
    random = np.random.default_rng(seed)
    labels = (random.random((ROWS, 3)) < RATES).astype(np.int8)
    z = 2.5 * (labels - 0.5) + random.normal(size=labels.shape) + np.log(RATES) + shift
    return labels, sigmoid(z), (np.arange(ROWS) % 5).astype(np.int16)


def named(value: object) -> str | None:
    return value.name if isinstance(value, Metric) else None


@pytest.mark.parametrize(("metric", "rule"), EVERY_RULE, ids=named)
def test_a_record_decides_as_the_rule_it_is_of(metric: Metric, rule: RuleName) -> None:
    labels, probabilities, folds = miscalibrated()
    fitted = fit_rule(rule, metric, labels, probabilities, folds)
    _, fresh, _ = miscalibrated(seed=1)
    decided = fitted.decide(fresh)
    assert decided.shape == fresh.shape
    assert set(np.unique(decided).tolist()) <= {0, 1}
    for record in (fitted.record(), json.loads(json.dumps(fitted.record()))):
        again = decision_from(record)
        assert again.decide(fresh).tolist() == decided.tolist()
        assert again.record() == fitted.record()
    if fitted.thresholds is not None:
        assert fitted.thresholds.shape == (3,)
        assert decided.tolist() == (fresh >= fitted.thresholds).astype(int).tolist()


@pytest.mark.parametrize("metric", DECLARED_METRICS.values(), ids=named)
def test_a_metric_has_rules_of_its_own_and_half_for_all(metric: Metric) -> None:
    rules = rules_for(metric)
    assert "half" in rules
    assert len(rules) == len(set(rules))
    assert default_rule(metric) in rules
    if metric.thresholds is None:
        assert rules == ("half",)
        fitted = fit_rule("empirical", metric, *miscalibrated())
        assert fitted.record() == Cut(np.full(3, DEFAULT)).record()


def test_a_record_of_nothing_is_refused() -> None:
    with pytest.raises(KeyError):
        decision_from({})


def test_half_cuts_at_a_half() -> None:
    fitted = fit_rule("half", MACRO, *miscalibrated())
    assert fitted.decide(np.array([[0.49, 0.5, 0.51]])).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("metric", [MACRO, METRICS["f1_micro"], METRICS["f1_samples"]], ids=named)
def test_cross_fitted_is_the_mean_of_the_thresholds_without_one_fold(metric: Metric) -> None:
    labels, probabilities, folds = miscalibrated()
    folds[folds == 2] = 0  # numbers may be missing: in an honest score the scored fold is
    each = [fit_thresholds(metric, labels[folds != k], probabilities[folds != k]) for k in (0, 1, 3, 4)]
    found = fit_rule("cross_fitted", metric, labels, probabilities, folds).thresholds
    assert found == pytest.approx(np.mean(each, axis=0))
    assert np.ptp(each, axis=0).max() > 0


@pytest.mark.parametrize("metric", DECIDING, ids=named)
def test_cross_fitted_with_one_fold_is_the_plain_fit(metric: Metric) -> None:
    labels, probabilities, folds = miscalibrated()
    found = fit_rule("cross_fitted", metric, labels, probabilities, np.ones_like(folds)).thresholds
    assert found is not None
    assert found == pytest.approx(fit_thresholds(metric, labels, probabilities))
    assert (np.abs(found - DEFAULT) > 0.05).all()


@pytest.mark.parametrize("metric", DECIDING, ids=named)
def test_of_two_folds_each_is_decided_by_the_best_cut_of_the_other(metric: Metric) -> None:
    labels, probabilities, _ = miscalibrated()
    folds = (np.arange(ROWS) % 2).astype(np.int16)
    found = evaluate(metric, labels, [as_it_is(probabilities, folds)], probabilities, "cross_fitted")
    cuts = [fit_thresholds(metric, labels[folds != fold], probabilities[folds != fold]) for fold in (0, 1)]
    assert found.predicted[0].tolist() == (probabilities >= np.array(cuts)[folds]).astype(int).tolist()
    half = metric.compute(labels, (probabilities >= DEFAULT).astype(np.int8))
    assert found.honest > half + 0.05
    assert found.decision.thresholds == pytest.approx(np.mean(cuts, axis=0))


def test_shrunk_lies_between_the_best_cut_and_theory_and_nearer_to_it_for_a_rare_label() -> None:
    labels, probabilities, folds = miscalibrated()
    best, shrunk = (fit_rule(rule, MACRO, labels, probabilities, folds).thresholds for rule in ("empirical", "shrunk"))
    assert best is not None and shrunk is not None
    calibration = fit_calibration(labels, probabilities)
    f1 = [np.mean(2 * labels[:, i] * (probabilities[:, i] >= best[i])) for i in range(3)]
    f1 /= labels.mean(axis=0) + (probabilities >= best).mean(axis=0)
    theory = sigmoid((logits(np.asarray(f1) / 2) - calibration.intercepts) / calibration.slopes)
    assert (np.minimum(best, theory) - 1e-6 <= shrunk).all()
    assert (shrunk <= np.maximum(best, theory) + 1e-6).all()
    share = (shrunk - best) / (theory - best)  # of the way to theory
    assert share == pytest.approx(100 / (labels.sum(axis=0) + 100), abs=1e-3)


def test_expected_is_where_calibrated_probabilities_promise_most() -> None:
    labels, probabilities, folds = miscalibrated()
    calibrated = fit_calibration(labels, probabilities).apply(probabilities)
    found = fit_rule("expected", MACRO, labels, probabilities, folds).thresholds
    each = [best_expected_f1_threshold(probabilities[:, i], calibrated[:, i]) for i in range(3)]
    assert found is not None and found.tolist() == each
    micro = fit_rule("expected", METRICS["f1_micro"], labels, probabilities, folds).thresholds
    assert micro is not None and len(set(micro.tolist())) == 1


@pytest.mark.parametrize("shift", [-1.5, 0.0, 1.5])
@pytest.mark.parametrize(("metric", "rule"), [pair for pair in EVERY_RULE if pair[0].thresholds], ids=named)
def test_no_rule_is_worse_than_half_on_probabilities_that_mean_something_else(
    metric: Metric, rule: RuleName, shift: float
) -> None:
    fitted = fit_rule(rule, metric, *miscalibrated(shift=shift))
    fresh_labels, fresh, _ = miscalibrated(seed=1, shift=shift)
    half = metric.compute(fresh_labels, (fresh >= 0.5).astype(np.int8))
    found = metric.compute(fresh_labels, fitted.decide(fresh))
    assert found >= half - 0.01
    if shift == -1.5 and rule != "half":
        assert found > half + 0.05


@pytest.mark.parametrize("metric", [METRICS["f1_samples"], METRICS["jaccard_samples"]], ids=named)
def test_per_row_calibrates_and_leaves_no_row_empty(metric: Metric) -> None:
    labels, probabilities, folds = miscalibrated(shift=-3.0)
    fitted = fit_rule("per_row", metric, labels, probabilities, folds)
    assert isinstance(fitted, PerRow) and fitted.thresholds is None
    assert (fitted.decide(probabilities).sum(axis=1) >= 1).all()
    assert ((probabilities >= 0.5).sum(axis=1) == 0).any()
    right = miscalibrated(shift=0.0)[1]
    same = fit_rule("per_row", metric, labels, right, folds).decide(right)
    assert (fitted.decide(probabilities) != same).mean() < 0.01  # a shift of all logits is undone


def test_the_two_metrics_over_rows_are_decided_each_for_itself() -> None:
    arguments = miscalibrated()
    f1, jaccard = (fit_rule("per_row", METRICS[n], *arguments) for n in ("f1_samples", "jaccard_samples"))
    decided = f1.decide(arguments[1]), jaccard.decide(arguments[1])
    assert decided[0].sum() > decided[1].sum()  # the Jaccard index punishes a wrong label harder


def test_where_worth_cuts_only_labels_that_gain_on_rows_they_were_not_fitted_on() -> None:
    random = np.random.default_rng(5)
    labels = (random.random((1500, 3)) < 0.3).astype(np.int8)
    folds = (np.arange(1500) % 5).astype(np.int16)
    told = 0.5 + 0.3 * (labels - 0.5) + random.normal(scale=0.12, size=labels.shape)
    probabilities = np.clip(told - [0.25, 0.0, 0.0], 0.01, 0.99)  # of the first label too low, of the others right
    tuned = fit_rule("cross_fitted", METRICS["f1_macro"], labels, probabilities, folds).thresholds
    found = fit_rule("where_worth", METRICS["f1_macro"], labels, probabilities, folds).thresholds
    assert tuned is not None and found is not None
    assert found.tolist() == [tuned[0], 0.5, 0.5]
    assert tuned[1] != 0.5
    of_one_fold = fit_rule("where_worth", METRICS["f1_macro"], labels, probabilities, np.zeros_like(folds)).thresholds
    assert of_one_fold is not None and of_one_fold.tolist() == [0.5] * 3


@pytest.mark.parametrize("metric", ["quadratic_weighted_kappa", "accuracy"])
@pytest.mark.parametrize("step", [0.1, 1e-7, 1e6])
def test_cuts_between_grades_do_not_depend_on_their_step(metric: str, step: float) -> None:
    """Grades that float32 cannot write down are told from their numbers as whole grades are."""
    random = np.random.default_rng(0)
    whole = random.integers(0, 4, size=(400, 1)).astype(np.float64)
    numbers = 0.5 * whole + 0.5 + 0.3 * random.normal(size=whole.shape)
    folds = (np.arange(400) % 5).astype(np.int16)
    decided = []
    for unit in (1.0, step):
        grades = tuple((unit * np.arange(4.0)).tolist())
        of_grades = METRICS[metric].of(Task("ordinal", ("mood",), grades))
        truth, x = (unit * whole).astype(np.float32), unit * numbers
        for rule in rules_for(of_grades):
            cut = fit_rule(rule, of_grades, truth, x, folds)
            decided.append(of_grades.compute(truth, cut.decide(x)))
    half = len(decided) // 2
    assert decided[half:] == pytest.approx(decided[:half], abs=1e-6)
    assert min(decided[:half]) > 0.4
