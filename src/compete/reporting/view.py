"""A workspace view for looking: its rows, probabilities, scores and submissions, read when they are asked for.

What is stale, damaged or only partly trained is not shown as if it were whole: `left_out` says what and why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.column_names import free_name
from compete.competition.data import Competition, load_competition
from compete.competition.folds import FoldPlan, stored_plan
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, UserError
from compete.oof import store
from compete.oof.state import ModelState, State
from compete.oof.survey import Survey, survey
from compete.oof.train import shape_of
from compete.stacking.building import remembered_choice
from compete.stacking.ensemble.decision_rules import RuleName, default_rule
from compete.stacking.recipes import load_stack_recipe, stack_names
from compete.stacking.scores import LabelScore, Score, base_model_score
from compete.stacking.stack import check_stack_fresh, stack_folder
from compete.submissions.leaderboard.expected_ranges import out_of_fold_predictions
from compete.submissions.ledger import Entry
from compete.submissions.sending import ledger_of
from compete.submissions.sources import Source

Curves = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Shown:
    """A base model or a stack that is whole and fresh.

    title: as the ledger names it; record: its manifest; seconds: of training, 0 where nobody knows.
    """

    name: str
    kind: str  # "base model" or "stack"
    title: str
    method: str  # the family of a base model, the meta-learner of a stack
    folder: Path
    score: Score
    rule: RuleName
    record: Mapping[str, Any]
    seconds: float

    @property
    def is_stack(self) -> bool:
        return self.kind == "stack"


class View:
    """What a workspace holds, as arrays and tables.

    Nothing of the workspace is changed, but that scores which were never computed are kept beside their probabilities.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._probabilities: dict[str, store.Probabilities] = {}

    def __repr__(self) -> str:
        return f"<workspace {self.name!r}: {len(self.base_models)} base models, {len(self.stacked)} stacks>"

    # What was declared, and the rows.

    @cached_property
    def competition(self) -> Competition:
        return load_competition(self.workspace)

    @property
    def name(self) -> str:
        return self.competition.declaration.name

    @property
    def metric(self) -> str:
        """The metric's name, as in competition.toml."""
        return self.competition.metric.name

    @property
    def labels(self) -> tuple[str, ...]:
        return self.competition.labels

    @cached_property
    def train(self) -> pd.DataFrame:
        """The training rows by id: `text`, then a column of 0 and 1 per label.

        Where a label is called `text` or `id`, the texts are in `_text` and the index is called `_id`.
        """
        table = self._table(self.competition.train_labels, self.competition.train_ids)
        table.insert(0, free_name("text", self.labels), self.competition.train_texts)
        return table

    @cached_property
    def test(self) -> pd.DataFrame:
        """The test rows by id: `text`, under the names that `train` has."""
        texts = {free_name("text", self.labels): self.competition.test_texts}
        return pd.DataFrame(texts, index=self._index(self.competition.test_ids))

    @cached_property
    def plan(self) -> FoldPlan | None:
        """The fold plan; None before anything was trained."""
        return stored_plan(self.workspace)

    @property
    def folds(self) -> pd.Series[int]:
        """The fold of every training row, by id."""
        if self.plan is None:
            raise UserError("there is no fold plan yet: `compete folds` makes one")
        if self.survey.plan_changes:
            raise UserError(f"the fold plan was made for another competition: {'; '.join(self.survey.plan_changes)}")
        return pd.Series(self.plan.folds, index=self._index(self.competition.train_ids), name="fold")

    # What was trained and stacked.

    @cached_property
    def survey(self) -> Survey:
        return survey(self.workspace)

    @cached_property
    def base_models(self) -> dict[str, Shown]:
        """Base models that are whole and fresh, by name."""
        return {name: self._base_model(name, s) for name, s in self.survey.states.items() if s.state is State.FRESH}

    @cached_property
    def stacked(self) -> dict[str, Shown]:
        """Stacks that are built and fresh, by name."""
        return {name: found for name, found in self._stacks.items() if isinstance(found, Shown)}

    @property
    def shown(self) -> dict[str, Shown]:
        """Base models, then stacks."""
        return {**self.base_models, **self.stacked}

    @property
    def ranked(self) -> list[Shown]:
        """Base models and stacks, the best honest score first."""
        return sorted(
            self.shown.values(), key=lambda s: s.score.honest, reverse=self.competition.metric.greater_is_better
        )

    @property
    def left_out(self) -> dict[str, str]:
        """Base models and stacks that are not shown, and why."""
        states = {name: s for name, s in self.survey.states.items() if s.state is not State.FRESH}
        stacks = {f"stack {name}": found for name, found in self._stacks.items() if isinstance(found, str)}
        found = {**{name: _why(state) for name, state in states.items()}, **stacks}
        return {name: why.replace(f"{self.workspace.root}{os.sep}", "") for name, why in found.items()}

    @cached_property
    def chosen(self) -> Shown | None:
        """The stack that was chosen last; where that is not fresh or there is none, the best stack or base model."""
        name = remembered_choice(self.workspace)
        if name in self.stacked:
            return self.stacked[name]
        candidates = [s for s in self.ranked if s.is_stack] or self.ranked
        return candidates[0] if candidates else None

    def probabilities(self, name: str) -> store.Probabilities:
        """Out-of-fold and test probabilities of a base model or a stack, (n_rows, n_labels) each."""
        if name not in self._probabilities:
            self._probabilities[name] = store.read_model(self.find(name).folder, shape_of(self.competition))
        return self._probabilities[name]

    def decisions(self, name: str) -> NDArray[Any]:
        """0 and 1 for every training row and label, by thresholds fitted on other folds; (n_rows, n_labels).

        Raises UserError where the competition's metric scores probabilities and nothing is decided.
        """
        found = self.find(name)
        if self.competition.metric.thresholds is None:
            raise UserError(f"{self.competition.metric.title} scores probabilities: nothing is decided")
        assert self.plan is not None  # what is fresh is so under a plan
        source = Source(found.title, found.name, found.folder, found.score, found.rule)
        return out_of_fold_predictions(self.competition, self.plan, source)

    def curves(self, name: str) -> dict[int, Curves]:
        """What a base model's training wrote down, a list of epochs per fold; empty where it trains in one go."""
        found, folder = {}, self.find(name).folder
        for fold in range(self.competition.declaration.folds.k):
            try:
                rows = json.loads((store.part_folder(folder, fold) / store.CURVES).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if rows:
                found[fold] = rows
        return found

    def find(self, name: str) -> Shown:
        """The base model or stack of that name; raises UserError, which says why it is not there."""
        if name in self.shown:
            return self.shown[name]
        why = self.left_out.get(name) or self.left_out.get(f"stack {name}")
        there = ", ".join(self.shown) or "none yet"
        raise UserError(f"{name}: {why}" if why else f"no base model or stack is called {name!r}; there are: {there}")

    # The same as tables.

    @property
    def models(self) -> pd.DataFrame:
        """Every base model by name: state, family, folds, honest score with its interval, naive score, seconds."""
        rows = [self._model_row(name, state) for name, state in self.survey.states.items()]
        columns = ["name", "state", "family", "folds", *_SCORES, "seconds"]
        return pd.DataFrame(rows, columns=columns).set_index("name")

    @property
    def stacks(self) -> pd.DataFrame:
        """Every stack recipe by name: state, method, honest score with its interval, naive score, whether chosen."""
        rows = []
        for name, found in self._stacks.items():
            score = _numbers(found.score) if isinstance(found, Shown) else [None] * len(_SCORES)
            state = "fresh" if isinstance(found, Shown) else self.left_out[f"stack {name}"]
            method = found.method if isinstance(found, Shown) else self._method(name)
            rows.append([name, state, method, *score, self.chosen is not None and name == self.chosen.name])
        return pd.DataFrame(rows, columns=["name", "state", "method", *_SCORES, "chosen"]).set_index("name")

    def oof(self, name: str) -> pd.DataFrame:
        """Out-of-fold probabilities, (n_rows, n_labels), by id."""
        return self._table(self.probabilities(name).oof, self.competition.train_ids)

    def test_probabilities(self, name: str) -> pd.DataFrame:
        """Probabilities of the test set, (n_rows, n_labels), by id."""
        return self._table(self.probabilities(name).test, self.competition.test_ids)

    def per_label(self, name: str) -> pd.DataFrame:
        """Precision, recall, F1 and threshold of every label under the honest decisions."""
        labels: Mapping[str, LabelScore] = self.find(name).score.labels
        return pd.DataFrame([vars(score) for score in labels.values()], index=pd.Index(labels, name="label"))

    @cached_property
    def entries(self) -> list[Entry]:
        """The ledger, oldest first."""
        return ledger_of(self.workspace).entries()

    @property
    def ledger(self) -> pd.DataFrame:
        """Every submission by number: what was known before it was sent, and what became of it."""
        rows = [
            {"number": e.number, "created": e.created, **vars(e.submission), **vars(e.outcome)} for e in self.entries
        ]
        return pd.DataFrame(rows).set_index("number") if rows else pd.DataFrame()

    def _base_model(self, name: str, state: ModelState) -> Shown:
        assert self.plan is not None  # a fresh model is so under a plan
        return Shown(
            name=name,
            kind="base model",
            title=f"base model {name}",
            method=self.survey.families.get(name, state.kind),
            folder=self.workspace.oof / name,
            score=base_model_score(self.competition, self.plan, name),
            rule=default_rule(self.competition.metric),
            record=state.whole.record,
            seconds=state.seconds,
        )

    @cached_property
    def _stacks(self) -> dict[str, Shown | str]:
        """Every stack recipe: what it gave, or why it is not shown."""
        return {name: self._stack(name) for name in stack_names(self.workspace)}

    def _stack(self, name: str) -> Shown | str:
        folder = stack_folder(self.workspace, name)
        try:
            recipe = load_stack_recipe(self.workspace, name)
            if self.plan is None or not (folder / store.MANIFEST).is_file():
                return "not built yet"
            record, score = check_stack_fresh(self.competition, self.plan, recipe, self.survey.states)
        except CompeteError as error:
            return str(error)
        method, rule = recipe.declaration.method, recipe.rule(self.competition.metric)
        return Shown(name, "stack", f"stack {name}", method, folder, score, rule, record, 0.0)

    def _method(self, name: str) -> str | None:
        try:
            return load_stack_recipe(self.workspace, name).declaration.method
        except CompeteError:
            return None

    def _model_row(self, name: str, state: ModelState) -> list[Any]:
        model = self.base_models.get(name)
        score = _numbers(model.score) if model else [None] * len(_SCORES)
        family = self.survey.families.get(name, state.kind)
        return [name, state.state.value, family, state.folds_done, *score, state.seconds]

    def _table(self, values: NDArray[np.generic], ids: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame(values, index=self._index(ids), columns=list(self.labels))

    def _index(self, ids: Sequence[str]) -> pd.Index[str]:
        return pd.Index(ids, name=free_name("id", self.labels))


_SCORES = ("honest", "low", "high", "naive")


def _numbers(score: Score) -> list[float]:
    return [getattr(score, name) for name in _SCORES]


def _why(state: ModelState) -> str:
    if state.state is State.MISSING:
        return state.how_far
    return f"{state.state.value}: {'; '.join(state.reasons)}"
