"""Rows that a model has nearly seen: test rows with a text or a group of train, and rows of one text in two folds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.competition.near_identical import near_identical_key


def seen_sentences(competition: Competition, plan: FoldPlan) -> Iterator[str]:
    """What the user is told of them; nothing where there are none."""
    count, column = len(competition.test_ids), competition.declaration.folds.groups
    alike = rows_alike_in_test(competition)
    if alike:
        yield (
            f"{alike} of {count} test rows have nearly the text of a training row: models have seen it with what is "
            "true of it, and may score better on these rows than the honest score says"
        )
    grouped = grouped_rows_in_test(competition)
    if grouped:
        yield (
            f"{grouped} of {count} test rows are of a group ({column}) that training rows are of too: folds keep "
            "groups apart, so the honest score may be too low for these rows"
        )
    parted = int(rows_in_other_folds(competition.groups, plan.folds).sum())
    if parted and competition.declaration.folds.column is not None:
        what = "nearly the same text as a row of another fold" + (f", or its group ({column})" if column else "")
        yield (
            f"{parted} of {len(competition.train_ids)} rows have {what}: folds.column = "
            f"{competition.declaration.folds.column!r} parts them, and honest scores are too good for them"
        )


def rows_alike_in_test(competition: Competition) -> int:
    """Test rows with a text that is near-identical to one of train."""
    known = {near_identical_key(text) for text in competition.train_texts}
    return sum(near_identical_key(text) in known for text in competition.test_texts if text.strip())


def grouped_rows_in_test(competition: Competition) -> int:
    """Test rows whose declared group has training rows; 0 where test does not say its groups."""
    column = competition.declaration.folds.groups
    if column is None or column not in competition.test_columns:
        return 0
    known = {name for name in competition.train_columns[column] if name.strip()}
    return int(competition.test_columns[column].isin(known).sum())


def rows_in_other_folds(groups: NDArray[np.intp], folds: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Whether rows of a row's group lie in another fold, (n_rows,); groups, folds: (n_rows,)."""
    lowest = np.full(int(groups.max()) + 1, np.iinfo(np.int16).max, dtype=np.int16)
    highest = np.full(len(lowest), -1, dtype=np.int16)
    np.minimum.at(lowest, groups, folds)
    np.maximum.at(highest, groups, folds)
    return np.asarray((lowest < highest)[groups])
