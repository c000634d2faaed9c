"""A fitted stack that is stored and read says the very same, whatever its method."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from compete.competition.metrics import find_metric
from compete.competition.task import Task
from compete.errors import StoreError
from compete.stacking.ensemble.calibration import fit_calibration
from compete.stacking.ensemble.label_rates import LabelShift
from compete.stacking.fitting import FittedStack
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe
from compete.stacking.stored_fits import Arrays, read_stack, read_value, stored_stack, stored_value

ROWS, MODELS = 200, ["one", "two", "three"]
OUTPUTS = ("a", "b", "c")
OF_LABELS: list[dict[str, Any]] = [
    {"method": "mean"},
    {"method": "mean", "ranks": True},
    {"method": "mean", "calibration": "platt"},
    {"method": "blend"},
    {"method": "blend", "per": "label", "negative": True},
    {"method": "nelder_mead"},
    {"method": "logistic"},
    {"method": "logistic", "calibration": "temperature"},
    {"method": "ridge"},
    {"method": "lightgbm"},
]
OF_CLASSES: list[dict[str, Any]] = [
    {"method": "mean"},
    {"method": "blend"},
    {"method": "logistic", "calibration": "vector"},
    {"method": "ridge"},
    {"method": "lightgbm"},
]
OF_NUMBERS: list[dict[str, Any]] = [
    {"method": "mean"},
    {"method": "blend"},
    {"method": "nnls"},
    {"method": "ridge"},
    {"method": "lightgbm"},
]
CASES = [
    *(("multilabel", "f1_macro", each) for each in OF_LABELS),
    *(("multiclass", "multiclass_log_loss", each) for each in OF_CLASSES),
    *(("regression", "mcrmse", each) for each in OF_NUMBERS),
]


def materials(task: str) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Predictions (3, ROWS, 3) of three models that are better than chance, and what is true."""
    random = np.random.default_rng(0)
    signal = random.normal(size=(ROWS, 3))
    numbers = (signal + random.normal(size=(3, ROWS, 3))).astype(np.float32)
    if task == "regression":
        return numbers, signal.astype(np.float32)
    if task == "multiclass":
        each = np.exp(numbers)
        return (each / each.sum(axis=2, keepdims=True)).astype(np.float32), np.eye(3, dtype=np.int8)[
            signal.argmax(axis=1)
        ]
    return (1 / (1 + np.exp(-numbers))).astype(np.float32), (signal > 0.3).astype(np.int8)


@pytest.mark.parametrize(("task", "metric", "declared"), CASES, ids=lambda value: str(value)[:60])
def test_it_says_the_same(task: Any, metric: str, declared: dict[str, Any]) -> None:
    predicted, true = materials(task)
    recipe = StackRecipe("stack", StackDeclaration(**declared))
    learner = recipe.candidates(find_metric(metric).of(Task(task, OUTPUTS)))[0]
    fitted = FittedStack(recipe, MODELS, [], 0, learner.fit(predicted, true))
    arrays: Arrays = {}
    text = json.dumps(stored_stack(fitted, arrays, "0"))
    again = read_stack(json.loads(text), load(save(arrays)) if arrays else {})
    base = dict(zip(MODELS, predicted, strict=True))
    assert np.array_equal(fitted.predict_proba(base), again.predict_proba(base))
    assert again.recipe == recipe


def test_a_stack_of_stacks_and_a_shift_say_the_same() -> None:
    predicted, true = materials("multilabel")
    metric = find_metric("f1_macro").of(Task("multilabel", OUTPUTS))
    inner = [StackRecipe(name, StackDeclaration(method=name)) for name in ("mean", "logistic")]
    parts = [FittedStack(r, MODELS, [], 0, r.candidates(metric)[0].fit(predicted, true)) for r in inner]
    outer = StackRecipe("top", StackDeclaration(method="blend", stacks=["mean", "logistic"]))
    base = dict(zip(MODELS, predicted, strict=True))
    seen = np.stack([part.predict_proba(base) for part in parts]).astype(np.float32)
    fitted = FittedStack(outer, [], parts, 0, outer.candidates(metric)[0].fit(seen, true))
    shift = LabelShift(fit_calibration(true, predicted[0]), true.mean(axis=0), np.array([0.5, 0.2, 0.1]))
    arrays: Arrays = {}
    record = json.loads(json.dumps([stored_stack(fitted, arrays, "0"), stored_value(shift, arrays, "shift")]))
    stack, read = read_stack(record[0], arrays), read_value(record[1], arrays)
    cells = fitted.predict_proba(base)
    assert np.array_equal(cells, stack.predict_proba(base))
    assert np.array_equal(shift.apply(cells), read.apply(cells))


@pytest.mark.parametrize(
    "fitted", [{"class": "Popen", "fields": {}}, {"class": "Mean", "fields": {"x": 1}}, {"array": "nowhere"}, {}]
)
def test_only_what_is_known_is_made_of_what_is_read(fitted: Any) -> None:
    record = {"name": "x", "recipe": {"method": "mean"}, "models": [], "parts": [], "candidate": 0, "fitted": fitted}
    with pytest.raises(StoreError, match="a stored stack cannot be read"):
        read_stack(record, {})


def test_what_is_no_number_cannot_be_stored() -> None:
    with pytest.raises(TypeError, match="a object cannot be stored"):
        stored_value(object(), {}, "x")
