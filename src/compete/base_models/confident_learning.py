"""Which labels in the training data are likely wrong: confident learning on out-of-fold probabilities.

Northcutt, Jiang and Chuang (2021), "Confident learning: estimating uncertainty in dataset labels", with every label a
problem of two classes of its own; or of classes, of which a row has one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Labels, Probabilities

# A model that says the same of every row is not surer of any of them than it commonly is.
_ROUNDING = 1e-9


def likely_label_errors(labels: Labels, oof: Probabilities) -> NDArray[np.bool_]:
    """True where a label is likely wrong, (n_rows, n_labels).

    labels: 0 and 1; oof: probabilities of a model that never saw the row, both (n_rows, n_labels). Of a label that is
    the same in every row nothing is known.
    """
    values = np.asarray(oof, dtype=np.float64)
    found = [_of_label(labels[:, number] == 1, values[:, number]) for number in range(labels.shape[1])]
    return np.column_stack(found)


def likely_class_errors(classes: Labels, oof: Probabilities) -> NDArray[np.bool_]:
    """True where a row's class is likely wrong, (n_rows,).

    classes: one-hot; oof: probabilities of a model that never saw the row, both (n_rows, n_classes). Where the model is
    less sure of the row's class than it is, on average, of that class's rows, surer of another than of that one's rows,
    and would give the row another: off the diagonal of the paper's confident joint.
    """
    values, own = np.asarray(oof, dtype=np.float64), classes == 1
    rows = own.sum(axis=0)
    # A class without a row has no such mean, and nobody is sure of it.
    sure = np.where(rows > 0, (values * own).sum(axis=0) / np.maximum(rows, 1), np.inf)
    of_own = values[own]
    less = of_own < sure[own.argmax(axis=1)] - _ROUNDING
    other = ((values >= sure) & ~own).any(axis=1)
    return np.asarray(less & other & (values.max(axis=1) > of_own))


def _of_label(positive: NDArray[np.bool_], p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A row counts as confidently of a class if the model is as sure of it as it is, on average, of that class's rows.

    How many labels of each class are wrong is read from the counts of confident rows; those many rows are marked that
    are furthest on the other side, if they are confident too and the model would give them the other label.
    """
    wrong = np.zeros(len(p), dtype=bool)
    if positive.all() or not positive.any() or p[positive].mean() - p[~positive].mean() < 1e-9:
        return wrong  # a model that does not tell the classes apart cannot tell which labels are wrong
    sure_yes, sure_no = p[positive].mean(), (1 - p[~positive]).mean()
    yes, no = p >= sure_yes, (1 - p) >= sure_no
    # Sure of both, which happens where the classes overlap: the more probable one.
    yes, no = yes & (~no | (p >= 0.5)), no & (~yes | (p < 0.5))
    for given, other, surety in ((positive, no, 1 - p), (~positive, yes, p)):
        same = yes if given is positive else no
        confident = int((given & (same | other)).sum())
        off = int((given & other).sum())
        if not confident or not off:
            continue
        expected = round(off / confident * int(given.sum()))
        # As cleanlab does: what the model itself would answer is not marked, however rarely it is so sure.
        candidates = np.flatnonzero(given & other & (surety > 0.5))
        wrong[candidates[np.argsort(-surety[candidates], kind="stable")[:expected]]] = True
    return wrong
