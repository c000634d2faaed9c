"""Seconds to find the thresholds of many labels on many rows.

python benchmarks/threshold_search.py [LABELS ROWS]     # default: 28 1000000
"""

from __future__ import annotations

import platform
import sys
import time

import numpy as np

from compete.competition.metrics import METRICS
from compete.execution.local import usable_cores
from compete.stacking.ensemble.decision_rules import fit_rule


def main() -> None:
    """Print a Markdown table, a row per rule."""
    n_labels, n_rows = map(int, sys.argv[1:]) if sys.argv[1:] else (28, 1_000_000)
    random = np.random.default_rng(0)
    labels = (random.random((n_rows, n_labels)) < np.linspace(0.03, 0.4, n_labels)).astype(np.int8)
    logits = random.standard_normal((n_rows, n_labels), dtype=np.float32) + 1.5 * labels - 2
    probabilities = 1 / (1 + np.exp(-logits))
    folds = (np.arange(n_rows) % 5).astype(np.int16)
    print(
        f"{n_labels} labels x {n_rows:,} rows; {platform.machine()}, {usable_cores()} cores, numpy {np.__version__}\n"
    )
    print("| rule | s |\n|---|---|")
    for rule in ("empirical", "cross_fitted"):
        start = time.perf_counter()
        fit_rule(rule, METRICS["f1_macro"], labels, probabilities, folds)
        print(f"| `{rule}` | {time.perf_counter() - start:.1f} |", flush=True)


if __name__ == "__main__":
    main()
