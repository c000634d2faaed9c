"""What predicting needs to know of a competition where its rows are not: workspace/facts.json of a pack."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compete import atomic
from compete.competition.feature_columns import FeatureColumns
from compete.competition.layouts import Layout, keys_alike
from compete.competition.manner import Manner
from compete.competition.planned import Planned
from compete.competition.rare_labels import Learnt
from compete.competition.sample_submission import SampleSubmission
from compete.competition.task import Task
from compete.errors import PackError
from compete.stored_json import read_json
from compete.submissions.form import Form, submission_form

_FILE = "facts.json"
_SHOWN_KEYS = 2000  # of a sample with a row per id and output: enough to tell how its rows are named and ordered


@dataclass(frozen=True)
class Facts:
    """Of a competition, what its rows told when the pack was made."""

    task: Task
    label_columns: tuple[str, ...]
    learnt: Learnt
    form: Form
    """Of a submission; its rows are those of the visible test set."""
    features: FeatureColumns | None
    """How cells of the declared columns become numbers for a stack; None where none are declared."""
    decides: bool
    """Whether decisions are submitted, by the metric."""

    def form_of(self, ids: Sequence[str]) -> Form:
        """The form of a submission of other rows, in their order; raises PackError where the sample shows no way."""
        layout = self.form.layout
        if layout.name != "long":
            return replace(self.form, ids=list(ids))
        rows = keys_alike(layout, ids, self.task.outputs)
        if rows is None:
            raise PackError("the sample submission shows no way to name rows of other ids: give it with --sample")
        return replace(self.form, ids=list(ids), layout=rows)

    def form_like(self, sample: SampleSubmission) -> Form:
        """The form of a sample submission that lists the rows to predict."""
        decisions = self.form.decisions
        return Form(sample.columns, sample.ids, decisions, sample.id_at, sample.manner, sample.layout, self.task)


def facts_of(planned: Planned) -> Facts:
    """Of a competition whose rows are here."""
    competition, form = planned.competition, submission_form(planned.competition)
    names = sorted(competition.declaration.data.features)
    cells = competition.train_features
    return Facts(
        competition.task,
        competition.label_columns,
        planned.learnt,
        form,
        FeatureColumns.fit([cells[name] for name in names]) if names else None,
        form.decisions and competition.declaration.metric_info.wants == "decisions",
    )


def write_facts(folder: Path, facts: Facts) -> None:
    """Write them into a folder; of the visible rows nothing but what tells how rows are named."""
    form, layout = facts.form, facts.form.layout
    some = replace(layout, rows=layout.rows[:_SHOWN_KEYS], keys=layout.keys[:_SHOWN_KEYS])
    known = facts.features
    record = {
        "task": dataclasses.asdict(facts.task),
        "label_columns": list(facts.label_columns),
        "learnt": {"mask": facts.learnt.mask.tolist(), "constant": facts.learnt.constant},
        "form": {
            "columns": list(form.columns),
            "decisions": form.decisions,
            "id_at": form.id_at,
            "manner": dataclasses.asdict(form.manner),
            "layout": dataclasses.asdict(some),
        },
        "features": None if known is None else known.categories,
        "decides": facts.decides,
    }
    atomic.write_json(folder / _FILE, record)


def read_facts(folder: Path) -> Facts:
    """The inverse; raises PackError for what is not what `write_facts` writes."""
    try:
        return _facts(read_json(folder / _FILE))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PackError(f"{folder / _FILE} cannot be read ({type(error).__name__}: {error})") from None


def _facts(record: Mapping[str, Any]) -> Facts:
    told, written = record["task"], record["form"]
    task = Task(told["name"], tuple(map(str, told["outputs"])), tuple(map(float, told["grades"])))
    mask = np.array(record["learnt"]["mask"], dtype=np.bool_)
    if mask.shape != (len(task.outputs),):
        raise ValueError("a mask of other labels")
    manner = {**written["manner"], "around": tuple(map(tuple, written["manner"]["around"]))}
    manner["off_on"] = tuple(manner["off_on"])
    layout = {key: written["layout"][key] for key in ("name", "column", "separator", "most", "digits")}
    form = Form(
        tuple(map(str, written["columns"])),
        [],
        bool(written["decisions"]),
        int(written["id_at"]),
        Manner(**manner),
        Layout(
            **layout,
            rows=[tuple(row) for row in written["layout"]["rows"]],
            keys=[tuple(key) for key in written["layout"]["keys"]],
            key_columns=tuple(map(str, written["layout"]["key_columns"])),
        ),
        task,
    )
    categories = record["features"]
    known = None if categories is None else tuple(None if column is None else tuple(column) for column in categories)
    return Facts(
        task,
        tuple(map(str, record["label_columns"])),
        Learnt(task.outputs, mask, float(record["learnt"]["constant"])),
        form,
        None if known is None else FeatureColumns(known),
        bool(record["decides"]),
    )
