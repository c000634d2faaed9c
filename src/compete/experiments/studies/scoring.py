"""What a trial is worth: its honest score, and what its models score on the rows that were set aside.

Decisions are fitted as everywhere: for the honest score on the other folds, for rows aside on the out-of-fold
predictions of the study. Nothing is fitted on a row that it scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Metric, f1_per_label
from compete.competition.shape import Targets
from compete.experiments.studies.parts import Part
from compete.experiments.studies.trials import ASIDE, Folds
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.decision_rules import default_rule, fit_rule
from compete.stacking.ensemble.evaluation import decide_by_fold


@dataclass(frozen=True)
class TrialScore:
    """The numbers of a trial."""

    honest: float
    """Of the out-of-fold predictions."""
    one_aside: float | None
    """Of one model on the rows aside, mean over the K models; None where no rows are aside."""
    mean_aside: float | None
    """Of the mean of the K models' predictions."""
    labels: tuple[float, ...]
    """Of every label or class its F1 under honest decisions, of every target its root mean squared error."""
    seconds: float
    """Of all K trainings."""


def score_trial(
    metric: Metric, targets: Targets, folds: Folds, parts: Sequence[Part]
) -> tuple[TrialScore, NDArray[Any]]:
    """The numbers, and what was scored: (n_rows not aside, n_outputs), in the order of the rows.

    targets: (n_train, n_outputs); folds: (n_train,); parts: one per fold. Raises DataError where a
    score is not defined.
    """
    oof = np.full(targets.shape, np.nan, dtype=np.float32)
    aside = np.flatnonzero(folds == ASIDE)
    of_aside = []
    for fold, part in enumerate(parts):
        held_out = folds[part.rows] == fold
        oof[part.rows[held_out]] = part.predictions[held_out]
        of_aside.append(part.predictions[~held_out])
    rows = folds != ASIDE
    truth, known, own = targets[rows], oof[rows], folds[rows]
    rule = default_rule(metric)
    decisions, _ = decide_by_fold(metric, truth, as_it_is(known, own), rule)
    scored = decisions if metric.decides else metric.possible(known)
    one = mean = None
    if len(aside):
        decision = fit_rule(rule, metric, truth, known, own)

        def score(predictions: NDArray[np.float32]) -> float:
            said = decision.decide(predictions) if metric.decides else metric.possible(predictions)
            return metric.compute(targets[aside], said)

        one = float(np.mean([score(each) for each in of_aside]))
        mean = score(np.asarray(np.mean(np.stack(of_aside), axis=0, dtype=np.float64), dtype=np.float32))
    found = TrialScore(
        honest=metric.compute(truth, scored),
        one_aside=one,
        mean_aside=mean,
        labels=tuple(_per_output(metric, truth, decisions).tolist()),
        seconds=float(sum(part.seconds for part in parts)),
    )
    return found, scored


def _per_output(metric: Metric, truth: Targets, decisions: Targets) -> NDArray[np.float64]:
    if metric.kind in ("labels", "classes"):
        return f1_per_label(truth, decisions)
    return np.asarray(np.sqrt(((decisions.astype(np.float64) - truth) ** 2).mean(axis=0)))
