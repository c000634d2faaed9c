"""Which of several models, stacks or submissions is better, how surely, and on which outputs and rows they part.

All are scored on the same rows, row by row under what was fitted on other folds, and resampled together (a paired
bootstrap): what all find easy or hard has no part in a difference. Of several pairs one is better by luck sooner than
of one, so that their p-values are corrected by Holm's step-down method (Holm 1979), which holds for pairs that share a
model too. How often that errs is measured by benchmarks/compare_false_alarms.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.metrics import METRICS, Metric, f1_per_label
from compete.competition.planned import Planned
from compete.competition.shape import Targets
from compete.competition.task import are_probabilities
from compete.errors import UserError
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.decision_rules import default_rule
from compete.stacking.ensemble.evaluation import decide_by_fold
from compete.stacking.ensemble.resampling import interval, resampled_label_f1, resampled_scores
from compete.stacking.inventory import Inventory
from compete.submissions.leaderboard.expected_ranges import out_of_fold_predictions, public_rows
from compete.submissions.leaderboard.finalists import kept_predictions, private_draws
from compete.submissions.ledger import Entry

# A difference counts as one where it would come about by luck less often than this, all pairs together.
LEVEL = 0.05
# Every pair is a row of a table, and a model has a column of draws.
MOST = 30

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contestant:
    """What is compared, as it speaks of the training rows."""

    name: str
    kind: Literal["base model", "stack", "submission"]
    predicted: NDArray[Any]
    """Out of fold, (n_rows, n_outputs): decisions, or what the metric scores in their place."""
    decided: NDArray[Any]
    """The same, decided where the task can be: 0/1, one-hot of classes, grades; numbers as they are."""
    honest: float
    public: float | None = None
    """Its public score, of submissions."""


@dataclass(frozen=True)
class Difference:
    """How far the first of two is ahead of the second: a positive number is a higher score (or loss)."""

    value: float
    low: float
    """Of the 95 % interval."""
    high: float
    p: float
    """How often luck alone makes a difference as great, if there is none (two-sided)."""
    corrected: float
    """The same after Holm's correction for all that were looked at together."""

    @property
    def surely(self) -> bool:
        return self.corrected < LEVEL


@dataclass(frozen=True)
class OutputDifference:
    """Two contestants on one label, class or target: F1, or RMSE of numbers and grades."""

    name: str
    first: float
    second: float
    difference: Difference
    """Corrected for all outputs of the pair."""


@dataclass(frozen=True)
class RowApart:
    """A row on which one of two is right and the other is not."""

    row: int
    """Its place among the training rows, from 0."""
    id: str
    text: str
    true: str
    first: str
    """What the first of the two says of it; then the second."""
    second: str
    errors: tuple[float, float]
    """How wrong both are: outputs that are wrong; of numbers and grades, mean distance in standard deviations of the
    targets; of probabilities, their summed distance from 0 and 1."""


@dataclass(frozen=True)
class Pair:
    """Two contestants."""

    first: str
    second: str
    difference: Difference
    """Of their honest scores, corrected for all pairs."""
    better: float
    """Chance that the first has the better score on the private leaderboard; of equal ones half."""
    outputs: list[OutputDifference]
    rows: list[RowApart]
    """The first is right and the second wrong, the worst first; then the other way round."""


@dataclass(frozen=True)
class Compared:
    """Several contestants, and every pair of them, the better one first."""

    metric: Metric
    contestants: list[Contestant]
    """The best honest score first."""
    pairs: list[Pair]
    """The best with the second, the best with the third, ..., the last two."""
    n_private: int
    """Rows that the chance to be better is told for."""


def find_contestants(planned: Planned, names: Sequence[str], entries: Sequence[Entry]) -> list[Contestant]:
    """The stacks, base models and submissions of these names, a submission's number or the name of its file.

    Raises UserError for fewer than two, for one that is named twice and for what is stale, damaged or of another plan.
    """
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice: a model does not differ from itself")
    if not 2 <= len(names) <= MOST:
        raise UserError(f"{len(names)} to compare: name from 2 to {MOST} base models, stacks or submissions")
    results = Inventory(planned)
    by_name = {key: entry for entry in entries for key in (str(entry.number), entry.submission.file)}
    numbers = [by_name[name].number for name in names if name in by_name]
    if len(set(numbers)) < len(numbers):
        raise UserError("a submission is named twice, by its number and by its file: it does not differ from itself")
    return [_contestant(planned, results, name, by_name.get(name)) for name in names]


