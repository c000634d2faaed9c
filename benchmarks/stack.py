"""Seconds and peak memory of the default stack, honest score included.

    python benchmarks/stack.py                 # all cases; the largest takes minutes
    python benchmarks/stack.py 10 11 7724 all  # base models, labels, rows; a recipe of stacking/ or all of them

Every case runs in a process of its own, so that its peak memory is its own. The probabilities are made up: a
hidden propensity per row and label, which every base model sees through noise of its own.
"""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray

from compete.execution.local import usable_cores
from stackers import shipped

CASES = (
    (10, 11, 7_724, "logistic"),
    (10, 11, 7_724, "all"),
    (4, 11, 10_000, "logistic"),
    (4, 11, 100_000, "logistic"),
    (4, 11, 1_000_000, "logistic"),
)
FOLDS = 5


def made_up(n_models: int, n_labels: int, n_rows: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """OOF (n_models, n_rows, n_labels) and labels (n_rows, n_labels) with rates from 5 % to 40 %."""
    random = np.random.default_rng(0)
    offset = np.log(np.linspace(0.05, 0.4, n_labels) / (1 - np.linspace(0.05, 0.4, n_labels)))
    logit = 2 * random.standard_normal((n_rows, n_labels)) + 1.5 * offset
    labels = (random.random((n_rows, n_labels)) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    oof = np.empty((n_models, n_rows, n_labels), dtype=np.float32)
    for model in range(n_models):
        oof[model] = 1 / (1 + np.exp(-(logit + 1.5 * random.standard_normal((n_rows, n_labels)))))
    return oof, labels


def measure(n_models: int, n_labels: int, n_rows: int, which: str) -> dict[str, float]:
    """Fit and score one stack, or all; seconds per step, and the process's peak memory in MiB."""
    from compete.competition.metrics import METRICS
    from compete.stacking.ensemble.cross_fitting import MANY_ROWS, as_it_is, repeated_folds
    from compete.stacking.ensemble.evaluation import evaluate
    from compete.stacking.fitting import Materials, Workbench
    from compete.stacking.row_inputs import RowInputs
    from compete.stacking.scoring import REPEATS

    oof, labels = made_up(n_models, n_labels, n_rows)
    folds = (np.random.default_rng(1).permutation(n_rows) % FOLDS).astype(np.int16)
    before = _peak_mib()
    start = time.perf_counter()
    recipes = shipped()
    chosen = list(recipes) if which == "all" else [which]
    repeats = REPEATS if n_rows <= MANY_ROWS else 1
    plans = repeated_folds(folds, labels, np.arange(n_rows), repeats, seed=0)
    names = [str(number) for number in range(n_models)]
    counted = np.random.default_rng(2).random((n_rows, 13), dtype=np.float32) if which == "all" else None
    rows = RowInputs(counted)
    materials = Materials(dict(zip(names, oof, strict=True)), labels, plans, rows)
    bench = Workbench(materials, recipes, METRICS["f1_macro"])
    stacks = {name: (bench.cross_fits(name), bench.fitted(name)) for name in chosen}
    fitted = time.perf_counter()
    scores = [
        evaluate(METRICS["f1_macro"], labels, fits, stack.predict_proba(materials.oof, rows)).honest
        for fits, stack in stacks.values()
    ]
    mean_oof = oof.mean(axis=0)
    mean = evaluate(METRICS["f1_macro"], labels, [as_it_is(mean_oof, plan) for plan in plans], mean_oof)
    scored = time.perf_counter()
    return {
        "fit": fitted - start,
        "score": scored - fitted,
        "before": before,
        "peak": _peak_mib(),
        "honest": max(scores),
        "mean": mean.honest,
    }


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2  # macOS counts bytes


def main() -> None:
    """Print a Markdown table, a row per case."""
    if sys.argv[1:2] == ["--one"]:
        n_models, n_labels, n_rows = map(int, sys.argv[2:5])
        print(json.dumps(measure(n_models, n_labels, n_rows, sys.argv[5])))
        return
    cases = [(*map(int, sys.argv[1:4]), sys.argv[4])] if sys.argv[1:] else list(CASES)
    print(f"{platform.machine()}, {usable_cores()} cores, Python {platform.python_version()}, numpy {np.__version__}\n")
    print("| models x labels x rows | recipe | fit, s | score, s | peak, MiB | before the fit, MiB | honest | mean |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases:
        command = [sys.executable, __file__, "--one", *map(str, case)]
        r = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        size = " x ".join(f"{number:,}" for number in case[:3])
        print(
            f"| {size} | {case[3]} | {r['fit']:.1f} | {r['score']:.1f} | {r['peak']:.0f} | {r['before']:.0f} "
            f"| {r['honest']:.4f} | {r['mean']:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
