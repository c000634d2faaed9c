"""Which two submissions to select for the private leaderboard: the best, and the best hedge beside it.

What is known of a submission is its honest score, as sure as the training rows are many, and its public score, as
sure as the public rows are many. Both are told together by Gaussians whose covariances are resampled: submissions that
err on the same rows rise and fall together, and hedge each other little. A shift that the test set has for all of them
alike says nothing about their order, and is left free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.metrics import Metric
from compete.competition.shape import Targets
from compete.errors import StoreError, UserError
from compete.oof import store
from compete.stacking.ensemble.resampling import resampled_scores
from compete.submissions.csv_file import predictions_beside
from compete.submissions.leaderboard.expected_ranges import public_rows
from compete.submissions.ledger import Entry

_DRAWS = 20_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Finalist:
    """A submission, and what may be expected of it on the private leaderboard."""

    entry: Entry
    behind: float
    """How far the expected private score stays behind that of the first; then the standard deviation of that."""
    deviation: float
    best: float
    """Probability to be the best of all."""


@dataclass(frozen=True)
class Finalists:
    """Which two to select, and how the others compare."""

    first: Finalist
    """What to select, with the second."""
    second: Finalist
    regret: float
    """How far the better of the two is expected to stay behind the best of all."""
    public_regret: float | None
    """The same for the two with the best public scores."""
    candidates: list[Finalist]
    """All, best first."""
    left_out: Mapping[int, str]
    """Why submissions could not be compared, by number."""


def choose_finalists(competition: Competition, entries: Sequence[Entry]) -> Finalists:
    """Raises UserError if fewer than two submissions can be compared."""
    counted = [e for e in entries if e.outcome.status in ("sent", "scored")]
    read = {entry.number: kept_predictions(competition, entry) for entry in counted}
    predicted = {number: found for number, found in read.items() if not isinstance(found, str)}
    candidates = [entry for entry in counted if entry.number in predicted]
    left_out = {number: why for number, why in read.items() if isinstance(why, str)}
    if len(candidates) < 2:
        raise UserError(
            f"there is nothing to choose from: {len(candidates)} of {len(counted)} submissions have out-of-fold "
            "predictions beside their file (compete writes them when it submits a stack or a base model)"
        )
    n_public = public_rows(competition)
    draws = private_draws(
        competition.metric,
        competition.train_targets,
        [predicted[entry.number] for entry in candidates],
        validation=np.array([entry.submission.validation for entry in candidates], dtype=np.float64),
        public=np.array([np.nan if e.outcome.public is None else e.outcome.public for e in candidates]),
        n_public=n_public,
        n_private=max(1, len(competition.submission_ids) - n_public),
    )
    return _choose(competition.metric, candidates, draws, left_out)


def private_draws(
    metric: Metric,
    truth: Targets,
    predicted: Sequence[NDArray[np.generic]],
    *,
    validation: Floats,
    public: Floats,
    n_public: int,
    n_private: int,
    seed: int = 0,
) -> Floats:
    """Private scores (draws, n_submissions) as they may come out, given what is known.

    truth: (n_rows, n_outputs). predicted: out-of-fold, each of its shape. validation, public: (n_submissions,);
    public is NaN where it is unknown.
    """
    bootstrap = resampled_scores(metric, truth, predicted, seed=seed)
    # Of one training row; so many rows divide it.
    of_a_row = np.atleast_2d(np.cov(bootstrap)) * len(truth)
    # Losses are on any scale, and what counts as 0 here is told on one.
    unit = float(np.sqrt(of_a_row.diagonal().mean())) or 1.0
    of_a_row = of_a_row / unit**2
    mean, covariance = validation / unit, of_a_row / len(truth)
    seen = np.flatnonzero(~np.isnan(public))
    if len(seen) > 1:
        mean, covariance = _given_public(mean, covariance, of_a_row / n_public, public / unit, seen)
    random = np.random.default_rng(seed)
    return unit * random.multivariate_normal(mean, covariance + of_a_row / n_private, size=_DRAWS, method="eigh")


def _given_public(
    mean: Floats, covariance: Floats, noise: Floats, public: Floats, seen: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """The Gaussian of the true scores given the public ones of the submissions `seen`, a Kalman step.

    noise: covariance of public scores around the true ones, (n_submissions, n_submissions). Only how the public scores
    differ from one another is looked at, by the rows of a Helmert matrix: a shift that all have alike may be anything.
    """
    from scipy.linalg import helmert

    contrasts = helmert(len(seen))
    observed = contrasts @ (covariance + noise)[np.ix_(seen, seen)] @ contrasts.T
    gain = covariance[:, seen] @ contrasts.T @ np.linalg.pinv(observed, hermitian=True) @ contrasts
    return mean + gain @ (public[seen] - mean[seen]), covariance - gain @ covariance[seen]


def _choose(metric: Metric, entries: Sequence[Entry], draws: Floats, left_out: Mapping[int, str]) -> Finalists:
    gains = metric.sign * draws
    best = gains.max(axis=1)
    first = int(gains.mean(axis=0).argmax())
    together = np.maximum(gains, gains[:, [first]]).mean(axis=0)
    together[first] = -np.inf
    second = int(together.argmax())
    wins = np.bincount(gains.argmax(axis=1), minlength=len(entries)) / len(gains)
    behind = gains[:, [first]] - gains
    found = [
        Finalist(entry, float(behind[:, i].mean()), float(behind[:, i].std()), float(wins[i]))
        for i, entry in enumerate(entries)
    ]
    by_public = _best_two_by_public(metric, entries)
    return Finalists(
        first=found[first],
        second=found[second],
        regret=float((best - gains[:, [first, second]].max(axis=1)).mean()),
        public_regret=None if by_public is None else float((best - gains[:, by_public].max(axis=1)).mean()),
        candidates=[found[i] for i in np.argsort(-gains.mean(axis=0), kind="stable")],
        left_out=left_out,
    )


def _best_two_by_public(metric: Metric, entries: Sequence[Entry]) -> list[int] | None:
    """What most people select."""
    scored = [(metric.sign * e.outcome.public, -i) for i, e in enumerate(entries) if e.outcome.public is not None]
    return [-place for _, place in sorted(scored, reverse=True)[:2]] if len(scored) >= 2 else None


def kept_predictions(competition: Competition, entry: Entry) -> NDArray[np.float32] | str:
    """Out-of-fold predictions that were kept with a submission, or why there are none of these training rows."""
    sent = entry.submission
    if sent.validation is None or sent.metric != competition.declaration.metric_name:
        return "has no honest score under this metric"
    path = predictions_beside(competition.workspace.submission(sent.file))
    if not path.is_file():
        return f"has no out-of-fold predictions beside it ({path.name})"
    try:
        return store.read_predictions(
            path,
            competition.train_ids,
            competition.labels,
            probabilities=competition.task.gives_probabilities,
        )
    except (OSError, StoreError):
        return f"has damaged out-of-fold predictions, or those of other rows or labels, beside it ({path.name})"
