"""When a difference between two arms is called one. Plain arrays; false alarms are measured by
benchmarks/study_false_alarms.py.

Repeats of a study of folds share most of their rows, so that their differences are alike: a plain t-interval over them
is too narrow. Nadeau and Bengio (2003), "Inference for the generalization error", take the variance of the mean as
(1 / R + rows aside / other rows) s² in place of s² / R. What is assumed is that the correlation of two repeats is the
share of rows aside, and that differences are nearly normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
FEWEST_REPEATS = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Of one arm to the reference, greater is better."""

    gain: float
    low: float | None
    """Of the interval; None where there are too few repeats for one."""
    high: float | None
    called: bool
    """Whether it is more than noise."""


def over_repeats(gains: Floats, aside: float, comparisons: int) -> Difference:
    """The mean of paired differences (R,), with the interval of Nadeau and Bengio.

    aside: share of the rows that are set aside in every repeat. comparisons: how many intervals are read together; each
    is wider so that all hold at once in 95 of 100 studies (Bonferroni).
    """
    from scipy.stats import t

    repeats, gain = len(gains), float(np.mean(gains))
    if repeats < FEWEST_REPEATS:
        return Difference(gain, None, None, False)
    variance = (1 / repeats + aside / (1 - aside)) * float(np.var(gains, ddof=1))
    reach = float(t.ppf(1 - (1 - LEVEL) / 2 / comparisons, repeats - 1)) * variance**0.5
    return Difference(gain, gain - reach, gain + reach, bool(abs(gain) > reach))


def over_seeds(
    scores: Floats, reference: Floats, drawn: Floats, noise: float, spread: float, comparisons: int, freedom: int = 1
) -> Difference:
    """The mean difference between an arm and the reference, whose folds and seeds are the same.

    scores, reference: (n_seeds,), greater is better. drawn: differences of resampled rows, (n_draws,), means over the
    seeds. noise: variance between the seeds of one arm. spread: the widest distance between two seeds of one arm.
    freedom: degrees of freedom of the noise; those of the sum are of Welch and Satterthwaite. The interval holds the
    noise of the rows and of the seeds; a difference is called one if it leaves out zero, is wider than the spread, and
    every seed has it in the same direction.
    """
    from scipy.stats import t

    gains = scores - reference
    gain = float(gains.mean())
    of_seeds = 2 * noise / len(gains)
    variance = float(np.var(drawn)) + of_seeds
    degrees = max(freedom, 1) * (variance / of_seeds) ** 2 if of_seeds > 0 else np.inf
    reach = float(t.ppf(1 - (1 - LEVEL) / 2 / comparisons, degrees)) * variance**0.5
    same = bool((gains > 0).all() or (gains < 0).all())
    called = abs(gain) > reach and abs(gain) > spread and same and len(gains) > 1
    return Difference(gain, gain - reach, gain + reach, called)


def seed_noise(scores: Floats) -> tuple[float, float]:
    """Variance between the seeds of one arm, and the widest distance between two; scores: (n_arms, n_seeds)."""
    if scores.shape[1] < 2:
        return 0.0, 0.0
    return float(np.var(scores, axis=1, ddof=1).mean()), float(np.ptp(scores, axis=1).max())
