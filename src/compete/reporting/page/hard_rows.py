"""The training rows that a stack or base model gets most wrong, label by label: what to read first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.oof.results import Result
from compete.reporting.view import View
from compete.stacking.ensemble.label_errors import likely_label_errors

PER_LABEL = 40
_CLIP = 1e-6
_MOST_MODELS = 12  # columns of probabilities beside a row


@dataclass(frozen=True)
class HardRows:
    """The rows that are to be read, with what was said of them."""

    source: str
    """Whose probabilities."""
    models: list[str]
    """Whose are shown beside them."""
    labels: Sequence[str]
    ids: list[str]
    texts: list[str]
    rows: list[list[Any]]
    """As JSON, one list per row and label: index of the text, index of the label, labelled (0 or 1), probability, loss,
    fold, likely label error (0 or 1), probabilities of the models."""
    suspects: dict[str, int]
    """Likely label errors, per label."""


def hard_rows(view: View, source: Result, per_label: int = PER_LABEL) -> HardRows:
    """The worst out-of-fold losses of every label, and every likely label error up to as many again."""
    competition = view.competition
    truth, oof = competition.train_targets, view.probabilities(source.name).oof
    of_truth = np.where(truth == 1, oof, 1 - oof)
    loss: NDArray[np.float64] = -np.log(np.clip(of_truth.astype(np.float64), _CLIP, 1.0))
    suspect = likely_label_errors(truth, oof)
    cells = [cell for label in range(len(competition.labels)) for cell in _worst(loss, suspect, label, per_label)]
    models = [shown.name for shown in view.ranked if not shown.is_stack][:_MOST_MODELS]
    beside = [view.probabilities(name).oof for name in models]
    rows_used = list(dict.fromkeys(row for row, _ in cells))
    place = {row: number for number, row in enumerate(rows_used)}
    assert view.fold_plan is not None  # there is a source
    folds = view.fold_plan.folds
    return HardRows(
        source=source.title,
        models=models,
        labels=competition.labels,
        ids=[competition.train_ids[row] for row in rows_used],
        texts=[competition.train_texts[row] for row in rows_used],
        rows=[
            [
                place[row],
                label,
                int(truth[row, label]),
                _short(oof[row, label]),
                _short(loss[row, label]),
                int(folds[row]),
                int(suspect[row, label]),
                [_short(model[row, label]) for model in beside],
            ]
            for row, label in cells
        ],
        suspects=dict(zip(competition.labels, suspect.sum(axis=0).tolist(), strict=True)),
    )


def _worst(loss: NDArray[np.float64], suspect: NDArray[np.bool_], label: int, per_label: int) -> list[tuple[int, int]]:
    """Rows of one label: the highest losses, then the likely label errors that are not among them."""
    order = np.argsort(-loss[:, label], kind="stable")
    worst = order[:per_label]
    more = [row for row in order[per_label:] if suspect[row, label]][:per_label]
    return [(int(row), label) for row in (*worst, *more)]


def _short(value: np.floating[Any]) -> float:
    return round(float(value), 4)
