"""Where the public and the private score of a submission are to be expected, told from its out-of-fold decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.metrics import Metric
from compete.competition.planned import Planned
from compete.competition.shape import Targets
from compete.oof import store
from compete.oof.results import Result
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.evaluation import decide_by_fold
from compete.stacking.ensemble.resampling import interval, resampled_scores

# A test row gets the mean of K models, an out-of-fold row one of them. How much better that is nobody knows before;
# on real tweets it was worth 0.008 to 0.014 of macro-F1 (benchmarks/fold_means.py). Losses have a size of their
# own: of those it is taken as a share.
_MEAN_OF_MODELS = (0.0, 0.015)


@dataclass(frozen=True)
class Expected:
    """Ranges that hold the score in 95 of 100 cases if test rows are drawn as the training rows are."""

    public: tuple[float, float]
    private: tuple[float, float]


def out_of_fold_predictions(planned: Planned, result: Result) -> NDArray[Any]:
    """What the source says of the training rows, (n_rows, n_labels): decisions by thresholds fitted on other folds, or
    what the metric scores in their place.
    """
    competition, metric = planned.competition, planned.competition.metric
    oof = store.read_model(result.folder, competition.shape).oof
    if not metric.decides:
        return metric.possible(oof)
    return decide_by_fold(metric, competition.train_targets, as_it_is(oof, planned.plan.folds), result.rule)[0]


def public_rows(competition: Competition) -> int:
    """Rows of the test set that the public leaderboard scores."""
    fraction = competition.declaration.submission.public_fraction
    return max(1, round(fraction * len(competition.submission_ids)))


def expected_ranges(
    metric: Metric, labels: Targets, predicted: NDArray[Any], honest: float, n_public: int, n_private: int
) -> Expected:
    """predicted: out-of-fold, (n_rows, n_labels); honest: the score that the ranges lie around."""

    def around(n_rows: int) -> tuple[float, float]:
        draws = resampled_scores(metric, labels, [predicted], new_rows=max(1, n_rows))[0]
        gains = np.random.default_rng(1).uniform(*_MEAN_OF_MODELS, size=len(draws))
        in_its_own_size = not np.isfinite(metric.highest)
        draws += metric.sign * gains * (abs(honest) if in_its_own_size else 1.0)
        # Not their mean: with few rows a rare label may have no positive, and macro-F1 is lower for that.
        low, high = interval(draws + honest - metric.compute(labels, predicted))
        return max(low, metric.lowest), min(high, metric.highest)

    return Expected(around(n_public), around(n_private))
