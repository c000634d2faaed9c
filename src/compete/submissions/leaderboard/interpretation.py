"""What leaderboard scores mean: which gaps are noise, which are not, and whether validation can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.metric_names import metric_info
from compete.score_text import score_text
from compete.submissions.ledger import Entry

# With fewer, a rank correlation is a guess.
FEWEST = 4
_Z = 1.96
_CHANCE = 10  # with so many ranges, one that misses is likely


@dataclass(frozen=True)
class Gap:
    """A submission's public score against its honest one."""

    number: int
    source: str
    validation: float
    public: float
    low: float
    """Where the public score was expected."""
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
        if self.gap == 0:
            return 0.0
        # A 95 % interval is 2 * 1.96 standard errors wide; one without width is surer than anything.
        error = (self.high - self.low) / (2 * 1.96)
        return self.gap / error if error > 0 else math.copysign(math.inf, self.gap)


def gaps(entries: Sequence[Entry]) -> list[Gap]:
    """Of every submission that has a public score and was expected somewhere."""
    found = []
    for entry in entries:
        sent, public = entry.submission, entry.outcome.public
        if public is None or sent.validation is None or sent.public_low is None or sent.public_high is None:
            continue
        found.append(Gap(entry.number, sent.source, sent.validation, public, sent.public_low, sent.public_high))
    return found


def read_scores(entries: Sequence[Entry], own_sign: int | None = None) -> list[str]:
    """Sentences about the ledger, one thought each, leaderboard by leaderboard.

    own_sign: 1 or -1 for a metric of the user's own, whose direction its name does not tell; None: nothing is said that
    depends on it.
    """
    if len({entry.submission.metric for entry in entries}) > 1:
        return ["the submissions were scored by several metrics: look at them one by one"]
    sentences = []
    targets = list(dict.fromkeys(entry.submission.target for entry in entries))
    for target in targets:  # each has rows of its own
        known = [e for e in entries if e.submission.target == target and e.outcome.public is not None]
        if known:
            info = metric_info(known[0].submission.metric)
            sign = own_sign if info is None else info.sign
            told = [*_about_gaps(gaps(known), sign), *_about_ranks(known)]
            told += [] if sign is None else _about_shake_up(known, sign)
            sentences += [f"{target}: {sentence}" for sentence in told] if len(targets) > 1 else told
    return sentences


def _about_gaps(found: Sequence[Gap], sign: int | None) -> list[str]:
    """sign: 1 where higher scores are better, -1 where lower ones are, None where nobody knows."""
    if not found:
        return []
    outside = [gap for gap in found if not gap.is_noise]
    if not outside:
        return [
            f"{_all(len(found), 'public score lies', 'public scores lie')} where the honest score said: the gaps are "
            "what rows drawn by chance make them"
        ]
    names = ", ".join(f"{gap.source} ({_gap_text(gap.gap, gap.validation, sign)})" for gap in outside)
    verb = "is" if len(outside) == 1 else "are"
    text = f"{len(outside)} of {len(found)} gaps {verb} more than noise: {names}"
    if len(found) < FEWEST:
        return [
            f"{text}. Over-fitting to the validation rows or public rows unlike the training rows: so few submissions "
            "cannot tell"
        ]
    # The same public rows score them all: gaps that have one cause move together, and many are no surer than one.
    surprises = np.array([gap.surprises for gap in found])
    same_way = max((surprises > 0).mean(), (surprises < 0).mean())
    if abs(np.median(surprises)) > _Z and same_way >= 0.8:
        middle = float(np.median([gap.gap for gap in found]))
        return [
            f"{text}. {'All' if same_way == 1 else 'Nearly all'} gaps point the same way (median "
            f"{_gap_text(middle, found[0].validation, sign)}): the public rows are unlike the training rows, or every "
            "validation score was made the same wrong way"
        ]
    if len(outside) == 1 and len(found) >= _CHANCE:
        return [f"{text}. One of {len(found)} may be chance: a range misses one score in twenty"]
    others = "" if len(outside) == len(found) else "The others are not off: "
    return [
        f"{text}. {others}look at how these were made or validated. Worse than its range, over-fitting to the "
        "validation rows looks like this; better than it, a validation that was wrong"
    ]


def _gap_text(gap: float, validation: float, sign: int | None) -> str:
    """A gap, and whether the public score is better or worse than the honest one."""
    way = "" if sign is None or gap == 0 else ", better" if sign * gap > 0 else ", worse"
    return score_text(gap, validation, sign=True) + way


def _about_ranks(known: Sequence[Entry]) -> list[str]:
    pairs = [(e.submission.validation, e.outcome.public) for e in known if e.submission.validation is not None]
    if len(pairs) < FEWEST:
        return []
    rho = rank_correlation(np.array(pairs, dtype=np.float64))
    if np.isnan(rho):
        return []
    verdict = (
        "validation orders them as the leaderboard does" if rho > 0 else "validation orders them the wrong way round"
    )
    if abs(rho) * np.sqrt(len(pairs) - 1) < _Z:  # the standard error of rho where there is no order at all
        verdict = "they are too few, or too close to one another, to say whether validation orders them well"
    return [f"rank correlation of validation with public, {len(pairs)} submissions: {rho:.2f}; {verdict}"]


def _about_shake_up(known: Sequence[Entry], sign: int) -> list[str]:
    both = [(e.outcome.public, e.outcome.private, e) for e in known if e.outcome.private is not None]
    if len(both) < 2:
        return []
    from scipy.stats import rankdata

    scores = sign * np.array([[public, private] for public, private, _ in both], dtype=np.float64)
    places = rankdata(-scores, axis=0, method="min").astype(int)
    moved = places[:, 0] - places[:, 1]
    text = f"shake-up among these {len(both)} submissions: "
    if not moved.any():
        return [f"{text}public and private order are the same"]
    most = int(np.abs(moved).argmax())
    entry, rho = both[most][2], rank_correlation(scores)
    told = "" if np.isnan(rho) else f"rank correlation of public with private {rho:.2f}; "
    return [
        f"{text}{told}number {entry.number} ({entry.submission.source}) moved most, from place {places[most, 0]} to "
        f"{places[most, 1]}"
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