def _contestant(planned: Planned, results: Inventory, name: str, entry: Entry | None) -> Contestant:
    known = name in results.stack_names or name in results.states
    if entry is not None and not known:
        return _submitted(planned, name, entry)
    if not known and (name.isdecimal() or name.lower().endswith(".csv")):
        raise UserError(f"no submission {name} is in the ledger: `compete scores` lists them")
    found = results.find(name)
    predicted = out_of_fold_predictions(planned, found)
    return Contestant(name, found.kind, predicted, _decided(planned, predicted), found.score.honest)


def _submitted(planned: Planned, name: str, entry: Entry) -> Contestant:
    predicted = kept_predictions(planned.competition, entry)
    sent = entry.submission
    if isinstance(predicted, str):
        raise UserError(f"submission {name} ({sent.source}) {predicted}")
    if sent.fold_plan != planned.plan.fingerprint:
        raise UserError(
            f"submission {name} ({sent.source}) was made under another fold plan or other training rows than there are "
            "now: its out-of-fold predictions cannot be compared with those of today"
        )
    assert sent.validation is not None  # there would be no predictions
    if planned.competition.metric.decides:
        predicted = predicted.astype(planned.competition.train_targets.dtype)
    return Contestant(
        name, "submission", predicted, _decided(planned, predicted), sent.validation, entry.outcome.public
    )


def _decided(planned: Planned, predicted: NDArray[Any]) -> NDArray[Any]:
    metric = planned.competition.metric
    if metric.decides or not planned.competition.task.gives_probabilities:
        return predicted
    fit = as_it_is(predicted, planned.plan.folds)
    return decide_by_fold(metric, planned.competition.train_targets, fit, default_rule(metric))[0]


def compare(competition: Competition, contestants: Sequence[Contestant], rows: int = 5) -> Compared:
    """Every pair of the contestants; rows: how many at most to show for each of the two sides."""
    metric, truth = competition.metric, competition.train_targets
    ranked = sorted(contestants, key=lambda each: -metric.sign * each.honest)
    scores = resampled_scores(metric, truth, [each.predicted for each in ranked])
    honest = np.array([each.honest for each in ranked])
    places = list(combinations(range(len(ranked)), 2))
    differences = corrected([(honest[a] - honest[b], scores[a] - scores[b]) for a, b in places])
    n_public = public_rows(competition)
    n_private = max(1, len(competition.submission_ids) - n_public)
    private = metric.sign * private_draws(
        metric,
        truth,
        [each.predicted for each in ranked],
        validation=honest,
        public=np.array([np.nan if each.public is None else each.public for each in ranked]),
        n_public=n_public,
        n_private=n_private,
    )
    outputs = _Outputs(competition, ranked)
    pairs = [
        Pair(
            ranked[a].name,
            ranked[b].name,
            difference,
            chance_to_be_better(private[:, a] - private[:, b]),
            outputs.between(a, b),
            rows_apart(competition, ranked[a], ranked[b], rows),
        )
        for (a, b), difference in zip(places, differences, strict=True)
    ]
    return Compared(metric, ranked, pairs, n_private)


def chance_to_be_better(ahead: Floats) -> float:
    """Share of the draws (n,) that are ahead; where both are equal but for rounding, half."""
    nothing = np.abs(ahead) <= 1e-9
    return float((ahead[~nothing] > 0).sum() + nothing.sum() / 2) / len(ahead)


def corrected(found: Sequence[tuple[float, Floats]]) -> list[Difference]:
    """Differences and their draws (n_draws,), with intervals that lie around the difference, and p-values after Holm's
    correction for all of them."""
    centred = [draws - draws.mean() + value for value, draws in found]
    p = [p_value(value, float(draws.std())) for value, draws in found]
    return [
        Difference(value, *interval(draws), raw, after)
        for (value, _), draws, raw, after in zip(found, centred, p, holm(p), strict=True)
    ]


