"""A user's own metric: a function in a Python file of the workspace."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compete.allowed_code import check_allowed
from compete.competition.metric_names import Wants
from compete.competition.metrics.metric import Metric, Predicted, Truth
from compete.competition.task import TaskName
from compete.errors import UserError
from compete.users_code import import_file

_TASKS: dict[Wants, tuple[TaskName, ...]] = {
    "decisions": ("multilabel", "binary", "multiclass", "ordinal"),
    "probabilities": ("multilabel", "binary", "multiclass"),
    "numbers": ("regression", "ordinal"),
}


def own_metric(file: Path, function: str, greater_is_better: bool, wants: Wants) -> Metric:
    """The metric that a function of the file computes: function(truth, predicted) -> a number.

    Both are arrays (n_rows, n_outputs), as `Metric.compute` has them, and read-only. The file is run when first
    something is computed. Raises UserError then, if nobody has allowed it (`compete allow`), if it cannot be imported,
    has no such function, or if that raises something or returns no finite number. Nothing is known of the function's
    sums over rows and of its bounds: intervals call it a thousand times.
    """
    return Metric(
        name=function,
        title=function,
        thresholds="shared" if wants == "decisions" else None,
        greater_is_better=greater_is_better,
        compute=_OwnFunction(file, function),
        tasks=_TASKS[wants],
        wants=wants,
    )


@dataclass(frozen=True)
class _OwnFunction:
    """Equal to another of the same file and name, and can be sent to another process, as the function cannot."""

    file: Path
    name: str

    def __call__(self, truth: Truth, predicted: Predicted) -> float:
        shown = f"{self.file.name}: {self.name}"
        function = _function(self.file, self.name, _changed(self.file))
        try:
            found = function(_read_only(truth), _read_only(predicted))
        except (Exception, SystemExit) as error:  # whatever the user's function raises is the user's to see
            raise UserError(f"{shown} raised {type(error).__name__}: {error}") from error
        if not isinstance(found, numbers.Real):
            raise UserError(f"{shown} returned {type(found).__name__}; a metric has to return one number")
        if not math.isfinite(found):
            raise UserError(f"{shown} returned {found}; a metric has to return a finite number")
        return float(found)


@lru_cache(maxsize=16)
def _function(file: Path, name: str, changed: int) -> Callable[..., object]:
    """The file's function, imported anew after a change of the file."""
    check_allowed(file)
    function: object = vars(import_file(file, file.name)).get(name)
    if not callable(function):
        raise UserError(f"{file.name} has no function {name!r}")
    return function


def _changed(file: Path) -> int:
    """When the file was last written, in nanoseconds."""
    try:
        return file.stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error


def _read_only(values: NDArray[np.generic]) -> NDArray[np.generic]:
    view = values.view()
    view.flags.writeable = False
    return view
