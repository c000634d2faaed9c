"""Every base model: folds done, stale or fresh, honest score, training time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compete.competition.declaration import hidden_test_said
from compete.competition.workspace import Workspace
from compete.oof.honest_scores import Score
from compete.oof.state import ModelState, State
from compete.oof.survey import Survey, survey
from compete.stacking.scoring import whole_model_scores

if TYPE_CHECKING:  # `compete status` answers before pandas would be there
    import pandas as pd


@dataclass(frozen=True)
class Status:
    """What lies in oof/."""

    survey: Survey
    states: dict[str, ModelState]
    """Of the models that were asked for."""
    scores: dict[str, Score]
    """Of those that are whole."""
    undefined: str = ""
    """Why there are no scores, where the metric has no value on these rows."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per model: state, family, folds done, honest score with its interval, naive score, seconds."""
        from compete.reporting.frames import models_frame

        return models_frame(self.states, self.survey.families, self.scores)

    def notices(self, *, warnings: bool = False) -> list[str]:
        """Why something has no score, is stale or damaged; with `warnings` also what training warned of."""
        from compete.oof.guards import warning_lines

        found = [self.undefined] if self.undefined else []
        if self.survey.declaration.data.hidden_test:
            found.append(hidden_test_said())
        for change in self.survey.plan_changes:
            found.append(f"the competition was edited after the fold plan was made: {change}")
        for name, state in self.states.items():
            if state.state in (State.STALE, State.DAMAGED, State.ORPHAN):
                found.append(f"{name} is {state.state}: {'; '.join(state.reasons)}")
            elif state.unfit:
                found.append(f"{name}: {state.unfit}")
            if state.flattery:
                found.append(state.flattery)
            if warnings:
                found += [f"warning: {name}: {line}" for line in warning_lines(state.warnings, len(state.parts))]
        return found


def status(workspace: Workspace, only: Sequence[str] = (), *, scoring: bool = False) -> Status:
    """Of the named models, or of all.

    scoring: run a metric of the user's own for models that it never scored; to look at a workspace runs none of its
    code.
    """
    found = survey(workspace)
    states = {name: state for name, state in found.states.items() if not only or name in only}
    undefined: list[str] = []
    scores = whole_model_scores(workspace, found.declaration, states, undefined.append, own_metric=scoring)
    return Status(found, states, scores, "".join(undefined))
