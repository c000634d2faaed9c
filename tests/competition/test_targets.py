from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compete.competition.declaration import CompetitionDeclaration
from compete.competition.targets import class_order, learn_task, strata, target_matrix
from compete.competition.task import Task, TaskName
from compete.errors import DataError


def declared(task: TaskName, **data: Any) -> CompetitionDeclaration:
    files = {"train": ["t.csv"], "test": ["s.csv"], "id": "id", "text": "text"}
    return CompetitionDeclaration.model_validate({"name": "tiny", "task": task, "data": {**files, **data}})


def table(**columns: list[str]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=[f"a{row}" for row in range(size)])


def read(task: TaskName, cells: pd.DataFrame, **data: Any) -> tuple[Task, list[list[float]]]:
    """The task and what is true, both from the same cells."""
    declaration = declared(task, labels=list(cells.columns), **data)
    learnt = learn_task(declaration, cells, "t.csv")
    return learnt, target_matrix(cells, learnt, declaration.data.label_separator, "t.csv").tolist()


@pytest.mark.parametrize(
    ("task", "cells", "data", "outputs", "true"),
    [
        ("multilabel", table(joy=["0", "1"], fear=["yes", "FALSE"]), {}, ("joy", "fear"), [[0, 1], [1, 0]]),
        ("binary", table(joy=["0.0", "1.0"]), {}, ("joy",), [[0], [1]]),
        ("multiclass", table(mood=["so", " ok ", "so", "ok"]), {}, ("ok", "so"), [[0, 1], [1, 0], [0, 1], [1, 0]]),
        ("multiclass", table(c=["10", "9", "9", "10"]), {}, ("9", "10"), [[0, 1], [1, 0], [1, 0], [0, 1]]),
        ("multiclass", table(ok=["1", "0"], so=["0", "1"]), {}, ("ok", "so"), [[1, 0], [0, 1]]),
        ("multilabel", table(c=["a|b", "", " b "]), {"label_separator": "|"}, ("a", "b"), [[1, 1], [0, 0], [0, 1]]),
        ("multilabel", table(c=['["a", 2]', "[]"]), {"label_separator": "json"}, ("2", "a"), [[1, 1], [0, 0]]),
        ("regression", table(x=["1.5", "-2"], y=["1e3", "0"]), {}, ("x", "y"), [[1.5, 1000], [-2, 0]]),
        ("ordinal", table(g=["-1", "1", "0"]), {}, ("g",), [[-1], [1], [0]]),
    ],
)
def test_what_is_true_is_read_in_every_way_that_train_may_write_it(
    task: TaskName, cells: pd.DataFrame, data: dict[str, Any], outputs: tuple[str, ...], true: list[list[float]]
) -> None:
    learnt, matrix = read(task, cells, **data)
    assert (learnt.name, learnt.outputs, matrix) == (task, outputs, true)


def test_grades_are_those_that_are_there_or_those_that_are_declared() -> None:
    cells = table(g=["1", "2", "4"])
    assert read("ordinal", table(g=["1", "2", "3"]))[0].grades == (1, 2, 3)
    assert read("ordinal", table(g=["0.5", "1.5", "1"]))[0].grades == (0.5, 1, 1.5)
    assert read("ordinal", cells, grades=[1, 2, 4])[0].grades == (1, 2, 4)
    with pytest.raises(DataError, match=r"grades are 1, 2, 4: no row has 3\..* data\.grades = \[1, 2, 4\]"):
        read("ordinal", cells)


