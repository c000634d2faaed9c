"""All folds of a classifier with frozen lower layers, with and without keeping what these compute.

    python benchmarks/frozen_layers.py --checkpoint FOLDER --train train.csv [--rows 500] [--frozen 15] [--epochs 3]

Both train LoRA adapters above the same frozen layers on five folds of the same rows, fold by fold in turn; both
predict every held-out row. The difference is the largest between the probabilities.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext
from compete.competition.folds import assign_folds
from compete.competition.near_identical import near_identical_groups
from compete.execution.local import usable_cores
from rows import Rows, read_rows

FOLDS = 5


def fold(
    settings: SequenceClassifierSettings, rows: Rows, held_out: NDArray[np.bool_], threads: int, cache: Path | None
) -> tuple[float, NDArray[np.float32]]:
    """Seconds to train and predict one fold, and its probabilities."""
    context = FitContext(labels=rows.names, seed=1, threads=threads, cache=cache)
    train = np.flatnonzero(~held_out)
    start = time.perf_counter()
    model = SequenceClassifier(settings).fit([rows.texts[row] for row in train], rows.labels[train], context)
    probabilities = model.predict_proba([rows.texts[row] for row in np.flatnonzero(held_out)])
    return time.perf_counter() - start, probabilities


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--frozen", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    rows = read_rows(Path(options.train), options.rows)
    folds = assign_folds(near_identical_groups(rows.texts), rows.labels, FOLDS, seed=42)
    common = {
        "checkpoint": options.checkpoint,
        "adaptation": "lora",
        "epochs": options.epochs,
        "batch_size": 16,
        "max_length": 96,
        "learning_rate": 2e-4,
        "precision": options.precision,
    }
    settings = SequenceClassifierSettings(**common, frozen_layers=options.frozen)
    spent = {"without": 0.0, "with": 0.0}
    largest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(FOLDS):
            seconds, plain = fold(settings, rows, folds == number, options.threads, None)
            spent["without"] += seconds
            seconds, cached = fold(settings, rows, folds == number, options.threads, Path(scratch))
            spent["with"] += seconds
            largest = max(largest, float(np.abs(plain - cached).max()))
    print(
        f"{platform.machine()}, {options.threads} of {usable_cores()} cores; {len(rows.texts)} rows, "
        f"{FOLDS} folds x {options.epochs} epochs"
    )
    print("\n| frozen layers | without, s | with, s | ratio | largest difference |\n|---|---|---|---|---|")
    ratio = spent["without"] / spent["with"]
    print(f"| {options.frozen} | {spent['without']:.0f} | {spent['with']:.0f} | {ratio:.2f} | {largest:.1e} |")


if __name__ == "__main__":
    main()
