"""Which metric a competition may score by, told from its task and from what the sample submission holds."""

from __future__ import annotations

import pandas as pd

from compete.competition.columns import Columns
from compete.competition.label_cells import holds_labels


def guess_metric(train: pd.DataFrame | None, sample: pd.DataFrame | None, columns: Columns) -> tuple[str | None, str]:
    """A metric and why; None where nothing speaks against the task's default."""
    if columns.task == "regression" and len(columns.labels) > 1:
        return "mcrmse", f"there are {len(columns.labels)} targets, and the mean of their RMSE is scored most often"
    if sample is None or columns.task == "regression":
        return None, ""
    values = sample.drop(columns=[columns.id] if columns.id in sample.columns else [])
    if columns.task == "binary":
        if values.shape[1] == 1 and holds_labels(values.iloc[:, 0]):
            return "f1", "the sample submission holds 0 and 1 alone, so decisions are scored"
        return None, ""
    if columns.task == "multiclass":
        return _of_classes(train, values, columns)
    there = [label for label in columns.labels if label in values.columns]
    shown = _fraction(values[there], below_one=columns.task != "ordinal") if there else None
    if shown is None:
        return None, ""
    if columns.task == "ordinal":
        return "rmse", f"the sample submission holds {shown}, so numbers are scored"
    return "roc_auc_macro", f"the sample submission holds {shown}, so probabilities are scored"


def _of_classes(train: pd.DataFrame | None, values: pd.DataFrame, columns: Columns) -> tuple[str | None, str]:
    if values.shape[1] > 1:
        return "multiclass_log_loss", "the sample submission has a column per class, so probabilities are scored"
    if train is None or not values.shape[1] or not len(values):
        return None, ""
    classes = set(train[columns.labels[0]].str.strip())
    first = str(values.iloc[0, 0]).strip()
    named = first.split()
    if first not in classes and len(named) > 1 and set(named) <= classes:
        return f"map_at_{len(named)}", f"the sample submission names {len(named)} classes in a row ({first})"
    return None, ""


def _fraction(values: pd.DataFrame, below_one: bool) -> str | None:
    """A number with a fraction, if there is one and all are numbers; below_one: and lie between 0 and 1."""
    numbers = values.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    fine = (numbers >= 0) & (numbers <= 1) if below_one else numbers == numbers
    between = (numbers > 0) & (numbers < 1) if below_one else numbers % 1 != 0
    return str(values.to_numpy()[between][0]) if between.any() and fine.all() else None
