"""The stacker on plain arrays, with the habits of a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from compete.competition.metrics import METRICS, Labels, Metric, Probabilities
from compete.errors import DataError, UserError
from compete.stacking.cross_fitting import repeated_folds
from compete.stacking.decision_rules import RuleName
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.recipes import StackDeclaration, StackRecipe
from compete.stacking.resampling import interval, resampled_scores

OPTIONS: dict[str, set[str]] = {"mean": set(), "blend": {"per"}, "logistic": {"C"}, "lightgbm": {"trees"}}


class MultilabelStacker(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Combines base models' out-of-fold probabilities, sets thresholds, and says honestly how good the result is.

    method, calibration, thresholds and options ({"C": [0.1]}, {"per": "label"}, {"trees": {...}}) are a recipe's.
    metric: a name in compete.competition.metrics.METRICS. n_folds, repeats, random_state: of the folds over which the
    honest score is nested, where `fit` is given none.

    After `fit`: honest_score_, interval_ (its 95 % interval), naive_score_, thresholds_ ((n_labels,), or None),
    oof_proba_ (n_rows, n_labels), n_models_, n_labels_.
    """

    def __init__(
        self,
        method: Literal["mean", "blend", "logistic", "lightgbm"] = "logistic",
        metric: str = "f1_macro",
        calibration: Literal["none", "platt", "temperature"] = "none",
        thresholds: RuleName | None = None,
        options: Mapping[str, Any] | None = None,
        n_folds: int = 5,
        repeats: int = 3,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.metric = metric
        self.calibration = calibration
        self.thresholds = thresholds
        self.options = options
        self.n_folds = n_folds
        self.repeats = repeats
        self.random_state = random_state

    def fit(
        self,
        X: Probabilities,
        y: Labels,
        folds: NDArray[np.integer[Any]] | None = None,
        groups: NDArray[np.integer[Any]] | None = None,
    ) -> Self:
        """Fit on out-of-fold probabilities X (n_models, n_rows, n_labels) and labels y (n_rows, n_labels) of 0 and 1.

        folds: (n_rows,), the folds of the base models, 0 to K - 1. groups: (n_rows,), rows that must share a fold.
        Raises DataError, which says what is wrong with the arrays.
        """
        recipe, metric = self._recipe(), self._metric()
        recipe.rule(metric)  # refuses what the metric has no use for
        if self.n_folds < 2 or self.repeats < 1:
            raise UserError(f"n_folds = {self.n_folds}, repeats = {self.repeats}: two folds and one repeat at least")
        X, labels = _checked(X), np.asarray(y)
        if labels.shape != X.shape[1:] or not np.isin(labels, (0, 1)).all():
            raise DataError(f"y must hold 0 and 1 in the shape {X.shape[1:]} of a base model; it has {labels.shape}")
        labels = labels.astype(np.int8)
        plans = self._plans(labels, folds, groups)
        _check_every_fold(labels, plans[0])
        names = [str(number) for number in range(len(X))]
        bench = Workbench(Materials(dict(zip(names, X, strict=True)), labels, plans), {recipe.name: recipe}, metric)
        self._fitted, self._evaluation = bench.fitted(recipe.name), bench.evaluate(recipe.name)
        self._labels = labels
        self.honest_score_ = self._evaluation.honest
        self.interval_ = self._evaluation.interval
        self.naive_score_ = self._evaluation.naive
        self.thresholds_ = self._evaluation.decision.thresholds
        self.oof_proba_ = np.asarray(bench.cross_fits(recipe.name)[0].outer)
        self.n_models_, _, self.n_labels_ = X.shape
        return self

    def predict_proba(self, X: Probabilities) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_labels) from those of the base models, (n_models, n_rows, n_labels)."""
        check_is_fitted(self, "honest_score_")
        X = _checked(X)
        if (X.shape[0], X.shape[2]) != (self.n_models_, self.n_labels_):
            raise DataError(
                f"the stack was fitted on {self.n_models_} models and {self.n_labels_} labels, not on "
                f"{X.shape[0]} and {X.shape[2]}"
            )
        return self._fitted.predict_proba({str(number): model for number, model in enumerate(X)})

    def predict(self, X: Probabilities) -> NDArray[np.int8]:
        """Decisions of 0 and 1, (n_rows, n_labels)."""
        check_is_fitted(self, "honest_score_")
        return self._evaluation.decision.decide(self.predict_proba(X))

    def expected_range(self, n_rows: int) -> tuple[float, float]:
        """Where the score of so many new rows like these lies in 95 of 100 cases."""
        check_is_fitted(self, "honest_score_")
        if n_rows < 1:
            raise UserError(f"n_rows = {n_rows}: a score needs a row at least")
        e = self._evaluation
        return interval(resampled_scores(e.metric, self._labels, e.predicted, new_rows=n_rows).mean(axis=0))

    def _metric(self) -> Metric:
        found = [metric for name, metric in METRICS.items() if name == self.metric]
        if not found:
            raise UserError(f"no metric {self.metric!r}; there are {', '.join(METRICS)}")
        return found[0]

    def _recipe(self) -> StackRecipe:
        options = dict(self.options or {})
        unknown = options.keys() - OPTIONS.get(self.method, set())
        if unknown:
            raise UserError(f"options {sorted(unknown)} have no meaning for method {self.method!r}")
        declared = {"method": self.method, "calibration": self.calibration, "thresholds": self.thresholds}
        try:
            return StackRecipe("stack", StackDeclaration.model_validate({**declared, **options}))
        except ValueError as error:
            raise UserError(str(error)) from error

    def _plans(
        self,
        labels: Labels,
        folds: NDArray[np.integer[Any]] | None,
        groups: NDArray[np.integer[Any]] | None,
    ) -> list[NDArray[np.int16]]:
        groups = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
        for name, given in (("folds", folds), ("groups", groups)):
            if given is not None and np.shape(given) != (len(labels),):
                raise DataError(f"{name} must have one number per row, {len(labels)}; its shape is {np.shape(given)}")
        if folds is not None:
            numbers = np.unique(folds)
            if (
                len(numbers) < 2
                or numbers.dtype.kind not in "iu"
                or not np.array_equal(numbers, np.arange(len(numbers)))
            ):
                raise DataError("folds must be whole numbers from 0 to K - 1, K at least 2, each with a row")
            return repeated_folds(np.asarray(folds).astype(np.int16), labels, groups, self.repeats, self.random_state)
        shape_only = np.arange(len(labels)) % self.n_folds
        return repeated_folds(shape_only.astype(np.int16), labels, groups, self.repeats + 1, self.random_state)[1:]


def _checked(X: Probabilities) -> NDArray[np.float32]:
    """Probabilities of at least two base models, each in [0, 1]."""
    try:
        X = np.asarray(X, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise DataError("the base models must have the same rows and labels: one array per model, all alike") from error
    if X.ndim != 3 or 0 in X.shape:
        raise DataError(f"X must have the shape (n_models, n_rows, n_labels); it has {X.shape}")
    if len(X) < 2:
        raise DataError("one base model is no stack: there must be two at least")
    for number, model in enumerate(X):
        if not np.all((model >= 0) & (model <= 1)):  # NaN is neither
            bad = int(np.flatnonzero(~np.all((model >= 0) & (model <= 1), axis=1))[0])
            raise DataError(f"base model {number}, row {bad}: a value that is no probability")
    return X


def _check_every_fold(labels: Labels, folds: NDArray[np.int16]) -> None:
    for fold in range(int(folds.max()) + 1):
        empty = np.flatnonzero(labels[folds == fold].sum(axis=0) == 0)
        if len(empty):
            raise DataError(f"label {int(empty[0])} has no positive row in fold {fold}: fewer folds, or without it")
