"""The stacker without a workspace, on arrays or on DataFrames.

It has an estimator's `fit`, `predict`, `score` and `get_params`. It is none that cross_val_score or GridSearchCV can
split: models come first in X, rows second. What those would tell, the honest score, is there after `fit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from compete.competition.metric_names import metric_info, metric_names
from compete.competition.metrics import Labels, Metric, Probabilities, find_metric
from compete.competition.rule_names import RuleName
from compete.errors import DataError, UserError
from compete.stacking.ensemble.alarms import find_alarms
from compete.stacking.ensemble.cross_fitting import repeated_folds
from compete.stacking.ensemble.resampling import interval, resampled_scores
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe

OPTIONS: dict[str, set[str]] = {
    "mean": {"ranks"},
    "blend": {"per"},
    "nelder_mead": {"per"},
    "logistic": {"C"},
    "ridge": {"alpha"},
    "lightgbm": {"trees"},
}


# Base models: one array, or a DataFrame per model (index: rows, columns: labels), by name or in their order.
Models = Probabilities | Sequence[pd.DataFrame] | Mapping[str, pd.DataFrame]


class LeakWarning(UserWarning):
    """Probabilities look as if the model had seen the rows it predicted, or as if they were damaged."""


class MultilabelStacker(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Combines base models' out-of-fold probabilities, sets thresholds, and says honestly how good the result is.

    method, calibration, thresholds and options ({"C": [0.1]}, {"per": "label"}, {"trees": {...}}) are a recipe's.
    metric: a name that competition.toml accepts. n_folds, repeats, random_state: of the folds over which the
    honest score is nested, where `fit` is given none.

    After `fit`: honest_score_, interval_ (its 95 % interval), naive_score_, thresholds_ ((n_labels,), or None),
    oof_proba_ (n_rows, n_labels), n_models_, n_labels_; model_names_ and label_names_, where `fit` was told any.
    """

    def __init__(
        self,
        method: Literal["mean", "blend", "nelder_mead", "logistic", "ridge", "lightgbm"] = "logistic",
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
        X: Models,
        y: Labels | pd.DataFrame,
        folds: NDArray[np.integer[Any]] | None = None,
        groups: NDArray[np.integer[Any]] | None = None,
    ) -> Self:
        """Fit on out-of-fold probabilities X (n_models, n_rows, n_labels) and labels y (n_rows, n_labels) of 0 and 1.

        DataFrames are brought into the order of y's rows and labels, or of the first model's where y is an array; other
        rows or labels than these are refused. Warns (LeakWarning) of models that seem to have seen what they predicted.

        folds: (n_rows,), the folds of the base models, 0 to K - 1. groups: (n_rows,), rows that must share a fold.
        Raises DataError, which says what is wrong with the arrays.
        """
        recipe, metric = self._recipe(), self._metric()
        recipe.rule(metric)  # refuses what the metric has no use for
        if self.n_folds < 2 or self.repeats < 1:
            raise UserError(f"n_folds = {self.n_folds}, repeats = {self.repeats}: two folds and one repeat at least")
        self.model_names_, self.label_names_ = _names(X, y)
        index = y.index if isinstance(y, pd.DataFrame) else None
        X = _checked(_in_order(X, self.model_names_, self.label_names_, index))
        labels = np.asarray(y)  # a DataFrame's own order is the order of all
        if labels.shape != X.shape[1:] or not np.isin(labels, (0, 1)).all():
            raise DataError(f"y must hold 0 and 1 in the shape {X.shape[1:]} of a base model; it has {labels.shape}")
        labels = labels.astype(np.int8)
        plans = self._plans(labels, folds, groups)
        _check_every_fold(labels, plans[0])
        self._warn(X, labels, plans[0])
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

    def predict_proba(self, X: Models) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_labels) from those of the base models, (n_models, n_rows, n_labels).

        DataFrames must have the models and labels of `fit`, in any order; the rows are those of the first.
        """
        check_is_fitted(self, "honest_score_")
        X = _checked(_in_order(X, self.model_names_, self.label_names_, None))
        if (X.shape[0], X.shape[2]) != (self.n_models_, self.n_labels_):
            raise DataError(
                f"the stack was fitted on {self.n_models_} models and {self.n_labels_} labels, not on "
                f"{X.shape[0]} and {X.shape[2]}"
            )
        return self._fitted.predict_proba({str(number): model for number, model in enumerate(X)})

    def score(self, X: Models, y: Labels | pd.DataFrame) -> float:
        """The metric on new rows; of a loss the negative, so that higher is better."""
        metric = self._metric()
        predicted = self.predict(X) if metric.decides else self.predict_proba(X)
        if isinstance(y, pd.DataFrame):
            frames = list(X.values()) if isinstance(X, Mapping) else X
            first = frames[0]
            index = first.index if isinstance(first, pd.DataFrame) else y.index
            y = _frame_in_order(y, index, self.label_names_ or list(y.columns), "y").to_numpy()
        value = metric.compute(np.asarray(y).astype(np.int8), predicted)
        return metric.sign * value

    def predict(self, X: Models) -> NDArray[np.int8]:
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

    def _warn(self, X: Probabilities, labels: Labels, folds: NDArray[np.int16]) -> None:
        models = self.model_names_ or [f"model {number}" for number in range(len(X))]
        names = self.label_names_ or [f"label {number}" for number in range(labels.shape[1])]
        # Fitting sees no test set: one without rows stands in, which raises no alarm.
        for alarm in find_alarms(models, X, X[:, :0], labels, folds, names):
            # Level 1 is this line, 2 is `fit`, 3 the line that calls `fit`.
            warnings.warn(str(alarm), LeakWarning, stacklevel=3)

    def _metric(self) -> Metric:
        info = metric_info(self.metric)
        if info is None or "multilabel" not in info.tasks:
            raise UserError(f"no metric {self.metric!r}; there are {', '.join(metric_names('multilabel'))}")
        return find_metric(self.metric)

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
        # repeated_folds begins with the plan that it is given: this one only says how many folds there are.
        shape_only = np.arange(len(labels)) % self.n_folds
        return repeated_folds(shape_only.astype(np.int16), labels, groups, self.repeats + 1, self.random_state)[1:]


def _names(X: Models, y: Labels | pd.DataFrame) -> tuple[list[str] | None, list[str] | None]:
    """Names of the models and of the labels, as far as there are any."""
    models = list(X) if isinstance(X, Mapping) else None
    each_model = X.values() if isinstance(X, Mapping) else X if isinstance(X, list | tuple) else ()
    frames = [each for each in each_model if isinstance(each, pd.DataFrame)]
    tables = [y, *frames] if isinstance(y, pd.DataFrame) else frames
    return models, list(tables[0].columns) if tables else None


def _in_order(X: Models, models: list[str] | None, labels: list[str] | None, index: pd.Index[Any] | None) -> Any:
    """DataFrames as one array with these models, rows and labels in order; anything else as it is."""
    if isinstance(X, Mapping) != (models is not None):
        raise DataError("give the models by name, in a dict, to fit and to predict, or to neither")
    if isinstance(X, Mapping):
        assert models is not None
        if set(X) != set(models):
            raise DataError(f"the models are {', '.join(map(str, X))}; expected {', '.join(map(str, models))}")
        X = [X[name] for name in models]
    if not isinstance(X, list | tuple) or not any(isinstance(each, pd.DataFrame) for each in X):
        return X
    if not all(isinstance(each, pd.DataFrame) for each in X):
        raise DataError("some models are DataFrames and some are not: rows of the others would be taken on trust")
    frames: list[pd.DataFrame] = list(X)
    names = models or [str(number) for number in range(len(frames))]
    rows = frames[0].index if index is None else index
    columns = labels or list(frames[0].columns)
    return [_frame_in_order(f, rows, columns, f"base model {n}") for n, f in zip(names, frames, strict=True)]


def _frame_in_order(frame: pd.DataFrame, index: pd.Index[Any], columns: Sequence[str], what: str) -> pd.DataFrame:
    """The same rows and columns in another order; raises DataError if they are not the same."""
    for kind, found, expected in (("rows", frame.index, index), ("labels", frame.columns, pd.Index(columns))):
        if not found.is_unique or not expected.is_unique:
            raise DataError(f"{what}: {kind} of the same name, which nobody can tell apart")
        if len(found) != len(expected) or not found.isin(expected).all():
            missing, other = expected.difference(found), found.difference(expected)
            example = f"{missing[0]!r} is missing" if len(missing) else f"{other[0]!r} is in no other"
            raise DataError(f"{what} has other {kind}: {example}")
    return frame.loc[index, list(columns)]


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
