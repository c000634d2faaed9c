"""What leaderboard scores mean: which gaps are noise, which are not, and whether validation can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS
from compete.submissions.ledger import Entry

# With fewer, a rank correlation is a guess.
FEWEST = 4


@dataclass(frozen=True)
class Gap:
    """A submission's public score against its honest one. low, high: where the public score was expected."""

    number: int
    source: str
    validation: float
    public: float
    low: float
    high: float

    @property
    def gap(self) -> float:
        return self.public - self.validation

    @property
    def is_noise(self) -> bool:
        """Whether rows drawn by chance explain it."""
        return self.low <= self.public <= self.high

    @property
    def surprises(self) -> float:
        """The gap in standard errors."""
        return self.gap / max((self.high - self.low) / (2 * 1.96), 1e-12)


def gaps(entries: Sequence[Entry]) -> list[Gap]:
    """Of every submission that has a public score and was expected somewhere."""
    found = []
    for entry in entries:
        sent, public = entry.submission, entry.outcome.public
        if public is None or sent.validation is None or sent.public_low is None or sent.public_high is None:
            continue
        found.append(Gap(entry.number, sent.source, sent.validation, public, sent.public_low, sent.public_high))
    return found


def read_scores(entries: Sequence[Entry]) -> list[str]:
    """Sentences about the ledger, one thought each; entries must share a metric to be compared."""
    metrics = {entry.submission.metric for entry in entries}
    if len(metrics) != 1:
        return ["the submissions were scored by several metrics: look at them one by one"] if metrics else []
    higher = METRICS[metrics.pop()].greater_is_better
    known = [entry for entry in entries if entry.outcome.public is not None]
    return [*_about_gaps(gaps(entries)), *_about_ranks(known), *_about_shake_up(known, higher)]


def _about_gaps(found: Sequence[Gap]) -> list[str]:
    if not found:
        return []
    outside = [gap for gap in found if not gap.is_noise]
    if not outside:
        return [
            f"{_all(len(found), 'public score lies', 'public scores lie')} where the honest score said: the gaps are "
            "what rows drawn by chance make them"
        ]
    names = ", ".join(f"{gap.source} ({gap.gap:+.4f})" for gap in outside)
    text = f"{len(outside)} of {len(found)} gaps are more than noise: {names}"
    # The same public rows score them all: gaps that have one cause move together, and their mean is no surer than one.
    mean = float(np.mean([gap.surprises for gap in found]))
    spread = float(np.std([gap.surprises for gap in found]))
    same_way = len({gap.gap > 0 for gap in found}) == 1
    if len(found) >= FEWEST and same_way and abs(mean) > max(1.96, spread):
        return [
            f"{text}. All gaps point the same way (mean {np.mean([gap.gap for gap in found]):+.4f}): the public rows "
            "are unlike the training rows, or every validation score was made the same wrong way"
        ]
    return [
        f"{text}. {'' if len(outside) == len(found) else 'The others are not off, so it '}"
        f"{'That ' if len(outside) == len(found) else ''}lies in how these were made or validated: below its range, "
        "over-fitting to the validation rows looks like this; above it, a validation that was wrong"
    ]


def _about_ranks(known: Sequence[Entry]) -> list[str]:
    pairs = [(e.submission.validation, e.outcome.public) for e in known if e.submission.validation is not None]
    if len(pairs) < FEWEST:
        return []
    rho = rank_correlation(np.array(pairs, dtype=np.float64))
    if np.isnan(rho):
        return []
    verdict = "validation ranks as the leaderboard does" if rho > 0.7 else "validation ranks them only loosely"
    verdict = "validation says little about the order" if rho < 0.3 else verdict
    return [f"rank correlation of validation with public, {len(pairs)} submissions: {rho:.2f}; {verdict}"]


def _about_shake_up(known: Sequence[Entry], higher: bool) -> list[str]:
    both = [(e.outcome.public, e.outcome.private, e) for e in known if e.outcome.private is not None]
    if len(both) < 2:
        return []
    scores = np.array([[public, private] for public, private, _ in both], dtype=np.float64) * (1 if higher else -1)
    places = (-scores).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") + 1
    moved = places[:, 0] - places[:, 1]
    text = f"shake-up over {len(both)} submissions: "
    if not moved.any():
        return [f"{text}public and private order are the same"]
    most = int(np.abs(moved).argmax())
    entry = both[most][2]
    rho = rank_correlation(scores)
    return [
        f"{text}rank correlation of public with private {rho:.2f}; number {entry.number} ({entry.submission.source}) "
        f"moved most, from place {places[most, 0]} to {places[most, 1]}"
    ]


def rank_correlation(pairs: NDArray[np.float64]) -> float:
    """Spearman's rho of (n, 2) values; NaN if one of the columns is constant."""
    from scipy.stats import rankdata

    ranks = np.column_stack([rankdata(pairs[:, 0]), rankdata(pairs[:, 1])])
    if (np.ptp(ranks, axis=0) == 0).any():
        return float("nan")
    return float(np.corrcoef(ranks.T)[0, 1])


def _all(count: int, one: str, many: str) -> str:
    return f"the {one}" if count == 1 else f"all {count} {many}"
