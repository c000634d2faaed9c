"""L2-regularised logistic regression of many labels on the same features.

The labels are independent problems that share one matrix. Solving them together turns the matrix-vector
products of a label-by-label solver into matrix products, several times quicker on the same cores (the ratio is
in docs/benchmarks.md); the solution is that of scikit-learn's LogisticRegression, which the tests compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Targets = NDArray[np.int8] | NDArray[np.float32]


def fit_logistic(
    X: NDArray[np.float32], labels: Targets, C: float, weights: NDArray[np.float32] | None = None
) -> tuple[Floats, Floats]:
    """Weights (n_features, n_labels) and intercepts (n_labels,) of one regression per label.

    Minimises, for every label, sum_i log(1 + exp(-y_i z_i)) + |w|^2 / (2 C) with y = +-1, z = X w + b, and b
    free of penalty. `X` is float32 (n_rows, n_features), best standardised. L-BFGS (Nocedal 1980) runs on
    coordinates in which the Hessian is near the identity: H is close to p (1 - p) X'X / n + penalty, so its
    Cholesky factor R makes v = R w such coordinates, and about twenty steps suffice.

    Labels may be probabilities: a row then counts as so much of a positive and so much of a negative one. weights: what
    every row counts, (n_rows,); all rows 1 by default.
    """
    from scipy.optimize import minimize  # half a second, which a command that only reads stacks need not spend

    n_rows, n_labels = len(X), labels.shape[1]
    design = np.column_stack([X, np.ones(n_rows, dtype=np.float32)])
    penalty = np.append(np.full(X.shape[1], 1 / (C * n_rows)), 0.0)[:, None]
    # Smoothed, so that a label without positives (or negatives) gets a finite rate instead of a diverging one.
    counts = None if weights is None else weights[:, None].astype(np.float32)
    positives = labels.sum(axis=0) if counts is None else (labels * counts).sum(axis=0, dtype=np.float64)
    rates = (positives + 1) / ((n_rows if counts is None else float(counts.sum(dtype=np.float64))) + 2)
    to_weights, scale = _preconditioner(design, penalty, rates)
    start = np.zeros((design.shape[1], n_labels))
    start[-1] = np.log(rates) - np.log1p(-rates)
    targets = labels.astype(np.float32)

    def objective(v: Floats) -> tuple[float, Floats]:
        found = to_weights @ (v.reshape(start.shape) * scale)
        loss, gradient = _loss(design, targets, found, counts)
        loss += 0.5 * float(np.sum(penalty * found**2))
        return loss, ((to_weights.T @ (gradient + penalty * found)) * scale).ravel()

    origin = np.linalg.solve(to_weights, start) / scale
    found = minimize(
        objective,
        origin.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 300, "maxcor": 20, "gtol": 1e-5, "ftol": 1e-9},
    )
    solution = to_weights @ (found.x.reshape(start.shape) * scale)
    one_class = (labels.min(axis=0) == labels.max(axis=0)) if n_rows else np.ones(n_labels, dtype=bool)
    # Of one class alone, the unpenalised intercept has no finite optimum: such a label keeps its smoothed rate.
    solution[:, one_class] = start[:, one_class]
    return solution[:-1], solution[-1]


def _preconditioner(design: NDArray[np.float32], penalty: Floats, rates: Floats) -> tuple[Floats, Floats]:
    """The matrix that turns well-scaled coordinates into weights, and a factor per label."""
    spread = rates * (1 - rates)
    hessian = (design.T @ design).astype(np.float64) / len(design) * spread.mean()
    hessian[np.diag_indices_from(hessian)] += penalty.ravel() + 1e-9
    inverse = np.asarray(np.linalg.inv(_cholesky(hessian).T), dtype=np.float64)
    # The matrix is that of the labels' mean spread p (1 - p): a label's own Hessian is nearly spread / mean times as
    # large, which its factor makes up for.
    return inverse, np.sqrt(spread.mean() / spread)


def _cholesky(hessian: Floats) -> Floats:
    """Of a matrix whose smallest eigenvalues float32 may have left below zero: with as little added as it takes.

    Only the way to the solution depends on it.
    """
    added, mean = 0.0, float(np.trace(hessian)) / len(hessian)
    for _ in range(20):
        try:
            return np.asarray(np.linalg.cholesky(hessian + added * np.eye(len(hessian))), dtype=np.float64)
        except np.linalg.LinAlgError:
            added = max(100 * added, 1e-9 * mean)
    raise np.linalg.LinAlgError("not a number, or infinite, among the features")


def _loss(
    design: NDArray[np.float32], targets: NDArray[np.float32], weights: Floats, counts: NDArray[np.float32] | None
) -> tuple[float, Floats]:
    """Cross-entropy per row, summed over labels, and its gradient (n_features, n_labels)."""
    z = design @ weights.astype(np.float32)
    decay = np.exp(-np.abs(z))  # never overflows
    cells = np.maximum(z, 0) + np.log1p(decay) - targets * z
    residual = np.where(z >= 0, 1, decay) / (1 + decay) - targets
    if counts is not None:
        cells, residual = cells * counts, residual * counts
    total = np.sum(cells, dtype=np.float64)
    return float(total) / len(design), (design.T @ residual).astype(np.float64) / len(design)
