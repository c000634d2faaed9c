"""A published model, trained and validated again as it was: its own split, its own thresholds, beside the honest score.

What was published is told by the recipe's [published] table. Of K stratified folds the last was the validation set, and
one model was trained on the others; or a share of the rows was drawn by chance. Thresholds were none, one for all
labels, or per label where they scored best on the very rows that were then reported. The honest score decides the same
rows by thresholds that were fitted on others of them; where nothing was fitted, both are the same.

One thing is not as it was: the epoch is chosen on part of the training rows, never on the rows that are scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.recipes import Published
from compete.competition.data import Competition
from compete.competition.metrics import METRICS, Labels, Probabilities
from compete.errors import UserError
from compete.stacking.ensemble.cross_fitting import as_it_is, repeated_folds
from compete.stacking.ensemble.evaluation import decide_by_fold
from compete.stacking.ensemble.resampling import interval, resampled_scores
from compete.stacking.ensemble.thresholds import decide, fit_thresholds
from compete.stored_json import read_json

# The seed of the published notebooks.
SEED = 42
_F1 = METRICS["f1_macro"]
# Thresholds of the honest score are fitted on so many folds of the validation rows, dealt so many times.
_FOLDS, _REPEATS = 5, 3
_VERSION = 1


@dataclass(frozen=True)
class Reproduced:
    """A published model that was trained again; all scores are macro-F1."""

    validation: float
    """By its own method: thresholds fitted, where there are any, on the rows they score."""
    honest: float
    """Of the same predictions, thresholds fitted on other rows; then its 95 % interval."""
    low: float
    high: float
    rows: int
    """Validation rows."""
    seconds: float
    """Of training."""
    identity: Mapping[str, str]
    """What it was made of, by name."""


def split_as_published(published: Published, labels: Labels) -> NDArray[np.int16]:
    """A fold for every row, (n_rows,), of which the last was the validation set; labels: (n_rows, n_labels).

    Without a look at near-identical texts, as it was. Raises UserError where nothing tells the split, or the rows are
    too few.
    """
    n_rows = len(labels)
    if published.held_out is not None:
        held_out = np.random.default_rng(SEED).permutation(n_rows)[: round(published.held_out * n_rows)]
        folds = np.zeros(n_rows, dtype=np.int16)
        folds[held_out] = 1
        if not 0 < len(held_out) < n_rows:
            raise UserError(f"{n_rows} rows are too few to hold out {published.held_out:g} of them")
        return folds
    if published.folds is None:
        raise UserError("its [published] table names neither folds nor held_out: there is no split to train under")
    if n_rows < 2 * published.folds:
        raise UserError(f"{n_rows} rows are too few for {published.folds} folds")
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    # A single label is no multilabel problem to the stratifier; with its opposite it is.
    strata = np.hstack([labels, 1 - labels]) if labels.shape[1] == 1 else labels
    folds = np.empty(n_rows, dtype=np.int16)
    splitter = MultilabelStratifiedKFold(n_splits=published.folds, shuffle=True, random_state=SEED)
    for fold, (_, held_out) in enumerate(splitter.split(strata, strata)):
        folds[held_out] = fold
    return folds


def score(
    published: Published, competition: Competition, rows: NDArray[np.intp], predicted: Probabilities
) -> tuple[float, float, tuple[float, float]]:
    """Validation score by the published method, honest score, and its 95 % interval.

    rows: the validation rows, places among the training rows; predicted: their probabilities, (n_rows, n_labels).
    """
    labels = competition.train_targets[rows]
    if published.threshold != "per label":
        decided = [decide(predicted, np.full(labels.shape[1], published.threshold))]
        own = honest = _F1.compute(labels, decided[0])
    else:
        own = _F1.compute(labels, decide(predicted, fit_thresholds(_F1, labels, predicted)))
        plans = _plans(competition, rows)
        decided = [decide_by_fold(_F1, labels, as_it_is(predicted, plan), "cross_fitted")[0] for plan in plans]
        honest = float(np.mean([_F1.compute(labels, each) for each in decided]))
    return own, honest, interval(resampled_scores(_F1, labels, decided).mean(axis=0))


def _plans(competition: Competition, rows: NDArray[np.intp]) -> list[NDArray[np.int16]]:
    """Plans of folds of the validation rows, each (n_rows,); near-identical texts share a fold."""
    shape = (np.arange(len(rows)) % _FOLDS).astype(np.int16)
    groups = np.unique(competition.groups[rows], return_inverse=True)[1].astype(np.intp)
    # The first of the plans is `shape` itself, which only says how many folds there are.
    return repeated_folds(shape, competition.strata[rows], groups, 1 + _REPEATS, SEED)[1:]


def keep(path: Path, found: Reproduced) -> None:
    atomic.write_json(path, {"version": _VERSION, **asdict(found)})


def kept(path: Path) -> Reproduced | None:
    """What was kept there; None if there is nothing, or nothing of compete's."""
    try:
        record: dict[str, Any] = read_json(path)
        if record.pop("version") != _VERSION:
            return None
        numbers = {name: float(record[name]) for name in ("validation", "honest", "low", "high", "seconds")}
        identity = {str(name): str(value) for name, value in record["identity"].items()}
        return Reproduced(rows=int(record["rows"]), identity=identity, **numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
