"""What a submission of a competition must look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

import pandas as pd

from compete.competition.data import Competition
from compete.competition.layouts import COLUMNS, JSON, Layout
from compete.competition.manner import PLAIN, Manner
from compete.competition.sample_submission import decided_layout
from compete.competition.task import Kind, Task, are_probabilities

Key = tuple[str, ...]
"""What names a row of the file: its id, or a cell of each key column."""


@dataclass(frozen=True)
class Form:
    """What a submission must look like."""

    columns: Sequence[str]
    """Its columns, in the order of the sample."""
    ids: Sequence[str]
    """The rows of test in the order of the sample."""
    decisions: bool
    """Whether it holds decisions; else probabilities, or numbers."""
    id_at: int = 0
    """Place of the id among the columns."""
    manner: Manner = PLAIN
    """How the sample is written."""
    layout: Layout = COLUMNS
    task: Task | None = None
    """None: multilabel, a column per label."""

    @property
    def id_column(self) -> str:
        return self.columns[self.id_at]

    @property
    def labels(self) -> list[str]:
        """The outputs, in the order of the columns where each has one."""
        if self.layout.name == "columns" or self.task is None:
            return [name for name in self.columns if name != self.id_column]
        return list(self.task.outputs)

    @property
    def kind(self) -> Kind:
        return "labels" if self.task is None else self.task.kind

    @property
    def one_answer(self) -> bool:
        """Whether a row's values are one answer: a class, or a ranking."""
        return self.layout.ranked or (self.kind == "classes" and self.decisions)

    @property
    def predicted(self) -> str:
        """What a model says that decides nothing."""
        return "probabilities" if are_probabilities(self.kind) else "numbers"

    @property
    def names(self) -> list[str]:
        """The columns as the sample writes them."""
        return self.manner.names(self.columns)

    @property
    def key_columns(self) -> list[str]:
        return list(self.layout.key_columns) or [self.id_column]

    @property
    def value_columns(self) -> list[str]:
        return [name for name in self.columns if name not in self.key_columns]

    @cached_property
    def keys(self) -> list[Key]:
        """What names the rows of the file, in order."""
        return list(self.layout.keys) or [(name,) for name in self.ids]

    def keys_of(self, table: pd.DataFrame) -> list[Key]:
        """The same of another table with these columns; blanks around an id are part of it."""
        first, *others = self.key_columns
        return list(zip(table[first], *(table[name].str.strip() for name in others), strict=True))


def submission_form(competition: Competition) -> Form:
    """The form of the sample submission, or the usual one of the task where none is declared."""
    sample = competition.sample
    wanted = competition.declaration.metric_info.wants == "decisions" and not sample.layout.ranked
    # Names of classes and lists of labels say nothing but decisions, whatever the metric looks at.
    decisions = wanted or (sample.layout.name in ("class", "list") and not sample.layout.ranked)
    return Form(sample.columns, sample.ids, decisions, sample.id_at, sample.manner, sample.layout, competition.task)


def form_of_new_texts(competition: Competition, ids: Sequence[str], decisions: bool) -> Form:
    """A plain form for other rows than those of test: a column per output; decisions as train has them."""
    declared, task = competition.declaration, competition.task
    layout = decided_layout(declared, task, competition.label_columns) if decisions else COLUMNS
    columns = task.outputs if layout.name == "columns" else (layout.column,)
    manner = Manner(formulas=False)  # a file for people: no competition asks for it letter by letter
    return Form([declared.data.id, *columns], ids, decisions, manner=manner, layout=layout, task=task)


def plain_labels(competition: Competition) -> bool:
    """Whether a submission has a column per label, of which there is little to say."""
    return competition.task.name == "multilabel" and competition.sample.layout.name == "columns"


def understood(competition: Competition) -> str:
    """What a submission has, in a sentence."""
    form, sample = submission_form(competition), competition.sample
    seen = f" in {PurePath(sample.file).name}" if sample.file else ", as no sample submission is declared"
    return f"a submission has {_what(form, competition.task)}{seen}"


def _what(form: Form, task: Task) -> str:
    layout, nouns = form.layout, "classes" if form.kind == "classes" else f"{task.noun}s"
    if layout.name == "class":
        return f"one column of class names, as {layout.column}"
    if layout.name == "list":
        how = "as JSON lists" if layout.separator == JSON else f"parted by {layout.separator!r}"
        what = f"the {layout.most} most probable {nouns} in order" if layout.ranked else f"several {nouns}"
        return f"one column with {what}, {how}, as {layout.column}"
    if layout.name == "long":
        return f"a row per id and {task.noun}, and {_values(form)} as {layout.column}"
    each = "one column" if len(task.outputs) == 1 else f"a column per {task.noun}"
    return f"{each} of {_values(form)}, as {form.labels[0]}"


def _values(form: Form) -> str:
    if are_probabilities(form.kind):
        return f"{form.manner.off_on[0]} and {form.manner.off_on[1]}" if form.decisions else "probabilities"
    digits = form.layout.digits
    numbers = f"numbers with {digits} digit{'s' * (digits > 1)} after the point" if digits else "numbers"
    return "grades" if form.decisions and form.kind == "grades" else numbers
