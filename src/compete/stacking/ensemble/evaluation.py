"""Honest scores: nothing that scores a row was fitted on it. How that is brought about is in `cross_fitting`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import (
    Labels,
    Metric,
    Probabilities,
    f1_per_label,
    precision_recall_per_label,
)
from compete.competition.rule_names import RuleName
from compete.competition.shape import Targets
from compete.competition.task import are_probabilities
from compete.stacking.ensemble.class_offsets import highest
from compete.stacking.ensemble.cross_fitting import CrossFit
from compete.stacking.ensemble.decision_rules import Decision, default_rule, fit_rule
from compete.stacking.ensemble.resampling import TAILS, interval, resampled_gain, resampled_scores
from compete.stacking.ensemble.thresholds import DEFAULT, decide


@dataclass(frozen=True)
class PerLabel:
    """Every label under the honest decisions, each (n_labels,), means over the repeats."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    threshold: NDArray[np.float64]
    """For the test set, NaN for a rule without thresholds."""
    threshold_spread: NDArray[np.float64]
    """Standard deviation of the thresholds over folds and repeats."""
    gain: NDArray[np.float64]
    """F1 more than with a threshold of 0.5, or than where the most probable class is taken; then its interval."""
    gain_low: NDArray[np.float64]
    gain_high: NDArray[np.float64]


@dataclass(frozen=True)
class PerTarget:
    """Every target under the honest predictions, decided where the metric scores decisions; each (n_targets,), means
    over the repeats."""

    rmse: NDArray[np.float64]
    mae: NDArray[np.float64]
    pearson: NDArray[np.float64]
    """0 where the predictions are constant."""
    bias: NDArray[np.float64]
    """Predicted minus true, on average."""
    right: NDArray[np.float64]
    """Share of rows that are given their very grade; NaN of numbers."""


@dataclass(frozen=True)
class Evaluation:
    """How good probabilities are, told honestly."""

    metric: Metric
    honest: float
    """The metric over all rows, every row decided by thresholds (and a meta-learner) that never saw it, mean over the
    repeats."""
    naive: float
    """Everything fitted on all rows and scored on the same rows."""
    repeats: tuple[float, ...]
    """The score of each."""
    draws: NDArray[np.float64]
    """Of a paired bootstrap, (n_draws,); the same draw of two evaluations has the same rows."""
    predicted: list[NDArray[Any]]
    """What was scored in every repeat, honest decisions, or what the metric wants in their place."""
    labels: PerLabel
    """Of labels and classes; empty of numbers and grades."""
    decision: Decision
    """Fitted on all rows, for the test set."""
    targets: PerTarget | None = None
    """Of numbers and grades."""

    @property
    def interval(self) -> tuple[float, float]:
        return interval(self.draws)


def evaluate(
    metric: Metric,
    labels: Targets,
    fits: Sequence[CrossFit],
    naive: Probabilities,
    rule: RuleName | None = None,
) -> Evaluation:
    """Score cross-fitted probabilities, one CrossFit per repeat.

    naive: probabilities (n_rows, n_labels) of what was fitted on all rows. rule: default_rule of the metric by default.
    """
    rule = rule or default_rule(metric)
    decided = [decide_by_fold(metric, labels, fit, rule) for fit in fits]
    predicted = [
        decisions if metric.decides else metric.possible(fit.outer)
        for fit, (decisions, _) in zip(fits, decided, strict=True)
    ]
    scores = tuple(metric.compute(labels, each) for each in predicted)
    in_sample = fit_rule(rule, metric, labels, naive, fits[0].folds).decide(naive)
    # A learner of few parameters hardly fits its own rows, and is cut under the very weights that will be used. Any
    # other is cut where it puts rows that it did not see.
    decision = fit_rule(rule, metric, labels, naive if fits[0].few_parameters else fits[0].outer, fits[0].folds)
    of_numbers = not are_probabilities(metric.kind)
    return Evaluation(
        metric=metric,
        honest=float(np.mean(scores)),
        naive=metric.compute(labels, in_sample if metric.decides else naive),
        repeats=scores,
        draws=resampled_scores(metric, labels, predicted).mean(axis=0),
        predicted=predicted,
        labels=PerLabel(*[np.empty(0)] * 8) if of_numbers else _per_label(metric, labels, fits, decided, decision),
        targets=_per_target(metric, labels, predicted) if of_numbers else None,
        decision=decision,
    )


def decide_by_fold(metric: Metric, labels: Targets, fit: CrossFit, rule: RuleName) -> tuple[Targets, list[Decision]]:
    """Decisions of every row by a rule fitted on the other folds, and those rules."""
    decisions, rules = np.empty(labels.shape, dtype=labels.dtype), []
    for fold, known in enumerate(fit.inner):
        others, held_out = fit.folds != fold, fit.folds == fold
        rules.append(fit_rule(rule, metric, labels[others], known[others], fit.folds[others]))
        decisions[held_out] = rules[-1].decide(fit.outer[held_out])
    return decisions, rules


def score_where_worth(metric: Metric, labels: Labels, fits: Sequence[CrossFit]) -> float:
    """The honest score with thresholds for the labels that are worth it and 0.5 for the others, chosen inside."""
    decided = [decide_by_fold(metric, labels, fit, "where_worth")[0] for fit in fits]
    return float(np.mean([metric.compute(labels, each) for each in decided]))


def _per_target(metric: Metric, truth: Targets, predicted: Sequence[NDArray[Any]]) -> PerTarget:
    y = truth.astype(np.float64)
    centred = y - y.mean(axis=0)
    rows = []
    for each in predicted:
        x = np.asarray(each, dtype=np.float64)
        error, spread = x - y, x - x.mean(axis=0)
        norm = np.sqrt((spread**2).sum(axis=0) * (centred**2).sum(axis=0))
        pearson = np.divide((spread * centred).sum(axis=0), norm, out=np.zeros(y.shape[1]), where=norm > 0)
        right = (x == y).mean(axis=0) if metric.kind == "grades" and metric.decides else np.full(y.shape[1], np.nan)
        rows.append((np.sqrt((error**2).mean(axis=0)), np.abs(error).mean(axis=0), pearson, error.mean(axis=0), right))
    return PerTarget(*np.mean(rows, axis=0))


def _per_label(
    metric: Metric,
    labels: Labels,
    fits: Sequence[CrossFit],
    decided: Sequence[tuple[Targets, list[Decision]]],
    decision: Decision,
) -> PerLabel:
    measured = [(*precision_recall_per_label(labels, d), f1_per_label(labels, d)) for d, _ in decided]
    precision, recall, f1 = np.mean(measured, axis=0)
    plain = np.zeros(labels.shape[1]) if metric.kind == "classes" else np.full(labels.shape[1], DEFAULT)
    halves = [(highest if metric.kind == "classes" else decide)(fit.outer, plain) for fit in fits]
    gain = f1 - np.mean([f1_per_label(labels, half) for half in halves], axis=0)
    drawn = resampled_gain(labels, [decisions for decisions, _ in decided], halves)
    low, high = np.quantile(drawn, TAILS, axis=0)
    nothing = np.full(labels.shape[1], np.nan)
    cuts = [rule.thresholds for _, rules in decided for rule in rules if rule.thresholds is not None]
    return PerLabel(
        precision=precision,
        recall=recall,
        f1=f1,
        threshold=nothing if decision.thresholds is None else decision.thresholds,
        threshold_spread=np.std(cuts, axis=0) if cuts else nothing,
        gain=gain,
        gain_low=low,
        gain_high=high,
    )
