"""Meta-learners: from the base models' predictions to one prediction per output; those of labels are here.

Every array of base models has the shape (n_models, n_rows, n_labels). A meta-learner knows nothing about folds; who
fits it decides which rows it sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.competition.shape import Targets
from compete.logistic_regression import fit_logistic
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.calibration import Calibration, Method, fit_calibration

RowFeatures = NDArray[np.float32]
Parallel = Literal["threads", "processes"]


class FittedMetaLearner(Protocol):
    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        """From (n_models, n_rows, n_labels) to (n_rows, n_labels)."""
        ...


class MetaLearner(Protocol):
    """Learns to combine base models."""

    @property
    def parallel(self) -> Parallel:
        """How several may be fitted at the same time: in threads of one process, or only in processes."""
        ...

    @property
    def few_parameters(self) -> bool:
        """Whether it has so few that it fits its own rows hardly better than others."""
        ...

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> FittedMetaLearner:
        """Fit on predictions (n_models, n_rows, n_outputs) and what is true (n_rows, n_outputs).

        rows: (n_rows, n_features), what is known of the rows besides; most meta-learners do not look at it.
        """
        ...


def features(probabilities: Probabilities) -> NDArray[np.float32]:
    """The logits of all models and labels side by side, (n_rows, n_models * n_labels)."""
    n_models, n_rows, n_labels = np.shape(probabilities)
    side_by_side = np.empty((n_rows, n_models, n_labels), dtype=np.float32)
    for number, model in enumerate(probabilities):  # model by model: temporary arrays of one model's size
        side_by_side[:, number] = logits(model)
    return side_by_side.reshape(n_rows, n_models * n_labels)


@dataclass(frozen=True)
class Mean:
    """The plain mean of the base models' probabilities; nothing is fitted."""

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = True

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> Mean:
        return self

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        return np.asarray(np.mean(probabilities, axis=0, dtype=np.float64))


@dataclass(frozen=True)
class Logistic:
    """One logistic regression per label over the logits of all models and all labels.

    Another label's logits are features too: joy speaks against anger. The features are standardised on the
    rows of the fit, so that `C`, the inverse strength of the L2 penalty, means the same for every model.
    """

    parallel: ClassVar[Parallel] = "threads"
    few_parameters: ClassVar[bool] = False
    C: float = 0.05

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedLogistic:
        X = features(probabilities)
        center, scale = X.mean(axis=0), X.std(axis=0)
        # A constant column carries nothing. Its float32 deviation is rounding, which dividing would blow up.
        scale[scale <= 1e-4 * np.maximum(np.abs(center), 1)] = 1.0
        X -= center
        X /= scale
        return FittedLogistic(center, scale, *fit_logistic(X, labels, self.C))


@dataclass(frozen=True)
class FittedLogistic:
    """What the features are standardised by, and a regression per label."""

    center: NDArray[np.float32]
    """(n_models * n_labels,); the scale too."""
    scale: NDArray[np.float32]
    weights: NDArray[np.float64]
    """(n_models * n_labels, n_labels)."""
    intercepts: NDArray[np.float64]
    """(n_labels,)."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        X = features(probabilities)
        X -= self.center
        X /= self.scale
        return sigmoid(X @ self.weights.astype(np.float32) + self.intercepts)


@dataclass(frozen=True)
class _Around:
    """What a meta-learner around another one has of it."""

    learner: MetaLearner

    @property
    def parallel(self) -> Parallel:
        return self.learner.parallel

    @property
    def few_parameters(self) -> bool:
        return self.learner.few_parameters


@dataclass(frozen=True)
class Calibrated(_Around):
    """A meta-learner over base models whose columns are calibrated first, on the rows it is fitted on."""

    method: Method

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedCalibrated:
        calibration = fit_calibration(labels, probabilities, self.method)
        return FittedCalibrated(calibration, self.learner.fit(calibration.apply(probabilities), labels, rows))


@dataclass(frozen=True)
class FittedCalibrated:
    calibration: Calibration
    fitted: FittedMetaLearner

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        return self.fitted.predict_proba(self.calibration.apply(probabilities), rows)


@dataclass(frozen=True)
class PassingConstants(_Around):
    """A meta-learner that leaves alone what every base model says of every row alike: labels that nobody learnt.

    Whatever it fitted to such a label would be luck, and its rate in the rows of the fit would tell of the other rows.
    """

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedMetaLearner:
        varies = probabilities.max(axis=(0, 1)) > probabilities.min(axis=(0, 1))
        if varies.all() or not varies.any():
            return self.learner.fit(probabilities, labels, rows)
        fitted = self.learner.fit(probabilities[:, :, varies], labels[:, varies], rows)
        return FittedPassingConstants(varies, np.asarray(probabilities[0, 0], dtype=np.float64), fitted)


@dataclass(frozen=True)
class FittedPassingConstants:
    """What was fitted to some labels, and the constants of the others."""

    varies: NDArray[np.bool_]
    """Labels (n_labels,) that were fitted."""
    constants: NDArray[np.float64]
    """(n_labels,), probabilities of the others."""
    fitted: FittedMetaLearner

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        cells = np.tile(self.constants, (probabilities.shape[1], 1))
        cells[:, self.varies] = self.fitted.predict_proba(probabilities[:, :, self.varies], rows)
        return cells
