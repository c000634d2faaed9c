"""[pseudo_labels] of a recipe: rows without labels that other base models' predictions are learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from compete.competition.task import Kind, are_probabilities
from compete.declarations import Declaration


class PseudoLabels(Declaration):
    """[pseudo_labels]: the student of a fold learns from its teachers' models of the same fold alone (Lee 2013;
    soft targets as Hinton et al. 2015)."""

    teachers: tuple[str, ...] = Field(
        min_length=1, description="base models whose plain mean is learnt; trained here, none of them a stack"
    )
    rows: str = Field(
        default="test", description='"test", or a file of the workspace with the text columns of test and no labels'
    )
    share: float = Field(default=1.0, gt=0, le=1, description="of the rows: those that the teachers are surest of")
    weight: float = Field(default=0.5, gt=0, description="of such a row against a labelled one")
    by_confidence: bool = Field(
        default=True, description="of labels and classes: rows weigh less the less sure the teachers are"
    )

    @field_validator("teachers")
    @classmethod
    def _each_once(cls, teachers: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(teachers)) < len(teachers):
            raise ValueError("should name every teacher once")
        return teachers


@dataclass(frozen=True)
class SoftRows:
    """Rows whose labels nobody knows, with what teachers say of them."""

    texts: Sequence[str]
    targets: NDArray[np.float32]
    """(n_rows, n_outputs): probabilities, or numbers on the scale of the targets."""
    weights: NDArray[np.float32]
    """(n_rows,), of a row against a labelled one."""


def soft_rows(declared: PseudoLabels, texts: Sequence[str], targets: NDArray[np.float32], kind: Kind) -> SoftRows:
    """The rows that are learnt from, and what each counts. targets: the teachers' mean, (len(texts), n_outputs)."""
    sure = confidence(targets, kind)
    count = max(1, round(declared.share * len(texts)))
    # Of equally sure rows the first; in the order of the file, so that nothing depends on how sure they are.
    chosen = np.sort(np.argsort(-sure, kind="stable")[:count])
    weights = declared.weight * (sure[chosen] if declared.by_confidence else np.ones(count))
    return SoftRows([texts[row] for row in chosen], targets[chosen], weights.astype(np.float32))


def confidence(targets: NDArray[np.float32], kind: Kind) -> NDArray[np.float64]:
    """How sure of every row the teachers are, from 0 to 1, (n_rows,).

    Of labels the mean of |2 p - 1|; of classes how far the highest probability is from that of a guess. Numbers do not
    say it, so that all rows are alike.
    """
    values = np.asarray(targets, dtype=np.float64)
    if not are_probabilities(kind):
        return np.ones(len(values))
    if kind == "labels":
        return np.asarray(np.abs(2 * values - 1).mean(axis=1))
    guess = 1 / values.shape[1]
    return np.asarray((values.max(axis=1) - guess) / (1 - guess))
