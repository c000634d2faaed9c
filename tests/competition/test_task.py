from __future__ import annotations

import pytest

from compete.competition.task import KINDS, Task, TaskName


@pytest.mark.parametrize(
    ("name", "kind", "probabilities", "noun"),
    [
        ("multilabel", "labels", True, "label"),
        ("binary", "labels", True, "label"),
        ("multiclass", "classes", True, "class"),
        ("regression", "numbers", False, "target"),
        ("ordinal", "grades", False, "target"),
    ],
)
def test_what_an_output_is(name: TaskName, kind: str, probabilities: bool, noun: str) -> None:
    task = Task(name, ("joy",))
    assert (task.kind, task.gives_probabilities, task.noun) == (kind, probabilities, noun)
    assert name in KINDS
