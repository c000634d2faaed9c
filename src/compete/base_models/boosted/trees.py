"""Gradient-boosted trees of every output: LightGBM with the objective of the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.base_models.boosted.settings import TreeSettings
from compete.base_models.families import FitContext
from compete.competition.shape import Targets
from compete.competition.task import Kind
from compete.logits import sigmoid

_OUTPUTS = "outputs.safetensors"
_SMALLEST = 1e-12
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """What trees are grown on."""

    numbers: NDArray[np.float64]
    """(n_rows, n_numbers), NaN where one is missing."""
    of_categories: list[int]
    """Columns that hold codes of categories."""


@dataclass(frozen=True)
class Trees:
    """The trees of all outputs, and what they are scaled by."""

    boosters: list[Any]
    """A LightGBM Booster per output, None where there is nothing to tell apart; one for all classes."""
    starts: NDArray[np.float64]
    """(n_outputs,): of labels the logit that stands where there is no Booster, of numbers their mean."""
    spreads: NDArray[np.float64]
    """(n_outputs,): of numbers their standard deviation, which trees are grown in."""
    kind: Kind
    grades: tuple[float, ...]
    threads: int

    def predict(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_rows, n_outputs): see `competition/task.py`."""
        if self.kind == "classes":
            return self._of(self.boosters[0], numbers)
        raw = np.empty((len(numbers), len(self.starts)))
        for output, booster in enumerate(self.boosters):
            if self.kind == "labels":
                alone = sigmoid(self.starts[output])
                raw[:, output] = alone if booster is None else self._of(booster, numbers)
            else:
                added = 0.0 if booster is None else self._of(booster, numbers)
                raw[:, output] = self.starts[output] + self.spreads[output] * added
        return raw.clip(self.grades[0], self.grades[-1]) if self.kind == "grades" else raw

    def _of(self, booster: Any, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(booster.predict(numbers, num_threads=self.threads))

    def save(self, folder: Path) -> None:
        """Trees as LightGBM writes them, text; the rest as safetensors."""
        from safetensors.numpy import save_file

        save_file({"starts": self.starts, "spreads": self.spreads}, folder / _OUTPUTS)
        for number, booster in enumerate(self.boosters):
            if booster is not None:
                _file(folder, number).write_text(booster.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: FitContext) -> Trees:
        """What `save` wrote."""
        from safetensors.numpy import load_file

        weights = load_file(folder / _OUTPUTS)
        files = [_file(folder, n) for n in range(1 if context.kind == "classes" else len(weights["starts"]))]
        boosters = [_read(file.read_text(encoding="utf-8")) if file.exists() else None for file in files]
        return cls(boosters, weights["starts"], weights["spreads"], context.kind, context.grades, context.threads)


def grow(
    settings: TreeSettings, design: Design, targets: Targets, rows: tuple[Rows, Rows], context: FitContext
) -> Trees:
    """Trees of every output. rows: to fit, and to choose the number of trees on.

    targets: (n_rows, n_outputs).
    """
    parameters = _parameters(settings, context)
    n_outputs = targets.shape[1]
    starts, spreads = np.zeros(n_outputs), np.ones(n_outputs)
    boosters: list[Any] = []
    if context.kind == "classes":
        multi = {**parameters, "objective": "multiclass", "metric": "multi_logloss", "num_class": n_outputs}
        boosters = [_stopped_early(settings, multi, design, targets.argmax(axis=1).astype(np.float64), rows)]
    else:
        for output, y in enumerate(targets.T.astype(np.float64)):
            starts[output], spreads[output] = _scale(y, context.kind)
            boosters.append(_of_output(settings, parameters, design, y, starts[output], spreads[output], rows, context))
            context.progress(0.2 + 0.8 * (output + 1) / n_outputs)
    context.progress(1.0)
    return Trees(boosters, starts, spreads, context.kind, context.grades, context.threads)


def _scale(y: NDArray[np.float64], kind: Kind) -> tuple[float, float]:
    """What an output is without trees, and what they count in."""
    if kind == "labels":  # by Laplace's rule of succession
        return float(np.log((y.sum() + 1) / (len(y) - y.sum() + 1))), 1.0
    # Penalties and rates are made for errors of about 1.
    return float(y.mean()), max(float(y.std()), _SMALLEST)


def _of_output(
    settings: TreeSettings,
    parameters: dict[str, Any],
    design: Design,
    y: NDArray[np.float64],
    start: float,
    spread: float,
    rows: tuple[Rows, Rows],
    context: FitContext,
) -> Any:
    if len(np.unique(y[rows[0]])) < 2:
        return None
    if context.kind == "labels":
        binary = {**parameters, "objective": "binary", "metric": "binary_logloss"}
        return _stopped_early(settings, binary, design, y, rows)
    numbers = {**parameters, "objective": "regression", "metric": "l2"}
    return _stopped_early(settings, numbers, design, (y - start) / spread, rows)


def _stopped_early(
    settings: TreeSettings, parameters: dict[str, Any], design: Design, y: NDArray[np.float64], rows: Sequence[Rows]
) -> Any:
    """A Booster of the rows to fit, with as many trees as give the other rows the lowest loss."""
    import lightgbm

    fitted, chosen = rows

    def part(of: Rows, reference: Any = None) -> Any:
        return lightgbm.Dataset(
            design.numbers[of],
            y[of],
            reference=reference,
            categorical_feature=design.of_categories,
            params=parameters,
        )

    train = part(fitted)
    booster = lightgbm.train(
        parameters,
        train,
        settings.max_trees,
        valid_sets=[part(chosen, train)],
        callbacks=[lightgbm.early_stopping(settings.patience, verbose=False)],
    )
    # As it will be read again: the same digits, whether it was written down or not.
    return _read(booster.model_to_string(num_iteration=booster.best_iteration))


def _read(text: str) -> Any:
    import lightgbm

    return lightgbm.Booster(model_str=text)


def _file(folder: Path, number: int) -> Path:
    return folder / f"trees_{number}.txt"


def _parameters(settings: TreeSettings, context: FitContext) -> dict[str, Any]:
    """LightGBM's, but for objective and metric."""
    return {
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.num_leaves,
        "min_data_in_leaf": settings.min_data_in_leaf,
        # By default a set of categories needs a hundred rows to be told from the others.
        "min_data_per_group": settings.min_data_in_leaf,
        "feature_fraction": settings.feature_fraction,
        "lambda_l2": settings.lambda_l2,
        "seed": context.seed % 2**31,
        "num_threads": context.threads,
        "deterministic": True,
        # Else LightGBM times two ways of counting and takes the quicker, which need not be the same one every time.
        "force_col_wise": True,
        "verbosity": -1,
    }
