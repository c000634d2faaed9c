"""Which of several stacks is submitted: the simplest of those that are not surely worse than the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from compete import atomic
from compete.competition.metrics import Metric
from compete.competition.names import is_name
from compete.competition.workspace import Workspace
from compete.stacking.stack_recipes import StackRecipe
from compete.stored_json import read_json


class Contender(Protocol):
    """A recipe with its honest score, and with that of resampled rows."""

    @property
    def recipe(self) -> StackRecipe: ...

    @property
    def honest(self) -> float: ...

    @property
    def draws(self) -> NDArray[np.float64]: ...


Some = TypeVar("Some", bound=Contender)


def best_of(metric: Metric, contenders: Sequence[Some]) -> Some:
    """The one with the best honest score; of equals the first."""
    return max(contenders, key=lambda each: metric.sign * each.honest)


def choose(metric: Metric, contenders: Sequence[Some]) -> Some:
    """The simplest of the stacks that are not told apart from the best by one standard error.

    The standard error is that of the difference to the best, over the same resampled rows: what both stacks find easy
    or hard has no part in it.
    """
    best = best_of(metric, contenders)

    def behind(each: Some) -> float:
        return abs(best.honest - each.honest)

    def standard_error(each: Some) -> float:
        return float(np.std(best.draws - each.draws))

    near = [each for each in contenders if behind(each) <= standard_error(each)]
    return min(near, key=lambda each: (each.recipe.simplicity(), behind(each)))


def remember_choice(workspace: Workspace, name: str) -> None:
    """Write down which stack `compete submit` sends if none is named."""
    atomic.write_json(workspace.chosen_stack, {"stack": name})


def remembered_choice(workspace: Workspace) -> str | None:
    """The stack that was chosen last; None if none was."""
    try:
        name = read_json(workspace.chosen_stack)["stack"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if is_name(name) else None
