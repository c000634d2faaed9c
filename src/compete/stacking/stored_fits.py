"""A fitted stack as JSON and arrays, to predict with where neither training rows nor out-of-fold predictions are.

What meta-learners leave is plain: dataclasses of numbers, arrays, one another, and LightGBM's trees, which have a text
of their own. Only the classes named here are made of what is read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.errors import StoreError
from compete.stacking.ensemble.blend import FittedBlend
from compete.stacking.ensemble.boosting import FittedClassTrees, FittedLightGBM, FittedNumberTrees
from compete.stacking.ensemble.calibration import Calibration
from compete.stacking.ensemble.class_learners import FittedCalibratedClasses, FittedMultinomial, Scaling
from compete.stacking.ensemble.label_rates import LabelShift
from compete.stacking.ensemble.meta_learners import FittedCalibrated, FittedLogistic, FittedPassingConstants, Mean
from compete.stacking.ensemble.number_learners import Affine
from compete.stacking.ensemble.rank_means import FittedRanked, FittedRankMean
from compete.stacking.ensemble.ridge import FittedRidge
from compete.stacking.fitting import FittedStack
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe

Arrays = dict[str, NDArray[Any]]
_CLASSES = {
    each.__name__: each
    for each in (
        Affine,
        Calibration,
        FittedBlend,
        FittedCalibrated,
        FittedCalibratedClasses,
        FittedClassTrees,
        FittedLightGBM,
        FittedLogistic,
        FittedMultinomial,
        FittedNumberTrees,
        FittedPassingConstants,
        FittedRanked,
        FittedRankMean,
        FittedRidge,
        LabelShift,
        Mean,
        Scaling,
    )
}
_BOOSTERS = "lightgbm"


def stored_stack(fitted: FittedStack, arrays: Arrays, prefix: str) -> dict[str, Any]:
    """The stack as JSON; its arrays are put among `arrays` under names that begin with `prefix`."""
    return {
        "name": fitted.recipe.name,
        "recipe": fitted.recipe.declaration.model_dump(mode="json"),
        "models": fitted.models,
        "parts": [stored_stack(part, arrays, f"{prefix}.{number}") for number, part in enumerate(fitted.parts)],
        "candidate": fitted.candidate,
        "fitted": stored_value(fitted.fitted, arrays, f"{prefix}.fitted"),
    }


def read_stack(record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedStack:
    """The inverse; raises StoreError for what is no stored stack."""
    try:
        return FittedStack(
            StackRecipe(str(record["name"]), StackDeclaration.model_validate(record["recipe"])),
            [str(name) for name in record["models"]],
            [read_stack(part, arrays) for part in record["parts"]],
            int(record["candidate"]),
            read_value(record["fitted"], arrays),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"a stored stack cannot be read ({type(error).__name__}: {error})") from error


def stored_value(value: Any, arrays: Arrays, name: str) -> Any:
    """Numbers as they are, arrays by name, dataclasses by class and fields; raises TypeError for anything else."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays[name] = np.ascontiguousarray(value)
        return {"array": name}
    if isinstance(value, list | tuple):
        return [stored_value(each, arrays, f"{name}.{number}") for number, each in enumerate(value)]
    if type(value).__name__ in _CLASSES:
        fields = {
            field.name: stored_value(getattr(value, field.name), arrays, f"{name}.{field.name}")
            for field in dataclasses.fields(value)
        }
        return {"class": type(value).__name__, "fields": fields}
    if hasattr(value, "model_to_string"):
        return {_BOOSTERS: value.model_to_string()}
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def read_value(record: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The inverse; tuples come back as lists. Raises KeyError or TypeError for anything else."""
    if isinstance(record, Mapping):
        if "array" in record:
            return arrays[record["array"]]
        if _BOOSTERS in record:
            import lightgbm

            return lightgbm.Booster(model_str=str(record[_BOOSTERS]))
        fields = {name: read_value(value, arrays) for name, value in record["fields"].items()}
        return _CLASSES[record["class"]](**fields)
    if isinstance(record, Sequence) and not isinstance(record, str):
        return [read_value(each, arrays) for each in record]
    return record
