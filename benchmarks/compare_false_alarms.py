"""How far `compete compare` can be believed: intervals, p-values, and the chance to be better.

    python benchmarks/compare_false_alarms.py [--simulations 200] [--shapes few many]

By default 1,000 simulations of few and 70 of many, a quarter of an hour of one core.

Labels and scores are made up, so that what is true is known and new rows can be drawn at will. Two unlike kinds: few
(2,000 rows, 3 labels that a fifth of the rows have) and many (50,000 rows, 28 labels that 3 of 100 have). A model's
score of a label is the label times its quality, plus noise of which half the variance is shared by all models. In every
simulation six models are compared as compete does it, thresholds fitted on other folds: four of equal quality, one that
is surely worse, and one whose quality is drawn anew, so that the best of two is not known.

    interval     of the difference to the one that is worse: holds the mean difference over all simulations
    equal        pairs of the four equal ones that are called different before the correction, at 5 %
    family       simulations in which any pair of the four is called different after Holm's correction
    found        simulations in which the one that is worse is called different from the first, after the correction
    calibration  new rows are drawn as a private leaderboard: of the pairs whose better one was given a chance of 50 to
                 70, 70 to 90, 90 to 100 %, how often it was better; beside the mean chance that was given
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS
from compete.experiments.comparing import chance_to_be_better, corrected
from compete.logits import sigmoid
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.decision_rules import default_rule, fit_rule
from compete.stacking.ensemble.evaluation import decide_by_fold
from compete.stacking.ensemble.resampling import resampled_scores
from compete.submissions.leaderboard.finalists import private_draws

F1 = METRICS["f1_macro"]
EQUAL = 4
QUALITY, SHARED = 1.5, 0.5
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    rows: int
    labels: int
    rate: float
    private: int
    worse: float
    """By how much the quality of the one that is surely worse is lower."""
    spread: float
    """Standard deviation of the quality that is drawn."""
    simulations: int


SHAPES = {
    "few": Shape(2_000, 3, 0.2, 1_000, 0.2, 0.15, 1_000),
    "many": Shape(50_000, 28, 0.03, 10_000, 0.04, 0.03, 70),
}


@dataclass(frozen=True)
class Seen:
    """What a simulation showed."""

    difference: tuple[float, float, float]
    """Of the first and the one that is worse, with its interval."""
    raw: list[float]
    """p-values of the pairs of equal models; then the same corrected."""
    holm: list[float]
    found: bool
    chance: float
    """That the first is better than the one whose quality is drawn; then whether it was."""
    was: float


def drawn(shape: Shape, rows: int, qualities: Floats, random: np.random.Generator) -> tuple[NDArray[np.int8], Floats]:
    """Labels (rows, n_labels) and probabilities (n_models, rows, n_labels)."""
    labels = (random.random((rows, shape.labels)) < shape.rate).astype(np.int8)
    shared = random.normal(size=labels.shape, scale=np.sqrt(SHARED))
    own = random.normal(size=(len(qualities), *labels.shape), scale=np.sqrt(1 - SHARED))
    return labels, sigmoid(1.5 * (qualities[:, None, None] * labels + shared + own) - 2).astype(np.float32)


def simulate(shape: Shape, seed: int) -> Seen:
    random = np.random.default_rng(seed)
    qualities = np.full(EQUAL + 2, QUALITY)
    qualities[EQUAL] -= shape.worse
    qualities[EQUAL + 1] += random.normal(scale=shape.spread)
    labels, probabilities = drawn(shape, shape.rows, qualities, random)
    folds, rule = (random.permutation(shape.rows) % 5).astype(np.int16), default_rule(F1)
    decided = [decide_by_fold(F1, labels, as_it_is(each, folds), rule)[0] for each in probabilities]
    honest = np.array([F1.compute(labels, each) for each in decided])
    scores = resampled_scores(F1, labels, decided)
    pairs = [(a, b) for a in range(EQUAL) for b in range(a)]
    of_equal = corrected([(honest[a] - honest[b], scores[a] - scores[b]) for a, b in pairs])
    # As in a call that compares the four and the worse one: all pairs are corrected for together.
    others = [(a, EQUAL) for a in range(EQUAL)]
    of_all = corrected([(honest[a] - honest[b], scores[a] - scores[b]) for a, b in [*others, *pairs]])
    two = [0, EQUAL + 1]
    private = private_draws(
        F1,
        labels,
        [decided[i] for i in two],
        validation=honest[two],
        public=np.full(2, np.nan),
        n_public=shape.private,
        n_private=shape.private,
    )
    new, of_new = drawn(shape, shape.private, qualities[two], random)
    rules = [fit_rule(rule, F1, labels, probabilities[i], folds) for i in two]
    came = [F1.compute(new, cut.decide(each)) for cut, each in zip(rules, of_new, strict=True)]
    return Seen(
        (of_all[0].value, of_all[0].low, of_all[0].high),
        [each.p for each in of_equal],
        [each.corrected for each in of_equal],
        of_all[0].surely,
        chance_to_be_better(private[:, 0] - private[:, 1]),
        float(came[0] > came[1]) if came[0] != came[1] else 0.5,
    )


def calibration(seen: list[Seen]) -> str:
    """Of every range of chances the mean that was given, how often it came so, and of how many."""
    given = np.array([max(each.chance, 1 - each.chance) for each in seen])
    was = np.array([each.was if each.chance >= 0.5 else 1 - each.was for each in seen])
    cells = []
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        inside = (given >= low) & (given < high)
        cells.append(f"{given[inside].mean():.2f}: {was[inside].mean():.2f} of {inside.sum()}" if inside.any() else "-")
    return " | ".join(cells)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, help="in place of as many as each shape is given time for")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    options = parser.parse_args()
    print("| rows | labels | interval | equal | family | found | 50 to 70 % | 70 to 90 % | 90 to 100 % | runs | s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in options.shapes:
        shape, began = SHAPES[name], time.process_time()
        seen = [simulate(shape, seed) for seed in range(options.simulations or shape.simulations)]
        value, low, high = np.array([each.difference for each in seen]).T
        held = ((low <= value.mean()) & (value.mean() <= high)).mean()
        alarms = np.mean([np.mean(np.array(each.raw) < 0.05) for each in seen])
        family = np.mean([min(each.holm) < 0.05 for each in seen])
        found = np.mean([each.found for each in seen])
        print(
            f"| {shape.rows:,} | {shape.labels} | {held:.3f} | {alarms:.3f} | {family:.3f} | {found:.2f} | "
            f"{calibration(seen)} | {len(seen)} | {time.process_time() - began:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