def p_value(difference: float, deviation: float) -> float:
    """Of a difference with this standard error under a Gaussian, two-sided; 1 where there is none."""
    from scipy.stats import norm

    if deviation <= 0:
        return 1.0
    return float(2 * norm.sf(abs(difference) / deviation))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values: the chance of any false alarm among all is at most the level they are compared with (Holm
    1979, A simple sequentially rejective multiple test procedure)."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * np.asarray(p, dtype=np.float64)[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, steps)
    return [float(each) for each in adjusted]


class _Outputs:
    """How two contestants differ output by output; resampled once for all of them."""

    def __init__(self, competition: Competition, contestants: Sequence[Contestant]) -> None:
        self.names = competition.labels
        truth, decided = competition.train_targets, [each.decided for each in contestants]
        if are_probabilities(competition.task.kind):
            self.values = np.stack([f1_per_label(truth, each) for each in decided])
            self.draws = resampled_label_f1(truth, decided)
        else:
            self.values, self.draws = _rmse(truth, decided)

    def between(self, first: int, second: int) -> list[OutputDifference]:
        values, draws = self.values[[first, second]], self.draws[first] - self.draws[second]
        apart = corrected([(float(v), d) for v, d in zip(values[0] - values[1], draws.T, strict=True)])
        return [
            OutputDifference(name, float(values[0, i]), float(values[1, i]), apart[i])
            for i, name in enumerate(self.names)
        ]


def _rmse(truth: Targets, predicted: Sequence[NDArray[Any]]) -> tuple[Floats, Floats]:
    """RMSE of every target, (n, n_targets), and of resampled rows, (n, draws, n_targets)."""
    metric = METRICS["rmse"]
    columns = [[slice(i, i + 1)] for i in range(truth.shape[1])]
    values = [[metric.compute(truth[:, c], each[:, c]) for (c,) in columns] for each in predicted]
    draws = [resampled_scores(metric, truth[:, c], [each[:, c] for each in predicted]) for (c,) in columns]
    return np.array(values), np.stack(draws, axis=2)


def row_errors(competition: Competition, of: Contestant) -> Floats:
    """How wrong every row is, (n_rows,), as `RowApart.errors` says."""
    truth = competition.train_targets.astype(np.float64)
    kind = competition.task.kind
    wrong = np.abs(of.predicted.astype(np.float64) - truth)
    if not are_probabilities(kind):
        spread = truth.std(axis=0)
        return np.asarray((wrong / np.where(spread > 0, spread, 1.0)).mean(axis=1))
    # Of classes a mistake is in two cells, the one that is true and the one that is said.
    return np.asarray(wrong.sum(axis=1) / (2 if kind == "classes" else 1))


def rows_apart(competition: Competition, first: Contestant, second: Contestant, most: int) -> list[RowApart]:
    """Rows where the second errs by more than the first, then rows where the first does; at most so many of each."""
    errors = row_errors(competition, first), row_errors(competition, second)
    ahead = errors[1] - errors[0]
    unlike = (first.decided != second.decided).sum(axis=1)
    found = []
    for sign in (1, -1):
        # Of rows alike in that, those first on which more of what was said differs.
        order = np.lexsort((-unlike, -sign * ahead))
        found += [int(row) for row in order[:most] if sign * ahead[row] > 1e-9]
    return [
        RowApart(
            row=row,
            id=competition.train_ids[row],
            text=competition.train_texts[row],
            true=_said(competition, competition.train_targets[row]),
            first=_said(competition, first.decided[row]),
            second=_said(competition, second.decided[row]),
            errors=(float(errors[0][row]), float(errors[1][row])),
        )
        for row in found
    ]


def _said(competition: Competition, values: NDArray[Any]) -> str:
    """Labels that are given, or numbers, in words."""
    if are_probabilities(competition.task.kind):
        return ", ".join(name for name, on in zip(competition.labels, values, strict=True) if on) or "none"
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(competition.labels, values, strict=True))
