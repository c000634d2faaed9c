"""Heads that are weighted sums of standardised numbers: logistic regression, ridge, support vector machines."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.base_models.embeddings.standard import Floats, Numbers, Standard, save_arrays
from compete.base_models.families import FitContext
from compete.competition.shape import Targets
from compete.competition.task import Kind, are_probabilities
from compete.logistic_regression import fit_logistic
from compete.logits import EPSILON, sigmoid, softmax

Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
_AT_ONCE = 4096  # rows
_PARTS = 3  # of the rows, to see where a support vector machine's margins lie on rows that it was not fitted on


@dataclass(frozen=True)
class Affine:
    """One weighted sum per output, or several whose predictions are averaged."""

    scale: Standard
    weights: Floats
    """(n_sums, width, n_outputs)."""
    constants: Floats
    """(n_sums, n_outputs)."""
    kind: Kind
    grades: tuple[float, ...]
    one_against_rest: bool = False
    """Classes were learnt each for itself, so that their probabilities have to be brought to one."""

    def predict(self, numbers: Numbers) -> Floats:
        X = self.scale.apply(numbers)
        raw = np.stack([X @ w.astype(np.float32) + b for w, b in zip(self.weights, self.constants, strict=True)])
        if self.kind == "classes" and not self.one_against_rest:
            return np.asarray(softmax(raw).mean(axis=0))
        if are_probabilities(self.kind):
            cells: Floats = sigmoid(raw).mean(axis=0)
            return cells if self.kind == "labels" else cells / cells.sum(axis=1, keepdims=True)
        found: Floats = raw.mean(axis=0, dtype=np.float64)
        return found.clip(self.grades[0], self.grades[-1]) if self.kind == "grades" else found

    def save(self, folder: Path) -> None:
        save_arrays(folder, self.scale, weights=self.weights, constants=self.constants)


Counts = NDArray[np.float32] | None  # what every row counts, (n_rows,); None: all of them 1
Fit = Callable[[Numbers, Targets, float, Counts], tuple[Floats, Floats]]
Learn = Callable[[Numbers, Targets, float, Standard, Counts], Affine]


def learner(head: str, context: FitContext) -> Learn:
    """What fits weighted sums on standardised numbers."""
    kind, grades = context.kind, context.grades

    fits: dict[Kind, Fit] = {"labels": fit_logistic, "classes": _multinomial}

    def linear(X: Numbers, targets: Targets, C: float, scale: Standard, counts: Counts) -> Affine:
        weights, constants = fits.get(kind, _ridge)(X, targets, C, counts)
        return Affine(scale, weights[None], constants[None], kind, grades)

    def svm(X: Numbers, targets: Targets, C: float, scale: Standard, counts: Counts) -> Affine:
        weights, constants = _svm(X, targets, C, context)
        return Affine(scale, weights, constants, kind, grades, one_against_rest=True)

    return svm if head == "svm" else linear


def validation_losses(
    penalties: Sequence[float], X: Numbers, targets: Targets, rows: Rows, learn: Learn, kind: Kind
) -> dict[float, float]:
    """Loss of each of them on the rows that choose, which are not fitted meanwhile."""
    fitted, choose = rows
    as_it_is = Standard(np.zeros(X.shape[1], dtype=np.float32), np.ones(X.shape[1], dtype=np.float32))

    def loss(C: float) -> float:
        found = learn(X[fitted], targets[fitted], C, as_it_is, None).predict(X[choose])
        return _loss(found, targets[choose], kind)

    return {C: loss(C) for C in penalties}


def _loss(found: Floats, targets: Targets, kind: Kind) -> float:
    """Cross-entropy of probabilities, of numbers the squared error as a share of each target's variance."""
    if are_probabilities(kind):
        cells = np.clip(found, EPSILON, 1 - EPSILON)
        negative = 0 if kind == "classes" else (1 - targets) * np.log1p(-cells)
        return -float(np.mean(targets * np.log(cells) + negative))
    spread = np.maximum(targets.var(axis=0, dtype=np.float64), np.finfo(np.float64).tiny)
    return float(np.mean((found - targets) ** 2 / spread))


def _ridge(X: Numbers, targets: Targets, C: float, counts: Counts) -> tuple[Floats, Floats]:
    """Exact; the penalty on the squared weights is 1 / C, which means the same on every scale of targets."""
    y = targets.astype(np.float64)
    means: Floats = np.average(X.astype(np.float64), axis=0, weights=counts)
    mean: Floats = np.average(y, axis=0, weights=counts)
    gram, moments = np.zeros((X.shape[1], X.shape[1])), np.zeros((X.shape[1], y.shape[1]))
    # In float64, for numbers that nearly repeat each other: part by part, so that no copy of all rows is made.
    for start in range(0, len(X), _AT_ONCE):
        chosen = slice(start, start + _AT_ONCE)
        part = X[chosen] - means
        counted = part if counts is None else part * counts[chosen, None]
        gram += counted.T @ part
        moments += counted.T @ (y[chosen] - mean)
    gram[np.diag_indices_from(gram)] += 1 / C
    weights = np.asarray(np.linalg.solve(gram, moments), dtype=np.float64)
    return weights, mean - means @ weights


