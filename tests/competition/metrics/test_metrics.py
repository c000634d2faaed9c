"""What holds of every metric."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compete.competition.metric_names import metric_info, metric_names
from compete.competition.metrics import METRICS, Metric, Predicted, Truth, find_metric
from compete.competition.task import KINDS, TaskName
from compete.errors import UserError

EVERY_METRIC = [*METRICS.values(), find_metric("map_at_1"), find_metric("map_at_3")]
OF_A_TASK = [(metric, task) for metric in EVERY_METRIC for task in metric.tasks]
every_metric = pytest.mark.parametrize("metric", EVERY_METRIC, ids=lambda metric: metric.name)
of_every_task = pytest.mark.parametrize(
    ("metric", "task"), OF_A_TASK, ids=[f"{metric.name} {task}" for metric, task in OF_A_TASK]
)
LOSSES = ["log_loss", "multiclass_log_loss", "rmse", "mcrmse", "mae", "rmsle"]


def rows_of(metric: Metric, task: TaskName, n_rows: int, seed: int) -> tuple[Truth, Predicted]:
    """Truth of some rows, and what the metric wants of them; every output has two values at least."""
    random = np.random.default_rng(seed)
    if KINDS[task] == "labels":
        truth = (random.random((n_rows, 1 if task == "binary" else 3)) < 0.4).astype(np.int8)
        truth[:2] = np.array([[0], [1]])
        values = np.round(random.random(truth.shape), 1)
        return truth, values if metric.wants == "probabilities" else (values > 0.5).astype(np.int8)
    if KINDS[task] == "classes":
        one_hot = np.eye(3, dtype=np.int8)
        values = random.integers(1, 6, (n_rows, 3)).astype(np.float64)
        shares = values / values.sum(axis=1, keepdims=True)
        truth = one_hot[np.arange(n_rows) % 3]
        return truth, shares if metric.wants == "probabilities" else one_hot[shares.argmax(axis=1)]
    truth, predicted = random.integers(1, 5, (2, n_rows, 2)).astype(np.float32)
    truth[:2] = np.array([[1], [2]])
    return truth, predicted if metric.wants == "decisions" else predicted + random.normal(size=predicted.shape)


def test_every_name_has_its_metric_and_every_metric_its_name() -> None:
    tasks: tuple[TaskName, ...] = get_args(TaskName)
    assert {*METRICS, "map_at_K"} == {name for task in tasks for name in metric_names(task)}
    assert all(metric.name == name for name, metric in METRICS.items())


@every_metric
def test_a_metric_is_what_its_name_says(metric: Metric) -> None:
    info = metric_info(metric.name)
    assert info is not None
    known = (metric.title, metric.tasks, metric.wants, metric.greater_is_better, metric.sign)
    assert known == (info.title, info.tasks, info.wants, info.greater_is_better, info.sign)
    assert find_metric(metric.name) is metric
    assert pickle.loads(pickle.dumps(metric)).name == metric.name


def test_only_losses_and_errors_are_better_when_smaller() -> None:
    better = {name: metric.better(0.6, than=0.5) for name, metric in METRICS.items()}
    worse = {name: metric.better(0.5, than=0.6) for name, metric in METRICS.items()}
    equal = {name: metric.better(0.5, than=0.5) for name, metric in METRICS.items()}
    assert sorted(name for name in METRICS if not better[name]) == sorted(LOSSES)
    assert sorted(name for name in METRICS if worse[name]) == sorted(LOSSES)
    assert not any(equal.values())


def test_thresholds_are_of_decisions_of_labels() -> None:
    per_label = [name for name, metric in METRICS.items() if metric.thresholds == "label"]
    assert sorted(per_label) == ["f1", "f1_macro", "f1_weighted"]
    for metric in EVERY_METRIC:
        of_labels = any(KINDS[task] == "labels" for task in metric.tasks)
        assert (metric.thresholds is not None) == (metric.wants == "decisions" and of_labels), metric.name


def test_bounds() -> None:
    assert {name for name, metric in METRICS.items() if metric.highest == np.inf} == set(LOSSES)
    assert {name for name, metric in METRICS.items() if metric.highest == 1} == set(METRICS) - set(LOSSES)
    signed = {"matthews", "pearson", "spearman", "quadratic_weighted_kappa"}
    assert {name for name, metric in METRICS.items() if metric.lowest == -1} == signed
    assert {name for name, metric in METRICS.items() if metric.lowest == -np.inf} == {"r2"}
    assert {name for name, metric in METRICS.items() if metric.lowest == 0} == set(METRICS) - signed - {"r2"}


def test_a_name_of_no_metric_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="no metric 'f1_makro'; did you mean 'f1_macro'"):
        find_metric("f1_makro")
    for name in ("map_at_0", "map_at_K", "map_at_100"):
        with pytest.raises(UserError, match=f"no metric '{name}'"):
            find_metric(name)


@of_every_task
@settings(max_examples=25, deadline=None)
@given(n_rows=st.integers(3, 40), seed=st.integers(0, 1000))
def test_sums_over_all_rows_give_the_score_and_it_lies_within_its_bounds(
    metric: Metric, task: TaskName, n_rows: int, seed: int
) -> None:
    truth, predicted = rows_of(metric, task, n_rows, seed)
    assert metric.sums is not None and metric.of_sums is not None
    sums = metric.sums(truth, predicted)
    assert sums.shape[0] == n_rows and sums.dtype == np.float64
    score = metric.compute(truth, predicted)
    found = metric.of_sums(np.stack([sums.sum(axis=0)] * 2))
    assert found.shape == (2,)
    assert found == pytest.approx([score] * 2, rel=1e-9, abs=1e-12)
    assert type(score) is float and metric.lowest - 1e-12 <= score <= metric.highest + 1e-12


@of_every_task
def test_the_truth_itself_has_the_best_score(metric: Metric, task: TaskName) -> None:
    truth, predicted = rows_of(metric, task, 30, 0)
    if metric.name in ("f1_samples", "jaccard_samples") or metric.name.startswith("map_at"):
        truth[truth.sum(axis=1) == 0] = 1  # a row without any label counts 0
    best = metric.highest if metric.greater_is_better else metric.lowest
    assert metric.compute(truth, truth) == pytest.approx(best, abs=2e-7)
    assert metric.better(metric.compute(truth, truth), than=metric.compute(truth, predicted))


@of_every_task
def test_the_order_of_rows_changes_nothing(metric: Metric, task: TaskName) -> None:
    truth, predicted = rows_of(metric, task, 30, 0)
    assert metric.compute(truth[::-1], predicted[::-1]) == pytest.approx(metric.compute(truth, predicted))


def test_to_import_the_metrics_imports_no_library_that_computes_them() -> None:
    code = (
        "import sys, compete.competition.metrics; print([name for name in ('sklearn', 'scipy') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
