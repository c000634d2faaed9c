"""The joint logistic regression against scikit-learn's, label by label, side by side in one run.

    python benchmarks/logistic_solver.py

Both solve the same problem to about the same tolerance; the last column is the largest difference of two
weights, relative to the largest weight.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from compete.execution.local import usable_cores
from compete.logistic_regression import fit_logistic
from compete.stacking.ensemble.meta_learners import features
from stack import made_up

CASES = ((10, 11, 7_724), (10, 28, 30_000))
C = 0.01
REPEATS = 3


def label_by_label(X: NDArray[np.float32], labels: NDArray[np.int8], solver: str) -> NDArray[np.float64]:
    """Weights (n_features, n_labels) from one LogisticRegression per label."""
    models = [LogisticRegression(C=C, solver=solver, max_iter=1000).fit(X, target) for target in labels.T]
    return np.column_stack([model.coef_[0] for model in models])


def seconds(solve: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    solve(*arguments)
    return time.perf_counter() - start


def main() -> None:
    """Print a Markdown table: median seconds of the three, taken in turn, and the ratios."""
    print(f"{platform.machine()}, {usable_cores()} cores, scikit-learn {sklearn.__version__}\n")
    print("| models x labels x rows | joint, s | newton-cholesky, s | ratio | lbfgs, s | ratio | difference |")
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        oof, labels = made_up(*case)
        X = features(oof)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        times = [
            (
                seconds(fit_logistic, X, labels, C),
                seconds(label_by_label, X, labels, "newton-cholesky"),
                seconds(label_by_label, X, labels, "lbfgs"),
            )
            for _ in range(REPEATS)
        ]
        joint, newton, lbfgs = (statistics.median(column) for column in zip(*times, strict=True))
        ours, theirs = fit_logistic(X, labels, C)[0], label_by_label(X, labels, "newton-cholesky")
        difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
        size = " x ".join(f"{number:,}" for number in case)
        print(
            f"| {size} | {joint:.2f} | {newton:.2f} | {newton / joint:.1f} | {lbfgs:.2f} | {lbfgs / joint:.1f} "
            f"| {difference:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
