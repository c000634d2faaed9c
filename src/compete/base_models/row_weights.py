"""Rows that confident learning marks as mislabelled count less in training (Northcutt, Jiang and Chuang 2021).

What is marked is told by a linear model that never saw the row: it is cross-validated on the rows that are fitted, so
that neither the rows that choose an epoch nor the fold that is predicted have a say. Of several labels each is marked
for itself, and a row counts less for that label alone. scikit-learn is imported when weights are computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compete.base_models.confident_learning import likely_class_errors, likely_label_errors
from compete.base_models.families import FitContext
from compete.base_models.linear.tokens import tokenise
from compete.competition.folds import assign_folds
from compete.competition.near_identical import near_identical_groups
from compete.competition.shape import Targets
from compete.competition.text_columns import as_one

_FOLDS = 5


def row_weights(
    texts: Sequence[str], targets: Targets, weight: float, context: FitContext
) -> NDArray[np.float32] | None:
    """What every row counts for every output, (len(texts), n_outputs): `weight` where it is likely wrong, else 1.

    targets: 0/1 (len(texts), n_outputs) of labels or classes, of which a row has one; only rows that are fitted. None
    where nothing is to be weighted: weight is 1, or the texts are too few to be cross-validated.
    """
    if weight == 1:
        return None
    groups = near_identical_groups(texts)
    if groups.max() + 1 < 2 * _FOLDS:
        return None
    oof = _out_of_fold(texts, targets, assign_folds(groups, targets.astype(np.int8), _FOLDS, context.seed))
    if context.kind == "classes":
        shares = oof / oof.sum(axis=1, keepdims=True)
        wrong = np.repeat(likely_class_errors(targets, shares)[:, None], targets.shape[1], axis=1)
    else:
        wrong = likely_label_errors(targets, oof)
    return np.where(wrong, np.float32(weight), np.float32(1))


def _out_of_fold(texts: Sequence[str], targets: Targets, folds: NDArray[np.int16]) -> NDArray[np.float64]:
    """Probability of every output (n_rows, n_outputs), each output for itself, from n-grams of the other folds."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    read = np.array([as_one(text) for text in texts], dtype=object)
    found = np.empty(targets.shape, dtype=np.float64)
    for fold in range(_FOLDS):
        inside, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        words = TfidfVectorizer(
            tokenizer=tokenise, token_pattern=None, lowercase=False, ngram_range=(1, 2), sublinear_tf=True
        )
        learnt = words.fit_transform(read[inside])
        asked = words.transform(read[held_out])
        for output, true in enumerate(targets[inside].T):
            positives = int(true.sum())
            if positives in (0, len(true)):  # nothing to tell apart: the rate of Laplace's rule of succession
                found[held_out, output] = (positives + 1) / (len(true) + 2)
                continue
            model = LogisticRegression(solver="liblinear", dual=True, tol=1e-2, max_iter=10_000, random_state=0)
            found[held_out, output] = model.fit(learnt, true).predict_proba(asked)[:, 1]
    return found
