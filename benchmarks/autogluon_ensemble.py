"""AutoGluon's greedy weighted ensemble over given probabilities; run by stackers.py in an environment that has it.

    python autogluon_ensemble.py FOLDER     # reads FOLDER/in.npz, writes FOLDER/out.npz

Per label: EnsembleSelection for F1 on the out-of-fold probabilities, then AutoGluon's own threshold calibration on the
same rows, as TabularPredictor does for a binary problem.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from autogluon.core.calibrate._decision_threshold import calibrate_decision_threshold
from autogluon.core.metrics import f1
from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection


def main() -> None:
    folder = Path(sys.argv[1])
    given = np.load(folder / "in.npz")
    oof, labels, aside = given["oof"], given["labels"], given["aside"]
    decisions = np.zeros((aside.shape[1], labels.shape[1]), dtype=np.int8)
    scores = []
    for label in range(labels.shape[1]):
        y, seen, new = labels[:, label], list(oof[:, :, label]), list(aside[:, :, label])
        ensemble = EnsembleSelection(ensemble_size=25, problem_type="binary", metric=f1)
        ensemble.fit(seen, y)
        mixed = ensemble.predict_proba(seen)
        threshold = calibrate_decision_threshold(y=y, y_pred_proba=mixed, metric=f1, verbose=False)
        decisions[:, label] = ensemble.predict_proba(new) >= threshold
        scores.append(f1(y, (mixed >= threshold).astype(int)))
    np.savez(folder / "out.npz", decisions=decisions, expected=np.mean(scores))


if __name__ == "__main__":
    main()
