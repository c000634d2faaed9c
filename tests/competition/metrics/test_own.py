from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from compete.allowed_code import allow
from compete.competition.metrics import own_metric
from compete.errors import UserError

TRUTH = np.array([[1, 0], [0, 1]], dtype=np.int8)
PREDICTED = np.array([[0.9, 0.2], [0.2, 0.5]], dtype=np.float32)
BRIER = """
import numpy as np

def brier(truth, predicted):
    return np.mean((predicted - truth) ** 2)
"""


def written(folder: Path, code: str) -> Path:
    file = folder / "metric.py"
    file.write_text(code, encoding="utf-8")
    allow(file)
    return file


def test_a_function_of_a_file_is_a_metric(tmp_path: Path) -> None:
    metric = own_metric(written(tmp_path, BRIER), "brier", greater_is_better=False, wants="probabilities")
    assert metric.compute(TRUTH, PREDICTED) == pytest.approx((0.01 + 0.04 + 0.04 + 0.25) / 4)
    assert type(metric.compute(TRUTH, PREDICTED)) is float
    assert (metric.name, metric.sign, metric.wants) == ("brier", -1, "probabilities")
    assert metric.better(0.1, than=0.2)
    assert metric.sums is None and metric.thresholds is None
    assert metric.tasks == ("multilabel", "binary", "multiclass")


def test_the_file_is_run_when_first_something_is_computed_and_then_after_a_change(tmp_path: Path) -> None:
    file = written(tmp_path, "raise SystemExit('not yet')")
    metric = own_metric(file, "one", greater_is_better=True, wants="numbers")
    with pytest.raises(UserError, match=r"metric.py cannot be imported: SystemExit: not yet"):
        metric.compute(TRUTH, PREDICTED)
    written(
        tmp_path, "import sys\nsys.read_times = getattr(sys, 'read_times', 0) + 1\ndef one(truth, predicted): return 1"
    )
    try:
        assert [metric.compute(TRUTH, PREDICTED) for _ in range(3)] == [1.0] * 3
        assert sys.__dict__["read_times"] == 1
    finally:
        del sys.__dict__["read_times"]


def test_it_is_equal_to_itself_and_travels(tmp_path: Path) -> None:
    file = written(tmp_path, BRIER)
    metric = own_metric(file, "brier", greater_is_better=False, wants="probabilities")
    metric.compute(TRUTH, PREDICTED)
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert metric != own_metric(file, "other", greater_is_better=False, wants="probabilities")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def other(truth, predicted): return 1", "metric.py has no function 'score'"),
        ("score = 3", "metric.py has no function 'score'"),
        ("def score(truth): return 1", "metric.py: score raised TypeError: .*2 were given"),
        (
            "def score(truth, predicted): return [1.0]",
            "metric.py: score returned list; a metric has to return one number",
        ),
        ("def score(truth, predicted): return None", "metric.py: score returned NoneType"),
        ("def score(truth, predicted): return float('nan')", "metric.py: score returned nan; .* a finite number"),
        ("def score(truth, predicted): return float('inf')", "metric.py: score returned inf"),
        ("def score(truth, predicted): truth[0] = 1; return 1", "metric.py: score raised ValueError: .*read-only"),
        ("def score(truth, predicted) return 1", "metric.py cannot be imported: SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_users_file_is_said(tmp_path: Path, code: str, message: str) -> None:
    metric = own_metric(written(tmp_path, code), "score", greater_is_better=True, wants="decisions")
    with pytest.raises(UserError, match=message):
        metric.compute(TRUTH, PREDICTED)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    metric = own_metric(tmp_path / "none.py", "score", greater_is_better=True, wants="decisions")
    with pytest.raises(UserError, match=r"none\.py cannot be read: No such file"):
        metric.compute(TRUTH, PREDICTED)
