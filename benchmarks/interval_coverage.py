"""How often the interval of an honest score, and the range promised for new rows, hold what they are meant to hold.

    python benchmarks/interval_coverage.py [--simulations 200]
    python benchmarks/interval_coverage.py --every-metric [--metrics rmse f1] [--rows 2000] [--simulations 100]

Labels and scores are made up (a positive's score is drawn from N(1.5, 1), another's from N(0, 1)), so that new rows can
be drawn at will. A simulation cross-fits thresholds on so many rows as compete does, and gives an honest macro-F1 with
its interval and the range for as many new rows. Then new rows are drawn and cut at the thresholds of all rows.

    interval    holds the mean over all simulations of what new rows of that number score
    range       holds the score of the new rows of its own simulation

--every-metric: the same of every metric, of predictions as they are, each on two unlike kinds of made-up rows:

    multilabel  3 labels that a fifth of the rows have; 40 that a twentieth have
    binary      a label that a third of the rows have; one that 3 of 100 have
    multiclass  3 classes; 40 classes, the rarest of them in 6 of 1,000 rows
    regression  1 target without long tails (gamma); 12 targets with long ones (log-normal)
    ordinal     1 target of 5 grades; 6 targets of 3 grades
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Metric, Predicted, Truth, find_metric
from compete.competition.task import TaskName
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


Rows = tuple[Truth, Predicted]
Drawn = Callable[[int, np.random.Generator], Rows]


def labels_drawn(n_labels: int, rate: float, wants: str, n_rows: int, random: np.random.Generator) -> Rows:
    labels, probabilities = drawn(n_rows, n_labels, rate, random)
    return labels, probabilities if wants == "probabilities" else (probabilities >= 0.7).astype(np.int8)


def classes_drawn(n_classes: int, wants: str, n_rows: int, random: np.random.Generator) -> Rows:
    shares = 1 / np.arange(1, n_classes + 1)
    one_hot = np.eye(n_classes, dtype=np.int8)
    classes = one_hot[random.choice(n_classes, n_rows, p=shares / shares.sum())]
    odds = shares * np.exp(random.normal(size=classes.shape) + 1.5 * classes)
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return classes, probabilities if wants == "probabilities" else one_hot[probabilities.argmax(axis=1)]


def numbers_drawn(n_targets: int, long_tails: bool, n_rows: int, random: np.random.Generator) -> Rows:
    noise = random.normal(size=(n_rows, n_targets))
    if long_tails:
        logs = random.normal(size=noise.shape)
        return np.exp(logs).astype(np.float32), np.exp(0.8 * logs + 0.4 * noise)
    numbers = random.gamma(2, size=noise.shape)
    return numbers.astype(np.float32), 0.6 + 0.7 * numbers + 0.5 * noise


def grades_drawn(n_targets: int, n_grades: int, n_rows: int, random: np.random.Generator) -> Rows:
    latent = random.normal(size=(n_rows, n_targets))
    cuts = np.linspace(-1.2, 1.2, n_grades - 1)
    predicted = 0.8 * latent + 0.6 * random.normal(size=latent.shape)
    return np.digitize(latent, cuts).astype(np.float32), np.digitize(predicted, cuts).astype(np.float32)


def unlike(metric: Metric, task: TaskName) -> tuple[Drawn, Drawn]:
    """Two kinds of rows of a task, with what the metric wants of them."""
    wants = metric.wants
    return {
        "multilabel": (partial(labels_drawn, 3, 0.2, wants), partial(labels_drawn, 40, 0.05, wants)),
        "binary": (partial(labels_drawn, 1, 0.33, wants), partial(labels_drawn, 1, 0.03, wants)),
        "multiclass": (partial(classes_drawn, 3, wants), partial(classes_drawn, 40, wants)),
        "regression": (partial(numbers_drawn, 1, False), partial(numbers_drawn, 12, True)),
        "ordinal": (partial(grades_drawn, 1, 5), partial(grades_drawn, 6, 3)),
    }[task]


def covered(metric: Metric, draw: Drawn, n_rows: int, simulations: int) -> tuple[float, float, float]:
    """The mean score of new rows, and how often interval and range hold what they are meant to hold."""
    found = []
    for seed in range(simulations):
        random = np.random.default_rng(seed)
        truth, predicted = draw(n_rows, random)
        (known,) = resampled_scores(metric, truth, [predicted])
        (new,) = resampled_scores(metric, truth, [predicted], new_rows=n_rows)
        found.append((*interval(known), *interval(new), metric.compute(*draw(n_rows, random))))
    low, high, range_low, range_high, score = np.array(found).T
    in_interval = ((low <= score.mean()) & (score.mean() <= high)).mean()
    return float(score.mean()), float(in_interval), float(((range_low <= score) & (score <= range_high)).mean())


def every_metric(names: Sequence[str], sizes: Sequence[int], simulations: int) -> None:
    """Print a Markdown table: of every kind of rows the score, then how often the interval and the range hold."""
    pairs = [(find_metric(name), find_metric(name).tasks[0]) for name in names]
    print("| metric | task | rows | first | interval | range | second | interval | range | simulations |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (metric, task), n_rows in product(pairs, sizes):
        cells = [covered(metric, draw, n_rows, simulations) for draw in unlike(metric, task)]
        shown = " | ".join(f"{score:.3f} | {held:.2f} | {ranged:.2f}" for score, held, ranged in cells)
        print(f"| `{metric.name}` | {task} | {n_rows:,} | {shown} | {simulations} |", flush=True)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--every-metric", action="store_true")
    parser.add_argument("--metrics", nargs="+", default=[*METRICS, "map_at_3"], help="with --every-metric")
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 50_000], help="with --every-metric")
    options = parser.parse_args()
    if options.every_metric:
        every_metric(options.metrics, options.rows, options.simulations)
    else:
        macro_f1(options.simulations)


def macro_f1(count: int) -> None:
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