def _multinomial(X: Numbers, targets: Targets, C: float, counts: Counts) -> tuple[Floats, Floats]:
    """Weights (width, n_classes) and constants; a class that the rows do not have gets a rate of next to nothing."""
    from sklearn.linear_model import LogisticRegression

    n_rows, n_classes = targets.shape
    if targets.any(axis=0).sum() < 2:  # one class alone: smoothed rates, as there is nothing to tell apart
        rates: Floats = (targets.sum(axis=0) + 1.0) / (n_rows + n_classes)
        return np.zeros((X.shape[1], n_classes)), np.log(rates)
    X, classes, likely = _as_rows(X, targets, counts)
    with _unconverged_is_no_noise():
        model = LogisticRegression(C=C, max_iter=1000, tol=1e-4).fit(X, classes, sample_weight=likely)
    weights, constants = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    if len(weights) == 1:  # of two classes scikit-learn keeps the second's alone
        weights, constants = np.vstack([-weights, weights]) / 2, np.append(-constants, constants) / 2
    all_weights = np.zeros((X.shape[1], targets.shape[1]))
    all_constants = np.full(targets.shape[1], constants.min() + np.log(EPSILON))
    all_weights[:, model.classes_], all_constants[model.classes_] = weights.T, constants
    return all_weights, all_constants


def _as_rows(X: Numbers, targets: Targets, counts: Counts) -> tuple[Numbers, NDArray[np.intp], Counts]:
    """Rows of one class each, and what each counts.

    A row of which probabilities are known is as many as it has classes, each as much as it is likely.
    """
    if counts is None:
        return X, targets.argmax(axis=1), None
    rows, classes = np.nonzero(targets)
    return X[rows], classes, targets[rows, classes].astype(np.float32) * counts[rows]


def _svm(X: Numbers, targets: Targets, C: float, context: FitContext) -> tuple[Floats, Floats]:
    """Sums (n_parts, width, n_outputs): of probabilities the margins of machines without a part of the rows, brought
    to logits on that part (Platt 1999); of numbers one machine (Smola and Schoelkopf 2004)."""
    from sklearn.base import clone
    from sklearn.svm import LinearSVR

    if are_probabilities(context.kind):
        fitted = [_platt(X, y, C, context) for y in targets.T]
        return np.stack([w for w, _ in fitted], axis=2), np.stack([b for _, b in fitted], axis=1)
    y = targets.astype(np.float64)
    center, spread = y.mean(axis=0), np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
    plain = LinearSVR(C=C, loss="squared_epsilon_insensitive", dual="auto", random_state=context.seed % 2**32)
    with _unconverged_is_no_noise():
        machines = [clone(plain).fit(X, column) for column in ((y - center) / spread).T]
    weights = np.stack([machine.coef_ * scale for machine, scale in zip(machines, spread, strict=True)], axis=1)
    constants = np.array([float(machine.intercept_[0]) for machine in machines]) * spread + center
    return weights[None], constants[None]


@contextlib.contextmanager
def _unconverged_is_no_noise() -> Iterator[None]:
    """A solver that stops at its last step is near enough; which penalty serves best the validation rows say."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _platt(X: Numbers, y: NDArray[Any], C: float, context: FitContext) -> tuple[Floats, Floats]:
    """Weights (n_parts, width) and constants (n_parts,) of one label's logits."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import LinearSVC

    if min(y.sum(), len(y) - y.sum()) < _PARTS:  # a label with nothing to tell apart keeps its smoothed rate
        rate = (y.sum() + 1) / (len(y) + 2)
        return np.zeros((_PARTS, X.shape[1])), np.full(_PARTS, np.log(rate / (1 - rate)))
    machine = LinearSVC(C=C, dual="auto", random_state=context.seed % 2**32)
    with _unconverged_is_no_noise():
        model = CalibratedClassifierCV(machine, method="sigmoid", cv=_PARTS).fit(X, y.astype(np.int64))
    weights, constants = [], []
    for part in model.calibrated_classifiers_:
        platt = part.calibrators[0]  # 1 / (1 + exp(a f + b))
        weights.append(-platt.a_ * part.estimator.coef_[0])
        constants.append(-platt.a_ * float(part.estimator.intercept_[0]) - platt.b_)
    return np.stack(weights), np.array(constants)
