from __future__ import annotations

import pytest

from compete.competition.metric_names import (
    DEFAULT_METRICS,
    every_metric,
    is_own,
    metric_info,
    metric_names,
    places_of,
)
from compete.competition.task import KINDS, TaskName


@pytest.mark.parametrize("task", KINDS)
def test_a_task_has_its_default_first_and_only_metrics_that_score_it(task: TaskName) -> None:
    names = metric_names(task)
    assert names[0] == DEFAULT_METRICS[task] and len(set(names)) == len(names)
    assert set(names) <= set(every_metric())
    for name in names:
        info = metric_info(name.replace("map_at_K", "map_at_5"))
        assert info is not None and task in info.tasks
    others = {name for name in every_metric() if name not in names}
    for name in others - {"map_at_K"}:
        info = metric_info(name)
        assert info is not None and task not in info.tasks


@pytest.mark.parametrize(
    ("name", "places"), [("map_at_3", 3), ("map_at_25", 25), ("map_at_0", None), ("map_at_K", None), ("map", None)]
)
def test_the_k_of_map_at_k(name: str, places: int | None) -> None:
    assert places_of(name) == places
    info = metric_info(name)
    assert (None if info is None else info.title) == (None if places is None else f"MAP@{places}")


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("mine.py:score", True),
        ("a/b.py:_score2", True),
        ("mine.py", False),
        ("mine:score", False),
        ("mine.py:2", False),
        ("f1_macro", False),
    ],
)
def test_ones_own_metric_is_a_function_in_a_file(name: str, own: bool) -> None:
    assert is_own(name) == own


def test_losses_are_better_the_smaller_they_are() -> None:
    losses = {name for name in every_metric() if (info := metric_info(name)) is not None and info.sign == -1}
    assert losses == {"log_loss", "multiclass_log_loss", "rmse", "mcrmse", "mae", "rmsle"}
