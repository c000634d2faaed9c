"""A workspace view for looking: its rows, probabilities, scores and submissions, read when they are asked for.

What is stale, damaged or only partly trained is not shown as if it were whole: `left_out` says what and why.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.column_names import free_name
from compete.competition.data import Competition, load_competition
from compete.competition.folds import FoldPlan, stored_plan
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, StoreError, UserError
from compete.experiments.run_log import Log, read_log
from compete.experiments.tuning.stored import StudyRecord, read_trials, tuned_recipes
from compete.oof import store
from compete.oof.honest_scores import LabelScore, TargetScore
from compete.oof.results import Missing, Result, missing_base_model
from compete.oof.survey import Survey, survey
from compete.reporting.frames import SCORE, ledger_frame, models_frame, score_numbers
from compete.stacking.choosing import remembered_choice
from compete.stacking.inventory import Inventory, not_built
from compete.stacking.stack_recipes import load_stack_recipe, stack_names
from compete.stored_json import read_json
from compete.submissions.leaderboard.expected_ranges import out_of_fold_predictions
from compete.submissions.ledger import Entry, ledger_of

Curves = Sequence[Mapping[str, float]]


class View:
    """What a workspace holds, as arrays and tables.

    Nothing of the workspace is changed, but that scores which were never computed are kept beside their probabilities.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._probabilities: dict[str, store.Predictions] = {}

    def forget(self) -> None:
        """Read everything again when it is asked for next: something was done in the workspace."""
        for name, value in vars(View).items():
            if isinstance(value, cached_property):
                # A cached property keeps its value there, and is computed anew once that is gone.
                self.__dict__.pop(name, None)
        self._probabilities.clear()

    def __repr__(self) -> str:
        try:
            return f"<workspace {self.name!r}: {len(self.base_models)} base models, {len(self.stacked)} stacks>"
        except CompeteError:  # its data may still have to be downloaded, or its competition.toml filled in
            return f"<workspace {self.workspace.root.name!r}, not ready: `compete status` says why>"

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
        """The training rows by id: `text`, then a column per label or class (0 and 1) or target (numbers).

        Where a label is called `text` or `id`, the texts are in `_text` and the index is called `_id`.
        """
        table = self._table(self.competition.train_targets, self.competition.train_ids)
        table.insert(0, free_name("text", self.labels), self.competition.train_texts)
        return table

    @cached_property
    def test(self) -> pd.DataFrame:
        """The test rows by id: `text`, under the names that `train` has."""
        texts = {free_name("text", self.labels): self.competition.test_texts}
        return pd.DataFrame(texts, index=self._index(self.competition.test_ids))

    @cached_property
    def fold_plan(self) -> FoldPlan | None:
        """The fold plan; None before anything was trained."""
        return stored_plan(self.workspace)

    @property
    def folds(self) -> pd.Series[int]:
        """The fold of every training row, by id."""
        if self.fold_plan is None:
            raise UserError("there is no fold plan yet: `compete folds` makes one")
        if self.survey.plan_changes:
            raise UserError(f"the fold plan was made for another competition: {'; '.join(self.survey.plan_changes)}")
        return pd.Series(self.fold_plan.folds, index=self._index(self.competition.train_ids), name="fold")

    # What was trained and stacked.

    @cached_property
    def survey(self) -> Survey:
        return survey(self.workspace)

    @cached_property
    def results(self) -> Inventory | None:
        """What was trained and stacked under the fold plan; None where there is no plan."""
        return (
            None if self.fold_plan is None else Inventory(Planned(self.competition, self.fold_plan), self.survey.states)
        )

    @cached_property
    def base_models(self) -> dict[str, Result]:
        """Base models that are whole and fresh, by name."""
        return {name: found for name, found in self._base_models.items() if isinstance(found, Result)}

    @cached_property
    def stacked(self) -> dict[str, Result]:
        """Stacks that are built and fresh, by name."""
        return {name: found for name, found in self._stacks.items() if isinstance(found, Result)}

    @property
    def shown(self) -> dict[str, Result]:
        """Base models, then stacks."""
        return {**self.base_models, **self.stacked}

    @property
    def ranked(self) -> list[Result]:
        """Base models and stacks, the best honest score first."""
        sign = self.competition.metric.sign
        return sorted(self.shown.values(), key=lambda result: -sign * result.score.honest)

    @property
    def missing(self) -> dict[str, Missing]:
        """Base models, then stacks as "stack NAME", that are not shown, and why."""
        models = {name: found for name, found in self._base_models.items() if isinstance(found, Missing)}
        return models | {f"stack {name}": found for name, found in self._stacks.items() if isinstance(found, Missing)}

    @property
    def left_out(self) -> dict[str, str]:
        """Base models and stacks that are not shown, and why, in words."""
        return {name: self._shortened(found.text) for name, found in self.missing.items()}

    @cached_property
    def chosen(self) -> Result | None:
        """The stack that was chosen last; where that is not fresh or there is none, the best stack or base model."""
        name = remembered_choice(self.workspace)
        if name in self.stacked:
            return self.stacked[name]
        candidates = [result for result in self.ranked if result.is_stack] or self.ranked
        return candidates[0] if candidates else None

    def probabilities(self, name: str) -> store.Predictions:
        """Out-of-fold and test predictions of a base model or a stack, (n_rows, n_outputs) each."""
        if name not in self._probabilities:
            self._probabilities[name] = store.read_model(self.find(name).folder, self.competition.shape)
        return self._probabilities[name]

    def decisions(self, name: str) -> NDArray[Any]:
        """0 and 1 for every training row and label or class, or its grades, by what was fitted on other folds;
        (n_rows, n_outputs).

        Raises UserError where the competition's metric scores probabilities or numbers and nothing is decided.
        """
        found = self.find(name)
        if not self.competition.metric.decides:
            raise UserError(
                f"{self.competition.metric.title} scores {self.competition.metric.wants}: nothing is decided"
            )
        assert self.results is not None  # it was found there
        return out_of_fold_predictions(self.results.planned, found)

    def curves(self, name: str) -> dict[int, Curves]:
        """What a base model's training wrote down, a list of epochs per fold; empty where it trains in one go."""
        found, folder = {}, self.find(name).folder
        for fold in range(self.competition.declaration.folds.k):
            try:
                rows = read_json(folder.part(fold).curves)
            except (OSError, ValueError):
                continue
            if rows and _are_curves(rows):
                found[fold] = rows
        return found

    def find(self, name: str) -> Result:
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
        scores = {name: model.score for name, model in self.base_models.items()}
        return models_frame(self.survey.states, self.survey.families, scores)

    @property
    def stacks(self) -> pd.DataFrame:
        """Every stack recipe by name: state, method, honest score with its interval, naive score, whether chosen."""
        rows = []
        for name, found in self._stacks.items():
            score = score_numbers(found.score if isinstance(found, Result) else None)
            state = "fresh" if isinstance(found, Result) else self._shortened(found.text)
            method = found.method if isinstance(found, Result) else self._method(name)
            rows.append([name, state, method, *score, self.chosen is not None and name == self.chosen.name])
        return pd.DataFrame(rows, columns=["name", "state", "method", *SCORE, "chosen"]).set_index("name")

    def oof(self, name: str) -> pd.DataFrame:
        """Out-of-fold probabilities or numbers, (n_rows, n_outputs), by id."""
        return self._table(self.probabilities(name).oof, self.competition.train_ids)

    def test_probabilities(self, name: str) -> pd.DataFrame:
        """Probabilities or numbers of the test set, (n_rows, n_outputs), by id."""
        return self._table(self.probabilities(name).test, self.competition.test_ids)

    def per_label(self, name: str) -> pd.DataFrame:
        """Precision, recall, F1 and threshold of every label or class under the honest decisions; empty of numbers."""
        labels: Mapping[str, LabelScore] = self.find(name).score.labels
        rows, columns = [vars(score) for score in labels.values()], [each.name for each in fields(LabelScore)]
        return pd.DataFrame(rows, index=pd.Index(list(labels), name="label"), columns=columns)

    def per_target(self, name: str) -> pd.DataFrame:
        """RMSE, MAE, Pearson correlation, bias and share of right grades of every target under the honest predictions;
        empty where labels or classes are predicted."""
        targets: Mapping[str, TargetScore] = self.find(name).score.targets
        rows = [vars(score) for score in targets.values()]
        columns = [each.name for each in fields(TargetScore)]
        return pd.DataFrame(rows, index=pd.Index(list(targets), name="target"), columns=columns)

    @cached_property
    def tunings(self) -> dict[str, list[StudyRecord]]:
        """What `compete tune` tried, by recipe: everything that is stored, oldest first."""
        found = {name: read_trials(self.workspace.tuning(name)) for name in tuned_recipes(self.workspace)}
        return {name: studies for name, studies in found.items() if studies}

    @cached_property
    def entries(self) -> list[Entry]:
        """The ledger, oldest first."""
        return ledger_of(self.workspace).entries()

    @property
    def ledger(self) -> pd.DataFrame:
        """Every submission by number: what was known before it was sent, and what became of it."""
        return ledger_frame(self.entries)

    @cached_property
    def log_of_runs(self) -> Log:
        """What was run here; empty where the log cannot be read, with the reason among what is damaged."""
        try:
            return read_log(self.workspace)
        except StoreError as error:
            return Log([], [str(error)])

    @cached_property
    def _base_models(self) -> dict[str, Result | Missing]:
        states = self.survey.states
        if self.results is None:
            return {name: missing_base_model(state) for name, state in states.items()}
        return {name: self.results.base_model(name) for name in states}

    @cached_property
    def _stacks(self) -> dict[str, Result | Missing]:
        """Every stack recipe: what it gave, or why it is not shown."""
        names = stack_names(self.workspace)
        if self.results is None:
            return {name: not_built(name) for name in names}
        return {name: self.results.stack(name) for name in names}

    def _shortened(self, text: str) -> str:
        """A message with paths as they lie in the workspace."""
        return text.replace(f"{self.workspace.root}{os.sep}", "")

    def _method(self, name: str) -> str | None:
        try:
            return load_stack_recipe(self.workspace, name).declaration.method
        except CompeteError:
            return None

    def _table(self, values: NDArray[np.generic], ids: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame(values, index=self._index(ids), columns=list(self.labels))

    def _index(self, ids: Sequence[str]) -> pd.Index[str]:
        return pd.Index(ids, name=free_name("id", self.labels))


def _are_curves(rows: object) -> bool:
    """Whether a file holds what a training writes: numbers by name, epoch by epoch."""
    return isinstance(rows, list) and all(
        isinstance(row, dict) and all(isinstance(value, int | float) for value in row.values()) for row in rows
    )
