"""Score new texts with the models that training kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.column_names import free_name
from compete.competition.data import read_new_texts
from compete.competition.feature_columns import words_among_numbers
from compete.competition.planned import Planned
from compete.competition.task import are_probabilities
from compete.competition.workspace import Workspace
from compete.errors import DataError
from compete.execution.local import usable_cores
from compete.oof.fold_plan import with_plan
from compete.oof.results import Result
from compete.printable import shown
from compete.progress import Progress, unseen
from compete.spreadsheets import first_formula
from compete.stacking.ensemble.decision_rules import decision_from
from compete.stacking.inventory import Inventory
from compete.stacking.new_texts import predict_base_model, predict_stack
from compete.stacking.stack_recipes import load_stack_recipe
from compete.submissions.csv_file import render
from compete.submissions.form import Form, form_of_new_texts
from compete.workflows.session import Say, exclusively, load, silent


@dataclass(frozen=True)
class Predicted:
    """Probabilities, numbers or decisions of new texts."""

    source: Result
    form: Form = field(repr=False)
    values: NDArray[np.generic]
    """(n_texts, n_outputs), in the order of the texts."""

    @property
    def what(self) -> str:
        """What the values are."""
        if are_probabilities(self.form.kind):
            return "decisions" if self.form.decisions else "probabilities"
        decided = self.form.decisions and "numbers" not in self.source.score.decision
        return "grades" if decided else "numbers"

    @property
    def table(self) -> pd.DataFrame:
        """A row per text, by id, and a column per label."""
        index = pd.Index(list(self.form.ids), name=free_name("id", self.form.labels))
        return pd.DataFrame(self.values, index=index, columns=self.form.labels)

    def csv(self) -> bytes:
        """The same as a file, with the competition's column of ids."""
        return render(self.form, self.form.ids, self.form.labels, self.values)


def predict(
    workspace: Workspace,
    texts: Path | str | Sequence[str],
    what: str | None = None,
    *,
    decisions: bool = False,
    threads: int | None = None,
    say: Say = silent,
    progress: Progress = unseen,
) -> Predicted:
    """Of a stack or a base model; for no name the stack that was chosen.

    texts: path of a table with the columns of the test file, or the texts themselves, whose ids then count from 0;
    raises DataError for what is no text. decisions: 0 and 1, classes or grades in place of probabilities
    or numbers. threads: default: all cores.
    """
    with exclusively(workspace, say, reading=True):
        planned = with_plan(load(workspace, say))
        competition = planned.competition
        if isinstance(texts, (str, Path)):
            new = read_new_texts(Path(texts).expanduser(), competition.declaration.data)
            for sentence in words_among_numbers(competition.train_features, new.features, str(texts)):
                say(f"warning: {sentence}")
            ids, rows, features = new.ids, new.texts, new.features
        else:
            rows, features = _as_texts(texts), None
            ids = [str(number) for number in range(len(rows))]
        results = Inventory(planned)
        source = results.to_submit() if what is None else results.find(what)
        predicted = _probabilities(planned, source, rows, features, threads or usable_cores(), progress)
        values: NDArray[np.generic] = competition.metric.possible(predicted)
    if decisions:
        values = decision_from(source.score.decision).decide(values.astype(np.float32))
        if "numbers" in source.score.decision:
            say(f"{competition.metric.title} scores numbers: nothing is decided, and they are written as they are")
    if (formula := first_formula(ids)) is not None:
        say(
            f"the id of row {formula[0]}, {shown(formula[1])}, is a formula to a spreadsheet: in a CSV it and its like "
            "have an apostrophe before them"
        )
    return Predicted(source, form_of_new_texts(competition, ids, decisions), values)


def _as_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, pd.DataFrame):
        raise DataError("a DataFrame is no list of texts: give its column of texts")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {number} is no string: {text!r}")
    return list(texts)


def _probabilities(
    planned: Planned,
    source: Result,
    texts: Sequence[str],
    features: Mapping[str, Sequence[str]] | None,
    threads: int,
    progress: Progress,
) -> NDArray[np.float32]:
    if source.is_stack:
        recipe = load_stack_recipe(planned.workspace, source.name)
        return predict_stack(planned, recipe, texts, threads, progress, features)
    return predict_base_model(planned, source.name, texts, threads, progress, features)
