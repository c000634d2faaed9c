"""Gradient-boosted trees as a meta-learner: LightGBM, one small model per label or target, or one for all classes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities
from compete.competition.shape import Targets
from compete.logits import log_probabilities, logits, sigmoid, softmax
from compete.stacking.ensemble.calibration import Calibration, fit_calibration
from compete.stacking.ensemble.class_learners import Scaling, fit_scaling, log_features
from compete.stacking.ensemble.meta_learners import Parallel, RowFeatures
from compete.stacking.ensemble.number_learners import side_by_side

# Of so many rows, half the trees that each add twice as much predict as well, in two thirds of the time.
_MANY_ROWS, _SLOW, _FAST = 20_000, 0.1, 0.2
_PATIENCE = 1.5  # trees times learning rate


@dataclass(frozen=True)
class LightGBM:
    """Small trees per label over every model's logit of that label, the mean logits of all labels, and `rows`.

    The trees start from the calibrated mean of the base models and only learn what it misses. How many there are is
    chosen on an inner slice of the rows of the fit; then they are grown again on all of them, unless there are so many
    that the slice is not missed.
    """

    parallel: ClassVar[Parallel] = "processes"  # it crashes now and then if several threads train at the same time
    few_parameters: ClassVar[bool] = False
    learning_rate: float | None = None
    num_leaves: int = 6
    min_data_in_leaf: int = 40
    feature_fraction: float = 0.5
    lambda_l2: float = 10.0
    max_trees: int = 150
    inner_share: float = 0.2
    seed: int = 0

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedLightGBM:
        mean = _mean(probabilities)
        start = fit_calibration(labels, mean)
        scores = logits(start.apply(mean)).astype(np.float64)
        inner = np.random.default_rng(self.seed).random(len(mean)) < self.inner_share
        parameters = self.parameters(len(mean), "binary", "binary_logloss")
        boosters = []
        for label, data in enumerate(_datasets(probabilities, rows, parameters)):
            y, score = labels[:, label].copy(), scores[:, label].copy()  # in one piece, as LightGBM wants them
            booster = self._stopped_early(parameters, data, y, score, inner)
            if booster is not None and len(mean) < _MANY_ROWS:
                booster = self._grow(parameters, data, y, score, booster.best_iteration)
            boosters.append(booster)
        return FittedLightGBM(start, boosters)

    def _stopped_early(
        self,
        parameters: dict[str, Any],
        data: Any,
        y: NDArray[np.int8],
        score: NDArray[np.float64],
        inner: NDArray[np.bool_],
    ) -> Any:
        """A Booster on all but the inner rows, best_iteration where their loss is lowest; None if trees do not help."""
        import lightgbm

        if len(np.unique(y[inner])) < 2 or len(np.unique(y[~inner])) < 2:
            return None
        fitted, chosen = np.flatnonzero(~inner), np.flatnonzero(inner)
        train, held = _part(data, fitted, y, score), _part(data, chosen, y, score)
        booster = lightgbm.train(
            parameters,
            train,
            self.max_trees,
            valid_sets=[held],
            valid_names=["inner"],
            callbacks=[lightgbm.early_stopping(round(_PATIENCE / parameters["learning_rate"]), verbose=False)],
        )
        # Log loss of the inner rows by what the trees start from, before any tree.
        without = float(np.mean(np.logaddexp(0, score[chosen]) - y[chosen] * score[chosen]))
        return booster if booster.best_score["inner"]["binary_logloss"] < without else None

    def _grow(
        self, parameters: dict[str, Any], data: Any, y: NDArray[np.int8], score: NDArray[np.float64], trees: int
    ) -> Any:
        import lightgbm

        return lightgbm.train(parameters, data.set_label(y).set_init_score(score), trees)

    def parameters(self, n_rows: int, objective: str, metric: str) -> dict[str, Any]:
        """LightGBM's."""
        return {
            "objective": objective,
            "metric": metric,
            "learning_rate": self.learning_rate or (_FAST if n_rows >= _MANY_ROWS else _SLOW),
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "max_bin": 63,
            # Where to cut is a matter of taste, and takes longest.
            "bin_construct_sample_cnt": max(2_000, n_rows // 10),
            "feature_fraction": self.feature_fraction,
            "lambda_l2": self.lambda_l2,
            "seed": self.seed,
            # Where fits run beside one another, in processes, each has one; few rows gain nothing by more.
            "num_threads": 1 if n_rows < _MANY_ROWS else 0,
            "deterministic": True,
            # Else LightGBM times two ways of counting and takes the quicker, which need not be the same one every time.
            "force_col_wise": True,
            "verbosity": -1,
        }


@dataclass(frozen=True)
class FittedLightGBM:
    """What the trees start from, and the trees of every label."""

    start: Calibration
    """Calibration of the base models' mean."""
    boosters: list[Any]
    """A LightGBM Booster per label, None without trees."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        z = logits(self.start.apply(_mean(probabilities))).astype(np.float64)
        for label, (booster, X) in enumerate(zip(self.boosters, _designs(probabilities, rows), strict=True)):
            if booster is not None:
                # LightGBM predicts what the trees add: the scores that training started from are no part of a Booster.
                z[:, label] += booster.predict(X, raw_score=True)
        return sigmoid(z)


def _part(data: Any, rows: NDArray[np.intp], y: NDArray[Any], score: NDArray[np.float64]) -> Any:
    """Some rows with their labels and the scores that the trees start from."""
    # Constructed first: a subset that is constructed later forgets its scores.
    return data.subset(rows).construct().set_label(y[rows]).set_init_score(score[rows])


def _datasets(probabilities: Probabilities, rows: RowFeatures | None, parameters: dict[str, Any]) -> Iterator[Any]:
    """`_designs` as LightGBM's Datasets; what all labels share is cut into bins once."""
    import lightgbm

    own, shared = _own_and_shared(probabilities, rows)
    base = lightgbm.Dataset(shared, params=parameters, free_raw_data=False).construct()
    for X in own:
        data = lightgbm.Dataset(X, params=parameters, free_raw_data=False).construct()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no feature is categorical any more; none was
            data.add_features_from(base)
        yield data


def _designs(probabilities: Probabilities, rows: RowFeatures | None) -> Iterator[NDArray[np.float32]]:
    """For every label the features of its trees, (n_rows, n_models + n_labels + n_row_features)."""
    own, shared = _own_and_shared(probabilities, rows)
    for X in own:
        yield np.hstack([X, shared])


def _own_and_shared(
    probabilities: Probabilities, rows: RowFeatures | None
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """For every label (n_rows, n_models), its own logits; for all (n_rows, n_labels + n_row_features)."""
    z = logits(probabilities)
    shared = np.hstack([z.mean(axis=0), *([] if rows is None else [rows])])
    return [np.ascontiguousarray(z[:, :, label].T) for label in range(z.shape[2])], shared


def _mean(probabilities: Probabilities) -> NDArray[np.float64]:
    return np.asarray(np.mean(probabilities, axis=0, dtype=np.float64))


@dataclass(frozen=True)
class ClassTrees:
    """Small trees of all classes over the log-probabilities of all models, and `rows`; they start from the mean of the
    base models, its temperature set right, and only learn what it misses."""

    trees: LightGBM
    parallel: ClassVar[Parallel] = "processes"
    few_parameters: ClassVar[bool] = False

    def fit(self, probabilities: Probabilities, labels: Labels, rows: RowFeatures | None = None) -> FittedClassTrees:
        mean, n_classes = _mean(probabilities), labels.shape[1]
        start = fit_scaling(labels, mean, vector=True)
        scores = log_probabilities(start.apply(mean))
        parameters = {
            **self.trees.parameters(len(mean), "multiclass", "multi_logloss"),
            "num_class": n_classes,
        }
        booster = _grown(self.trees, parameters, _all_features(log_features(probabilities), rows), labels, scores)
        return FittedClassTrees(start, booster)


@dataclass(frozen=True)
class FittedClassTrees:
    start: Scaling
    """Of the base models' mean."""
    booster: Any
    """None without trees."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        z = log_probabilities(self.start.apply(_mean(probabilities)))
        if self.booster is not None:
            z = z + self.booster.predict(_all_features(log_features(probabilities), rows), raw_score=True)
        return softmax(z)


@dataclass(frozen=True)
class NumberTrees:
    """Small trees per target over the numbers of all models and targets, and `rows`; they start from the line through
    the mean of the base models, and only learn what it misses."""

    trees: LightGBM
    parallel: ClassVar[Parallel] = "processes"
    few_parameters: ClassVar[bool] = False

    def fit(self, probabilities: Probabilities, labels: Targets, rows: RowFeatures | None = None) -> FittedNumberTrees:
        mean, X = _mean(probabilities), _all_features(side_by_side(probabilities).astype(np.float32), rows)
        parameters = self.trees.parameters(len(mean), "regression", "l2")
        lines, boosters = [], []
        for target, y in enumerate(labels.T.astype(np.float64)):
            # LightGBM's leaves are penalised as if errors were about 1: the target in its own standard deviations.
            slope, constant = np.polyfit(mean[:, target], y, 1) if np.ptp(mean[:, target]) > 0 else (0.0, y.mean())
            spread = float(y.std()) or 1.0
            line = (constant + slope * mean[:, target]) / spread
            boosters.append(_grown(self.trees, parameters, X, (y / spread)[:, None], line[:, None]))
            lines.append((slope, constant, spread))
        return FittedNumberTrees(np.array(lines).T, boosters)


@dataclass(frozen=True)
class FittedNumberTrees:
    lines: NDArray[np.float64]
    """Slope, constant and spread of every target, (3, n_targets)."""
    boosters: list[Any]
    """Of every target, None without trees."""

    def predict_proba(self, probabilities: Probabilities, rows: RowFeatures | None = None) -> NDArray[np.float64]:
        slopes, constants, spreads = self.lines
        numbers = constants + slopes * _mean(probabilities)
        X = _all_features(side_by_side(probabilities).astype(np.float32), rows)
        for target, booster in enumerate(self.boosters):
            if booster is not None:
                numbers[:, target] += spreads[target] * booster.predict(X, raw_score=True)
        return np.asarray(numbers)


def _grown(
    trees: LightGBM, parameters: dict[str, Any], X: NDArray[np.float32], truth: Targets, scores: NDArray[np.float64]
) -> Any:
    """A Booster that starts from `scores`, with as many trees as an inner slice of the rows says; None if trees do not
    help there. truth, scores: (n_rows, 1), or one-hot and (n_rows, n_classes)."""
    import lightgbm

    y = truth.argmax(axis=1) if truth.shape[1] > 1 else truth[:, 0]
    start = scores.ravel(order="F")  # a class's scores after another's, as LightGBM wants them
    inner = np.random.default_rng(trees.seed).random(len(X)) < trees.inner_share
    fitted, chosen = np.flatnonzero(~inner), np.flatnonzero(inner)
    if len(np.unique(y[fitted])) < truth.shape[1] or not len(chosen):
        return None

    def part(rows: NDArray[np.intp], reference: Any = None) -> Any:
        init = scores[rows].ravel(order="F")
        return lightgbm.Dataset(X[rows], y[rows], init_score=init, reference=reference, params=parameters)

    train = part(fitted)
    held = part(chosen, train)
    booster = lightgbm.train(
        parameters,
        train,
        trees.max_trees,
        valid_sets=[held],
        valid_names=["inner"],
        callbacks=[lightgbm.early_stopping(round(_PATIENCE / parameters["learning_rate"]), verbose=False)],
    )
    if booster.best_score["inner"][parameters["metric"]] >= _loss_without(truth[chosen], scores[chosen]):
        return None
    if len(X) >= _MANY_ROWS:
        return booster
    everything = lightgbm.Dataset(X, y, init_score=start, params=parameters)
    return lightgbm.train(parameters, everything, booster.best_iteration)


def _loss_without(truth: Targets, scores: NDArray[np.float64]) -> float:
    """What LightGBM calls multi_logloss, or l2, of the scores before any tree."""
    if truth.shape[1] == 1:
        return float(((scores - truth) ** 2).mean())
    return float(-log_probabilities((softmax(scores) * truth).sum(axis=1)).mean())


def _all_features(numbers: NDArray[np.float32], rows: RowFeatures | None) -> NDArray[np.float32]:
    return numbers if rows is None else np.hstack([numbers, rows])
