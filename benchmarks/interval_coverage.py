"""How often the interval of an honest score, and the range promised for new rows, hold what they are meant to hold.

    python benchmarks/interval_coverage.py [--simulations 200]

Labels and scores are made up (a positive's score is drawn from N(1.5, 1), another's from N(0, 1)), so that new rows can
be drawn at will. A simulation cross-fits thresholds on so many rows as compete does, and gives an honest macro-F1 with
its interval and the range for as many new rows. Then new rows are drawn and cut at the thresholds of all rows.

    interval    holds the mean over all simulations of what new rows of that number score
    range       holds the score of the new rows of its own simulation
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels
from compete.logits import sigmoid
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.evaluation import evaluate
from compete.stacking.ensemble.resampling import interval, resampled_scores

SHAPES = [
    (11, 2000, 0.1),
    (11, 8000, 0.1),
    (28, 2000, 0.03),
    (28, 50_000, 0.03),
    (200, 2000, 0.05),
    (200, 2000, 0.02),
    (200, 2000, 0.004),
]
F1 = METRICS["f1_macro"]


def drawn(n_rows: int, n_labels: int, rate: float, random: np.random.Generator) -> tuple[Labels, NDArray[np.float32]]:
    """Labels, every one with a row at least in every fold, and probabilities."""
    labels = (random.random((n_rows, n_labels)) < rate).astype(np.int8)
    for label in range(n_labels):
        if labels[:, label].sum() < 5:
            labels[random.choice(n_rows, 5, replace=False), label] = 1
    scores = random.normal(size=labels.shape) + 1.5 * labels
    return labels, sigmoid(1.5 * scores - 2).astype(np.float32)


def simulate(n_labels: int, n_rows: int, rate: float, seed: int) -> tuple[float, ...]:
    """Honest score, its interval, the range for new rows, and the score of new rows."""
    random = np.random.default_rng(seed)
    labels, probabilities = drawn(n_rows, n_labels, rate, random)
    folds = (random.permutation(n_rows) % 5).astype(np.int16)
    found = evaluate(F1, labels, [as_it_is(probabilities, folds)], probabilities)
    draws = resampled_scores(F1, labels, found.predicted, new_rows=n_rows)[0]
    new, new_probabilities = drawn(n_rows, n_labels, rate, random)
    return (found.honest, *found.interval, *interval(draws), F1.compute(new, found.decision.decide(new_probabilities)))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=200)
    count = parser.parse_args().simulations
    print("| labels | rows | rate | honest, mean | new rows, mean | interval | range | simulations |")
    print("|---|---|---|---|---|---|---|---|")
    for n_labels, n_rows, rate in SHAPES:
        of_shape = max(20, count // 4) if n_labels * n_rows > 1_000_000 else count
        found = np.array([simulate(n_labels, n_rows, rate, seed) for seed in range(of_shape)])
        honest, low, high, range_low, range_high, new = found.T
        in_interval = ((low <= new.mean()) & (new.mean() <= high)).mean()
        in_range = ((range_low <= new) & (new <= range_high)).mean()
        shape = f"| {n_labels} | {n_rows:,} | {rate} | {honest.mean():.4f} | {new.mean():.4f} |"
        print(f"{shape} {in_interval:.3f} | {in_range:.3f} | {of_shape} |", flush=True)


if __name__ == "__main__":
    main()
