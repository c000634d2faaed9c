"""The stacks of a pack, one for every step of its manifest: workspace/steps.json and steps.safetensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from compete import atomic
from compete.errors import PackError, StoreError
from compete.stacking.ensemble.label_rates import LabelShift
from compete.stacking.fitting import FittedStack
from compete.stacking.row_inputs import NOTHING, RowInputs
from compete.stacking.stored_fits import Arrays, read_stack, read_value, stored_stack, stored_value
from compete.stored_json import read_json

_RECORD, _ARRAYS = "steps.json", "steps.safetensors"


@dataclass(frozen=True)
class StoredStep:
    """How the members of a step become probabilities."""

    members: Sequence[str]
    stack: FittedStack | None
    """None: the one member as it is."""
    shift: LabelShift | None = None
    """What corrects the stack for the label rates of the test set, where its recipe asks for that."""

    def predict(self, base: Mapping[str, NDArray[np.float32]], rows: RowInputs = NOTHING) -> NDArray[np.float32]:
        """(n_rows, n_outputs) of those of the members, by name."""
        if self.stack is None:
            return base[self.members[0]]
        found = self.stack.predict_proba(base, rows)
        return (self.shift.apply(found) if self.shift is not None else found).astype(np.float32)

    @property
    def wants_counts(self) -> bool:
        return self.stack is not None and any(recipe.row_features for recipe in _declared(self.stack))

    @property
    def wants_features(self) -> bool:
        return self.stack is not None and any(recipe.features for recipe in _declared(self.stack))


def _declared(stack: FittedStack) -> list[Any]:
    return [stack.recipe.declaration, *(each for part in stack.parts for each in _declared(part))]


def write_steps(folder: Path, steps: Sequence[StoredStep]) -> None:
    """Write them into a folder."""
    arrays: Arrays = {}
    record = [
        {
            "members": list(step.members),
            "stack": None if step.stack is None else stored_stack(step.stack, arrays, str(number)),
            "shift": stored_value(step.shift, arrays, f"{number}.shift"),
        }
        for number, step in enumerate(steps)
    ]
    atomic.write_json(folder / _RECORD, record)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / _ARRAYS)


def read_steps(folder: Path) -> list[StoredStep]:
    """The inverse; raises PackError for what is not what `write_steps` writes."""
    try:
        arrays = load_file(folder / _ARRAYS)
        return [
            StoredStep(
                [str(name) for name in each["members"]],
                None if each["stack"] is None else read_stack(each["stack"], arrays),
                read_value(each["shift"], arrays),
            )
            for each in read_json(folder / _RECORD)
        ]
    except (OSError, ValueError, KeyError, TypeError, StoreError, SafetensorError) as error:
        raise PackError(f"{folder / _RECORD} cannot be read ({type(error).__name__}: {error})") from None
