"""Honest scores of the threshold rules on real out-of-fold probabilities, over repeated fold splits.

    python benchmarks/threshold_rules.py --oofs benchmarks/oofs --train train.csv [--repeats 10]

For every metric of decisions, every base model and the stacks `mean` and `logistic`: the mean honest score over the
splits. A rule is better by luck of a split only until there are enough of them; the rows stay the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from compete.competition.metrics import METRICS
from compete.stacking.ensemble.cross_fitting import CrossFit, as_it_is, repeated_folds
from compete.stacking.ensemble.decision_rules import rules_for
from compete.stacking.ensemble.evaluation import evaluate
from compete.stacking.fitting import Materials, Workbench
from stackers import machine, read, shipped


def main() -> None:
    """Print a Markdown table per metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oofs", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    data = read(options.oofs, options.train)
    plans = repeated_folds(data.folds, data.labels, data.groups, options.repeats, seed=11)
    fits: dict[str, list[CrossFit]] = {}
    for name, model in zip(data.models, data.oof, strict=True):
        fits[name] = [as_it_is(model, folds) for folds in plans]
    bench = Workbench(
        Materials(dict(zip(data.models, data.oof, strict=True)), data.labels, plans), shipped(), METRICS["f1_macro"]
    )
    for name in ("mean", "logistic"):
        fits[f"stack {name}"] = bench.cross_fits(name)
    print(f"{len(data.labels)} rows, {options.repeats} splits; {machine()}\n")
    for metric in (METRICS[name] for name in ("f1_macro", "f1_micro", "f1_samples", "jaccard_samples")):
        rules = rules_for(metric)
        print(f"| {metric.title} | {' | '.join(rules)} |\n|---|{'---|' * len(rules)}")
        for name, each in fits.items():
            scores = [evaluate(metric, data.labels, each, each[0].outer, rule).honest for rule in rules]
            best = int(np.argmax(scores))
            cells = [f"**{score:.4f}**" if i == best else f"{score:.4f}" for i, score in enumerate(scores)]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
