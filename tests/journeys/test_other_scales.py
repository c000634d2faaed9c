"""Numbers as small as 1e-7 and as large as 1e7, and numbers that may not be negative, from training to a submission."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compete.competition.workspace import Workspace
from compete.workflows.predict import predict
from compete.workflows.submit import submit
from support.every_task import task_workspace
from support.lived_in import train_models

pytestmark = pytest.mark.slow


def changed_numbers(workspace: Workspace, cell: Callable[[float], float]) -> Workspace:
    """The regression with other numbers in train and solution."""
    for name in ("train.csv", "solution.csv"):
        path = workspace.root / name
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{**row, "mood": repr(cell(float(row["mood"])))} for row in csv.DictReader(file)]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return workspace


def sent_numbers(workspace: Workspace) -> list[float]:
    (path,) = workspace.submissions.glob("*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return [float(row["mood"]) for row in csv.DictReader(file)]


def test_where_the_metric_asks_for_it_no_negative_number_is_sent_or_predicted(tmp_path: Path) -> None:
    workspace = changed_numbers(task_workspace(tmp_path, "regression"), lambda number: max(0.0, number - 22))
    declared = workspace.declaration.read_text(encoding="utf-8")
    workspace.declaration.write_text(declared.replace("[data]", 'metric = "rmsle"\n[data]', 1), encoding="utf-8")
    train_models(workspace, ["linear"])
    raw = _test_numbers(workspace, "linear")
    assert raw.min() < 0  # else nothing is shown
    submit(workspace, "linear")
    assert sent_numbers(workspace) == pytest.approx(np.maximum(raw, 0).tolist(), rel=1e-5)
    predicted = predict(workspace, workspace.root / "test.csv", "linear").values
    assert predicted.min() == 0 and predicted.max() > 1


def _test_numbers(workspace: Workspace, model: str) -> np.ndarray:
    import pandas as pd

    table = pd.read_parquet(workspace.base_model(model).test)
    return table["mood"].to_numpy()