@pytest.mark.parametrize(
    ("task", "cells", "data", "said"),
    [
        ("multiclass", table(c=["a", "a"]), {}, "c is 'a' in every row: there is nothing to predict"),
        ("multiclass", table(c=["a", ""]), {}, r"row 2: c is empty; 1 rows have no class"),
        ("multiclass", table(c=["a", "b", "c"]), {}, r'3 classes in 3 rows.*"regression"'),
        ("multiclass", table(a=["1", "1"], b=["0", "1"]), {}, r'row 2: 2 classes are 1, expected one.*"multilabel"'),
        ("regression", table(x=["1", "1.0"]), {}, "x is 1 in every row: there is nothing to predict. Leave it out"),
        ("regression", table(x=["1", "nan", "2"]), {}, r"a number is expected\n  row 2 \(a1\): x is 'nan'$"),
        (
            "regression",
            table(x=["1", "", "inf", "2", "3"]),
            {},
            r"row 2 \(a1\): x is empty\n  row 3 \(a2\): x is 'inf'$",
        ),
        ("regression", table(x=["so", "ok"] * 4), {}, r'one class per row \(so, ok\); task = "multiclass" reads it'),
        ("binary", table(x=["so", "ok"] * 4), {}, r'one class per row \(so, ok\); task = "multiclass" reads it'),
        ("multilabel", table(x=["a|b", "b"] * 4), {}, r'alone in data\.labels and label_separator = "\|" under'),
        ("multilabel", table(x=["0.5", "0.7"] * 4), {}, r'fractions from 0 to 1 \(0\.5\); task = "regression" reads'),
        (
            "multilabel",
            table(x=["2", "3"] * 4),
            {},
            r'whole numbers \(2, 3\); task = "multiclass", or "ordinal" where they are grades reads it',
        ),
        (
            "multilabel",
            table(c=["a|b", "b"]),
            {"label_separator": ";"},
            r"label_separator = ';' parts no cell of c\. c s",
        ),
        ("multilabel", table(c=["a||b", "b"]), {"label_separator": "|"}, r"a label without a name; is '\|' what parts"),
        ("multilabel", table(c=["", ""]), {"label_separator": "|"}, "no cell of c holds a label"),
        ("multilabel", table(c=["[a]"]), {"label_separator": "json"}, r"row 1: '\[a\]' is no JSON list of labels"),
        ("ordinal", table(c=["1", "2", "9"]), {"grades": [1, 2]}, r"grades are 1, 2\n  row 3 \(a2\): c is '9'"),
    ],
)
def test_what_cannot_be_read_is_named_with_a_way_on(
    task: TaskName, cells: pd.DataFrame, data: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(task, cells, **data)
    assert str(caught.value).startswith("t.csv")


@pytest.mark.parametrize(
    ("task", "cells", "separator", "said"),
    [
        (
            Task("multiclass", ("a", "b")),
            table(c=["a", "c"]),
            None,
            r"row 2: the class 'c' is in no training row.* a, b",
        ),
        (Task("multilabel", ("a", "b")), table(c=["a|c"]), "|", "row 1: the label 'c' is in no training row"),
        (Task("ordinal", ("g",), (1.0, 2.0)), table(g=["3"]), None, r"grades are 1, 2\n  row 1 \(a0\): g is '3'"),
    ],
)
def test_another_table_is_read_by_what_train_has(
    task: Task, cells: pd.DataFrame, separator: str | None, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        target_matrix(cells, task, separator, "solution.csv")


@given(st.lists(st.sampled_from(["a", "b", "c d", "10", "9"]), min_size=12).filter(lambda names: len(set(names)) > 1))
def test_classes_come_back_from_their_matrix(names: list[str]) -> None:
    task, matrix = read("multiclass", table(c=names))
    assert [task.outputs[row.index(1)] for row in matrix] == names
    assert all(sum(row) == 1 for row in matrix)


def test_classes_are_sorted_as_numbers_and_then_as_words() -> None:
    assert sorted(["b", "10", "a", "-1", "9"], key=class_order) == ["-1", "9", "10", "a", "b"]


def test_strata_are_labels_classes_grades_and_tenths() -> None:
    classes = np.eye(3, dtype=np.int8)
    assert np.array_equal(strata(Task("multiclass", ("a", "b", "c")), classes), classes)
    graded = np.array([[1, 2], [2, 2], [3, 1]], dtype=np.float32)
    found = strata(Task("ordinal", ("x", "y"), (1.0, 2.0, 3.0)), graded)
    assert found.tolist() == [[1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0]]
    numbers = np.arange(100, dtype=np.float32)[:, None]
    tenths = strata(Task("regression", ("x",)), numbers)
    assert tenths.sum(axis=0).tolist() == [10] * 10 and (tenths.sum(axis=1) == 1).all()
    mostly_zero = np.r_[np.zeros(95), np.arange(1, 6)].astype(np.float32)[:, None]
    assert strata(Task("regression", ("x",)), mostly_zero).sum() == 100


def test_one_number_written_in_two_ways_is_no_two_classes() -> None:
    cells = pd.DataFrame({"mood": ["1", "0", "1.0", "0"]}, index=["a", "b", "c", "d"])
    with pytest.raises(DataError, match=r"mood has the classes '1' and '1\.0', which are one number"):
        learn_task(declared("multiclass"), cells, "train.csv")
