"""Meta-learners over probabilities of classes, whose sum in every row is 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from compete.competition.metrics import Labels, Probabilities
from compete.logits import SMALLEST, log_probabilities, softmax
from compete.stacking.ensemble.meta_learners import FittedMetaLearner, MetaLearner, Parallel, RowFeatures

Floats = NDArray[np.float64]
# A weak pull to what changes nothing: keeps scales finite where the probabilities tell the classes perfectly.
_PRIOR = 1e-3


def log_features(probabilities: Probabilities) -> NDArray[np.float32]:
    """Log-probabilities of all models and classes side by side, (n_rows, n_models * n_classes)."""
    n_models, n_rows, n_classes = np.shape(probabilities)
    z = np.log(np.maximum(np.asarray(probabilities, dtype=np.float32), SMALLEST))
    return np.asarray(z.transpose(1, 0, 2).reshape(n_rows, n_models * n_classes))


@dataclass(frozen=True)
class Multinomial:
    """One multinomial logistic regression over the log-probabilities of all models and classes (scikit-learn's).

    The features are standardised on the rows of the fit, so that `C`, the inverse strength of the L2 penalty, means the
    same for every model.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = False
    C: float = 0.05

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedMultinomial:
        from sklearn.linear_model import LogisticRegression

        X = log_features(probabilities)
        center, scale = X.mean(axis=0), X.std(axis=0)
        scale[scale <= 1e-4] = 1.0  # a constant column carries nothing, and its deviation is rounding
        model = LogisticRegression(C=self.C, max_iter=500, tol=1e-4)
        model.fit((X - center) / scale, labels.argmax(axis=1))
        weights, intercepts = model.coef_, model.intercept_
        if len(weights) == 1:  # of two classes scikit-learn keeps the second's alone
            weights, intercepts = np.vstack([-weights, weights]) / 2, np.append(-intercepts, intercepts) / 2
        return FittedMultinomial(center, scale, weights.T, intercepts, model.classes_, labels.shape[1])


@dataclass(frozen=True)
class FittedMultinomial:
    """What the features are standardised by, and the regression."""

    center: NDArray[np.float32]
    """(n_models * n_classes,); the scale too."""
    scale: NDArray[np.float32]
    weights: Floats
    """(n_models * n_classes, n_known)."""
    intercepts: Floats
    """(n_known,)."""
    known: NDArray[np.intp]
    """Classes that the rows of the fit had, (n_known,): all but very rare ones."""
    n_classes: int

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> Floats:
        X = (log_features(probabilities) - self.center) / self.scale
        cells = np.zeros((len(X), self.n_classes))
        cells[:, self.known] = softmax(X @ self.weights + self.intercepts)
        return cells


@dataclass(frozen=True)
class Scaling:
    """Log-probabilities times a scale plus an intercept per class.

    A temperature (Guo et al. 2017, "On calibration of modern neural networks") has one scale for all classes and no
    intercept, vector scaling (the same paper) has one of both for each.
    """

    scales: Floats
    """(n_classes,); the intercepts too."""
    intercepts: Floats

    def apply(self, probabilities: Probabilities) -> Floats:
        """Calibrated probabilities of the same shape, (n_rows, n_classes)."""
        return softmax(log_probabilities(probabilities) * self.scales + self.intercepts)


def fit_scaling(labels: Labels, probabilities: Probabilities, *, vector: bool) -> Scaling:
    """The scaling with the lowest log loss on these rows; labels: one-hot, both (n_rows, n_classes)."""
    z, n_classes = log_probabilities(probabilities), labels.shape[1]
    target = labels.astype(np.float64)

    def unpacked(values: Floats) -> tuple[Floats, Floats]:
        if vector:
            return values[:n_classes], values[n_classes:]
        return np.full(n_classes, values[0]), np.zeros(n_classes)

    def objective(values: Floats) -> tuple[float, Floats]:
        scales, intercepts = unpacked(values)
        p = softmax(z * scales + intercepts)
        loss = -float((target * np.log(np.maximum(p, 1e-300))).sum()) / len(z)
        residual = (p - target) / len(z)
        by_scale, by_intercept = (residual * z).sum(axis=0), residual.sum(axis=0)
        loss += _PRIOR / 2 * float(((scales - 1) ** 2).sum() + (intercepts**2).sum())
        by_scale, by_intercept = by_scale + _PRIOR * (scales - 1), by_intercept + _PRIOR * intercepts
        return loss, np.append(by_scale, by_intercept) if vector else np.array([by_scale.sum()])

    start = np.append(np.ones(n_classes), np.zeros(n_classes)) if vector else np.ones(1)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return Scaling(*unpacked(found.x))


@dataclass(frozen=True)
class CalibratedClasses:
    """A meta-learner over base models that are calibrated first, each on the rows it is fitted on."""

    learner: MetaLearner
    vector: bool

    @property
    def parallel(self) -> Parallel:
        return self.learner.parallel

    @property
    def few_parameters(self) -> bool:
        return self.learner.few_parameters

    def fit(
        self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None
    ) -> FittedCalibratedClasses:
        scalings = [fit_scaling(labels, model, vector=self.vector) for model in probabilities]
        return FittedCalibratedClasses(scalings, self.learner.fit(_applied(scalings, probabilities), labels, rows))


@dataclass(frozen=True)
class FittedCalibratedClasses:
    scalings: list[Scaling]
    """One per base model."""
    fitted: FittedMetaLearner

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> Floats:
        return self.fitted.predict_proba(_applied(self.scalings, probabilities), rows)


def _applied(scalings: list[Scaling], probabilities: Probabilities) -> Floats:
    return np.stack([scaling.apply(model) for scaling, model in zip(scalings, probabilities, strict=True)])
