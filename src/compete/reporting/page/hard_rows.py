"""The training rows that a stack or base model gets most wrong, output by output: what to read first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.base_models.confident_learning import likely_class_errors, likely_label_errors
from compete.competition.shape import Targets
from compete.competition.task import Kind, are_probabilities
from compete.oof.results import Result
from compete.reporting.view import View

PER_LABEL = 40
_CLIP = 1e-6
_MOST_MODELS = 12  # columns of probabilities beside a row


@dataclass(frozen=True)
class HardRows:
    """The rows that are to be read, with what was said of them."""

    source: str
    """Whose predictions."""
    models: list[str]
    """Whose are shown beside them."""
    labels: Sequence[str]
    """Names of the outputs."""
    ids: list[str]
    texts: list[str]
    rows: list[list[Any]]
    """As JSON, one list per row and output: index of the text, index of the output (of a row of classes: its class),
    what is true (0 or 1; of classes the index of the one that is most probable instead; a number), what is predicted
    of the output, loss (of numbers: the residual in standard errors), fold, likely label error (0 or 1), predictions of
    the models."""
    suspects: dict[str, int]
    """Likely label errors, per label or class; none of numbers."""
    kind: Kind = "labels"
    ranges: list[tuple[float, float]] = field(default_factory=list)
    """Of numbers and grades, per target: between which numbers all that are shown lie."""


@dataclass(frozen=True)
class _Wrong:
    """How wrong every row is, (n_rows, n_outputs) each."""

    loss: NDArray[np.float64]
    """-inf of a class that is not the row's."""
    suspect: NDArray[np.bool_]
    shown: NDArray[Any]
    """What stands in the table as true."""


def hard_rows(view: View, source: Result, per_label: int = PER_LABEL) -> HardRows:
    """The worst out-of-fold losses of every output, and every likely label error up to as many again."""
    competition = view.competition
    truth, oof, kind = competition.train_targets, view.probabilities(source.name).oof, competition.task.kind
    wrong = {"labels": _labels, "classes": _classes}.get(kind, _numbers)(truth, oof)
    cells = [
        cell
        for output in range(len(competition.labels))
        for cell in _worst(wrong.loss, wrong.suspect, output, per_label)
    ]
    models = [shown.name for shown in view.ranked if not shown.is_stack][:_MOST_MODELS]
    beside = [view.probabilities(name).oof for name in models]
    rows_used = list(dict.fromkeys(row for row, _ in cells))
    place = {row: number for number, row in enumerate(rows_used)}
    assert view.fold_plan is not None  # there is a source
    folds = view.fold_plan.folds
    whole = are_probabilities(kind)
    return HardRows(
        source=source.title,
        models=models,
        labels=competition.labels,
        ids=[competition.train_ids[row] for row in rows_used],
        texts=[competition.train_texts[row] for row in rows_used],
        rows=[
            [
                place[row],
                output,
                int(wrong.shown[row, output]) if whole else _short(wrong.shown[row, output]),
                _short(oof[row, output]),
                _short(wrong.loss[row, output]),
                int(folds[row]),
                int(wrong.suspect[row, output]),
                [_short(model[row, output]) for model in beside],
            ]
            for row, output in cells
        ],
        suspects=dict(zip(competition.labels, wrong.suspect.sum(axis=0).tolist(), strict=True)) if whole else {},
        kind=kind,
        ranges=[] if whole else _ranges([truth, oof, *beside]),
    )


def _labels(truth: Targets, oof: NDArray[np.float32]) -> _Wrong:
    of_truth = np.where(truth == 1, oof, 1 - oof)
    loss: NDArray[np.float64] = -np.log(np.clip(of_truth.astype(np.float64), _CLIP, 1.0))
    return _Wrong(loss, likely_label_errors(truth, oof), truth)


def _classes(truth: Targets, oof: NDArray[np.float32]) -> _Wrong:
    own = truth == 1
    loss = np.where(own, -np.log(np.clip(oof.astype(np.float64), _CLIP, 1.0)), -np.inf)
    says = np.broadcast_to(oof.argmax(axis=1)[:, None], truth.shape)
    return _Wrong(loss, likely_class_errors(truth, oof)[:, None] & own, says)


def _numbers(truth: Targets, oof: NDArray[np.float32]) -> _Wrong:
    residuals = oof.astype(np.float64) - truth
    errors = np.sqrt((residuals**2).mean(axis=0))
    return _Wrong(np.abs(residuals) / np.maximum(errors, 1e-12), np.zeros(truth.shape, dtype=bool), truth)


def _worst(loss: NDArray[np.float64], suspect: NDArray[np.bool_], output: int, most: int) -> list[tuple[int, int]]:
    """Rows of one output: the highest losses, then the likely label errors that are not among them."""
    order = np.argsort(-loss[:, output], kind="stable")
    order = order[np.isfinite(loss[order, output])]
    worst = order[:most]
    more = [row for row in order[most:] if suspect[row, output]][:most]
    return [(int(row), output) for row in (*worst, *more)]


def _ranges(values: Sequence[NDArray[Any]]) -> list[tuple[float, float]]:
    low, high = (
        np.min([each.min(axis=0) for each in values], axis=0),
        np.max([each.max(axis=0) for each in values], axis=0),
    )
    return [(_short(a), _short(b)) for a, b in zip(low, high, strict=True)]


def _short(value: np.floating[Any]) -> float:
    return round(float(value), 4)
