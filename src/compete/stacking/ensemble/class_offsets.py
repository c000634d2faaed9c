"""Class offsets: what is added to log-probabilities before the highest class is taken, found by exact line searches.

Accuracy is served best by the most probable class. Macro-F1 and macro recall count a rare class as much as a frequent
one, and want it predicted more often than it is the most probable.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Probabilities
from compete.logits import log_probabilities
from compete.stacking.ensemble.grade_cuts import cut_between

Floats = NDArray[np.float64]
# From hits and predicted rows of every class, (n_cuts, n_classes) each, and the classes' rows, (n_classes,), to a score
# per cut.
Score = Callable[[Floats, Floats, Floats], Floats]
_SWEEPS = 20
# Tried of one class: all of so many rows, and evenly spread ones of more, of which nobody can tell the neighbours.
_MOST_CUTS = 4000
# Of more rows, a few sweeps from one start: what the others gain is less than luck, and each costs a sort per class.
_MANY_ROWS, _FEW_SWEEPS = 10_000, 5
_EQUAL = 1e-12


def _accuracy(hits: Floats, predicted: Floats, rows: Floats) -> Floats:
    return np.asarray(hits.sum(axis=1) / rows.sum())


def _of_counts(metric: str, totals: Callable[[Floats, Floats, Floats], Floats]) -> Score:
    """The metric's own formula, over the sums that it is a function of."""
    of_sums = METRICS[metric].of_sums
    assert of_sums is not None
    return lambda hits, predicted, rows: of_sums(totals(hits, predicted, np.broadcast_to(rows, hits.shape)))


SCORES: dict[str, Score] = {
    "accuracy": _accuracy,
    "f1_micro": _accuracy,  # of one class per row they are the same
    "f1_macro": _of_counts("f1_macro", lambda hits, predicted, rows: np.hstack([hits, predicted + rows])),
    "f1_weighted": _of_counts("f1_weighted", lambda hits, predicted, rows: np.hstack([hits, predicted + rows, rows])),
    "recall_macro": _of_counts("recall_macro", lambda hits, predicted, rows: np.hstack([hits, rows])),
    "matthews": _of_counts(
        "matthews",
        lambda hits, predicted, rows: np.column_stack([hits.sum(axis=1), rows.sum(axis=1), rows, predicted]),
    ),
}


def highest(probabilities: Probabilities, offsets: Floats) -> Labels:
    """The class with the highest log-probability plus offset, one-hot (n_rows, n_classes); offsets: (n_classes,)."""
    taken = np.argmax(log_probabilities(probabilities) + offsets, axis=1)
    one_hot: Labels = np.eye(len(offsets), dtype=np.int8)[taken]
    return one_hot


def best_offsets(metric: str, labels: Labels, probabilities: Probabilities) -> Floats:
    """Offsets (n_classes,) of mean 0 with the highest score on exactly these rows that coordinate ascent finds.

    metric: a name in SCORES. labels: one-hot (n_rows, n_classes); probabilities: of the same shape. One class's offset
    after another is put where the score is highest, all its cuts tried by one sort, until none gains; begun from the
    most probable class, and from all classes counting alike, of which the better end is taken. With two classes that
    is the maximum.
    """
    score, z = SCORES[metric], log_probabilities(probabilities)
    rates = np.maximum(labels.mean(axis=0), 1 / max(1, len(labels)))
    starts = [np.zeros(z.shape[1]), -np.log(rates)]
    if len(z) > _MANY_ROWS:
        starts = [max(starts, key=lambda each: _score_at(score, labels.argmax(axis=1), z, each))]
    found = [_ascend(score, labels, z, start) for start in starts]
    offsets = max(found, key=lambda each: each[0])[1]  # of equals the first
    return np.asarray(offsets - offsets.mean())


def _ascend(score: Score, labels: Labels, z: Floats, offsets: Floats) -> tuple[float, Floats]:
    """The score that coordinate ascent ends at, and its offsets."""
    truth, offsets = labels.argmax(axis=1), offsets.copy()
    best = _score_at(score, truth, z, offsets)
    for _ in range(_SWEEPS if len(z) <= _MANY_ROWS else _FEW_SWEEPS):
        before = best
        for number in range(z.shape[1]):
            reached, offset = _line_search(score, truth, z, offsets, number)
            if reached > best + _EQUAL:
                best, offsets[number] = reached, offset
        if best <= before + _EQUAL:
            break
    return best, offsets


def _score_at(score: Score, truth: NDArray[np.intp], z: Floats, offsets: Floats) -> float:
    n_classes, taken = z.shape[1], np.argmax(z + offsets, axis=1)
    hits = np.bincount(truth[taken == truth], minlength=n_classes)
    counts = [np.bincount(each, minlength=n_classes).astype(np.float64) for each in (taken, truth)]
    return float(score(hits[None].astype(np.float64), counts[0][None], counts[1])[0])


def _line_search(score: Score, truth: NDArray[np.intp], z: Floats, offsets: Floats, number: int) -> tuple[float, float]:
    """The highest score that another offset of class `number` gives, and the offset; the others stay.

    A row goes to the class once its offset reaches what the row's best other class is ahead by. With the rows sorted by
    that, every cut's counts are running sums over blocks of rows.
    """
    n_rows, n_classes = z.shape
    rest = z + offsets
    rest[:, number] = -np.inf
    other = np.argmax(rest, axis=1)
    ahead = rest[np.arange(n_rows), other] - z[:, number]
    order = np.argsort(ahead, kind="stable")
    ahead, other, truth = ahead[order], other[order], truth[order]
    stops = _stops(ahead)
    block = 1 + np.searchsorted(stops, np.arange(n_rows), side="right")  # 1 for the rows that go over first, and so on

    def counted(of: NDArray[np.intp], which: NDArray[np.bool_] | slice = slice(None)) -> Floats:
        cells = np.bincount(block[which] * n_classes + of[which], minlength=(len(stops) + 1) * n_classes)
        return cells[: (len(stops) + 1) * n_classes].reshape(-1, n_classes).astype(np.float64)

    right, here = other == truth, np.full(n_rows, number)
    predicted, hits = counted(here) - counted(other), counted(here, truth == number) - counted(other, right)
    predicted[0], hits[0] = np.bincount(other, minlength=n_classes), np.bincount(other[right], minlength=n_classes)
    rows = np.bincount(truth, minlength=n_classes).astype(np.float64)
    reached = score(np.cumsum(hits, axis=0), np.cumsum(predicted, axis=0), rows)
    at = int(np.argmax(reached))
    return float(reached[at]), cut_between(ahead, 0 if at == 0 else int(stops[at - 1]))


def _stops(ahead: Floats) -> NDArray[np.intp]:
    """How many of the sorted rows go over at each cut that is tried: rows that are ahead by the same go together."""
    ends = np.append(np.flatnonzero(np.diff(ahead) > 0) + 1, len(ahead))
    return np.asarray(ends[np.linspace(0, len(ends) - 1, min(len(ends), _MOST_CUTS)).astype(np.intp)])
