"""A result that holds, a base model's or a stack's, or why it is none.

Which there are is told by `compete.stacking.inventory`, since a stack holds only as long as its base models do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from compete.competition.rule_names import RuleName
from compete.competition.workspace import Kind, ResultFolder
from compete.errors import CompeteError, StoreError
from compete.oof import store
from compete.oof.honest_scores import Score
from compete.oof.state import ModelState, State


@dataclass(frozen=True)
class Result:
    """A base model or a stack that is whole and fresh."""

    kind: Kind
    name: str
    method: str
    """The family of a base model, the meta-learner of a stack."""
    folder: ResultFolder
    score: Score
    rule: RuleName
    """How its probabilities become decisions."""
    record: Mapping[str, Any]
    """Its manifest."""
    seconds: float = 0.0
    """Of training; 0 where nobody knows."""

    @property
    def title(self) -> str:
        """As the ledger names it."""
        return f"{self.kind} {self.name}"

    @property
    def is_stack(self) -> bool:
        return self.kind == "stack"


def probabilities_hash(result: Result) -> str:
    """Of its test probabilities; the ledger has it, and tells by it which submission was made of just these."""
    return store.hash_of(result.record, result.folder.test)[:16]


class Reason(Enum):
    """Why a result is missing."""

    NOT_TRAINED = "not trained yet"
    PARTLY_TRAINED = "not all folds are trained"
    NOT_BUILT = "not built yet"
    STALE = "made from other rows, another recipe or other base models than there are now"
    DAMAGED = "a file is not as compete wrote it"
    RECIPE_GONE = "its recipe is gone"
    RECIPE_WRONG = "its recipe has a mistake"

    @property
    def is_news(self) -> bool:
        """Whether the user has to be told: of what was never made, nobody expects to see anything."""
        return self not in (Reason.NOT_TRAINED, Reason.NOT_BUILT)


@dataclass(frozen=True)
class Missing:
    """A result that is not there."""

    kind: Kind
    reason: Reason
    text: str
    """What is wrong, in a sentence without a full stop."""
    error: CompeteError
    """What to raise where the result was asked for by name."""


_OF_STATE = {State.STALE: Reason.STALE, State.DAMAGED: Reason.DAMAGED, State.ORPHAN: Reason.RECIPE_GONE}


def missing_base_model(state: ModelState) -> Missing:
    """Why a base model in this state, which is not fresh, is no result."""
    reason = _OF_STATE.get(state.state, Reason.PARTLY_TRAINED if state.folds_done else Reason.NOT_TRAINED)
    why = "; ".join(state.reasons) or state.how_far
    error = StoreError(
        f"the base model {state.name!r} is {state.state}: {why}. First: `compete train-base {state.name}`"
    )
    return Missing("base model", reason, f"{state.state}: {why}" if state.reasons else state.how_far, error)
