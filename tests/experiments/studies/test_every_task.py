"""Studies of every task: both scores are on the metric's scale, and the model is found to have learnt something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compete.competition.data import load_competition
from compete.workflows.study import study_folds, study_setting
from support.every_task import CASES, task_workspace


@pytest.mark.parametrize("name", sorted(CASES))
def test_folds_and_a_setting(tmp_path: Path, name: str) -> None:
    workspace = task_workspace(tmp_path, name, train=200, test=40)
    metric = load_competition(workspace).metric
    found = study_folds(workspace, "linear", (2, 3), repeats=1, strategies=("grouped",), workers=0)
    values = found.table[["honest", "one_aside", "mean_aside"]].to_numpy(dtype=float)
    assert np.isfinite(values).all() and (values >= metric.lowest).all() and (values <= metric.highest).all()
    assert found.conclusion[0].startswith("nothing can be told")
    # A penalty that leaves nothing of the model but the rates: worse, in the direction of the metric.
    varied = study_setting(workspace, "linear", "C", [1.0, 1e-7], workers=0)
    (told,) = varied.comparisons
    assert told.difference.gain < 0 and varied.reference.title == "1.0"
    assert varied.seed_spread == (0.0, 0.0)  # nothing in it is left to chance
