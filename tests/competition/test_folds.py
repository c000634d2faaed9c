from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compete.competition.data import Competition, load_competition
from compete.competition.declaration import Folds
from compete.competition.folds import (
    assign_folds,
    folds_in_time,
    folds_of_column,
    made_from,
    make_plan,
    save_plan,
    stored_plan,
    times_of_column,
    too_rare,
)
from compete.competition.near_identical import near_identical_groups
from compete.competition.task import Task
from compete.competition.workspace import Workspace
from compete.errors import DataError, StoreError
from compete.fingerprints import differences


def with_folds(competition: Competition, **values: int) -> Competition:
    declaration = competition.declaration.model_copy(update={"folds": Folds.model_validate(values)})
    return dataclasses.replace(competition, declaration=declaration)


def test_every_row_is_held_out_in_exactly_one_fold(competition: Competition) -> None:
    plan = make_plan(competition)
    assert plan.k == 3
    held_out = np.concatenate([plan.rows(fold) for fold in range(plan.k)])
    assert sorted(held_out.tolist()) == list(range(240))
    for fold in range(plan.k):
        assert sorted([*plan.rows(fold), *plan.other_rows(fold)]) == list(range(240))


def test_folds_are_of_equal_size_and_label_rates(competition: Competition) -> None:
    plan = make_plan(competition)
    assert [len(plan.rows(fold)) for fold in range(3)] == pytest.approx([80, 80, 80], abs=3)
    for fold in range(3):
        positives = competition.train_targets[plan.rows(fold)].sum(axis=0)
        assert positives == pytest.approx(competition.train_targets.sum(axis=0) / 3, abs=2)


def test_the_same_seed_gives_the_same_plan_and_another_another(competition: Competition) -> None:
    plan, again = make_plan(competition), make_plan(competition)
    other = make_plan(with_folds(competition, k=3, seed=8))
    assert again.folds.tolist() == plan.folds.tolist()
    assert again.fingerprint == plan.fingerprint
    assert other.folds.tolist() != plan.folds.tolist()
    assert other.fingerprint != plan.fingerprint


FORMS = st.sampled_from(["post {}", "POST {}", "post  {} ", "@someone post {}", "Post {} https://t.co/a"])


@settings(max_examples=25, deadline=None)
@given(copies=st.lists(st.tuples(st.integers(0, 9), FORMS, st.integers(0, 3)), max_size=12), seed=st.integers(0, 1000))
def test_near_identical_texts_share_a_fold_whatever_their_labels(copies: list[tuple[int, str, int]], seed: int) -> None:
    rows = [*((number, "post {}", number % 4) for number in range(10)), *copies]
    texts = [form.format(number) for number, form, _ in rows]
    labels = np.array([[bits & 1, bits >> 1] for _, _, bits in rows], dtype=np.int8)
    folds = assign_folds(near_identical_groups(texts), labels, 2, seed).tolist()
    assert set(folds) == {0, 1}
    assert len({(number, fold) for (number, _, _), fold in zip(rows, folds, strict=True)}) == 10


def rare_label_competition(competition: Competition, positives: list[int]) -> Competition:
    labels = competition.train_targets.copy()
    labels[:, 2] = 0
    labels[positives, 2] = 1
    return dataclasses.replace(competition, train_targets=labels)


@pytest.mark.parametrize("positives", [[], [4], [4, 9]])
def test_a_label_with_fewer_positives_than_folds_is_too_rare_and_leaves_a_plan(
    competition: Competition, positives: list[int]
) -> None:
    rare = rare_label_competition(competition, positives)
    assert too_rare(rare.groups, rare.train_targets, 3).tolist() == [False, False, True]
    plan = make_plan(rare)
    for fold in range(3):
        rates = rare.train_targets[plan.rows(fold)].mean(axis=0)[:2]
        assert np.abs(rates - rare.train_targets.mean(axis=0)[:2]).max() < 0.03


def test_copies_of_one_text_are_one_positive(competition: Competition) -> None:
    rare = rare_label_competition(competition, [4, 9, 11])
    assert not too_rare(rare.groups, rare.train_targets, 3).any()
    texts = list(rare.train_texts)
    texts[11] = f"@someone {texts[9].upper()}"
    copies = dataclasses.replace(rare, train_texts=texts)
    assert too_rare(copies.groups, rare.train_targets, 3).tolist() == [False, False, True]


def test_a_class_of_fewer_groups_than_folds_is_refused(competition: Competition) -> None:
    """Four rows of a class, all of one person: every fold but one would be trained without it."""
    classes = np.array(["calm", "glad"])[np.arange(240) % 2].astype(object)
    classes[[3, 50, 90, 200]] = "sad"
    people = np.array([f"p{row}" for row in range(240)], dtype=object)
    people[[3, 50, 90, 200]] = "one"
    declared = competition.declaration.model_copy(
        update={"task": "multiclass", "folds": Folds.model_validate({"k": 3, "groups": "person"})}
    )
    task = Task("multiclass", ("calm", "glad", "sad"))
    one_hot = (classes[:, None] == np.array(task.outputs)).astype(np.int8)
    columns = pd.DataFrame({"person": people})
    grouped = dataclasses.replace(
        competition, declaration=declared, task=task, train_targets=one_hot, train_columns=columns
    )
    with pytest.raises(DataError, match=r"different text and person are needed of every class; .* 'sad' \(4 rows\)"):
        make_plan(grouped)
    apart = dataclasses.replace(grouped, train_columns=pd.DataFrame({"person": [f"p{row}" for row in range(240)]}))
    assert set(make_plan(apart).folds[[3, 50, 90, 200]].tolist()) == {0, 1, 2}


def test_of_labels_that_are_all_too_rare_nothing_can_be_learnt(competition: Competition) -> None:
    labels = np.zeros_like(competition.train_targets)
    labels[:2] = 1
    with pytest.raises(DataError, match=r"folds\.k = 3, but every label has fewer positive rows"):
        make_plan(dataclasses.replace(competition, train_targets=labels))


def test_a_label_with_a_positive_for_every_fold_is_in_every_fold(competition: Competition) -> None:
    rare = rare_label_competition(competition, [4, 9, 11])
    plan = make_plan(rare)
    assert sorted(plan.folds[[4, 9, 11]].tolist()) == [0, 1, 2]


def test_a_plan_survives_saving(competition: Competition) -> None:
    plan = make_plan(competition)
    assert stored_plan(competition.workspace) is None
    save_plan(competition, plan)
    stored = stored_plan(competition.workspace)
    assert stored is not None
    assert stored.folds.tolist() == plan.folds.tolist()
    assert stored.folds.dtype == plan.folds.dtype
    assert (stored.k, stored.made_from, stored.fingerprint) == (plan.k, plan.made_from, plan.fingerprint)


def test_the_stored_file_is_row_ids_and_folds(competition: Competition) -> None:
    plan = make_plan(competition)
    save_plan(competition, plan)
    table = pq.read_table(competition.workspace.root / "oof" / "folds.parquet")
    assert table.to_pydict() == {"id": competition.train_ids, "fold": plan.folds.tolist()}


def test_saving_the_same_plan_again_writes_the_same_bytes(competition: Competition) -> None:
    file = competition.workspace.fold_plan
    save_plan(competition, make_plan(competition))
    before = file.read_bytes()
    save_plan(competition, make_plan(load_competition(competition.workspace)))
    assert file.read_bytes() == before


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "fold": [0]}), path)


def one_row_moved(path: Path) -> None:
    table = pq.read_table(path)
    folds = table["fold"].to_pylist()
    folds[0] = (folds[0] + 1) % 3
    pq.write_table(table.set_column(1, "fold", pa.array(folds, pa.int16())), path)


def other_metadata(path: Path) -> None:
    table = pq.read_table(path)
    stored = json.loads(table.schema.metadata[b"compete"])
    stored["made_from"]["folds.seed"] = "8"
    pq.write_table(table.replace_schema_metadata({"compete": json.dumps(stored)}), path)


@pytest.mark.parametrize("damage", [torn, empty, foreign, one_row_moved, other_metadata])
def test_a_damaged_or_foreign_plan_is_refused(competition: Competition, damage: Callable[[Path], None]) -> None:
    save_plan(competition, make_plan(competition))
    damage(competition.workspace.fold_plan)
    with pytest.raises(StoreError, match=r"oof.folds\.parquet is damaged, or was not written by compete"):
        stored_plan(competition.workspace)


def changes_after(workspace: Workspace, old: str, new: str, file: str) -> list[str]:
    plan = make_plan(load_competition(workspace))
    path = workspace.root / file
    path.write_text(path.read_text().replace(old, new, 1))
    edited = load_competition(workspace)
    return differences(plan.made_from, made_from(edited.fingerprints, edited.declaration.folds))


@pytest.mark.parametrize(
    ("old", "new", "file", "expected"),
    [
        ("k = 3", "k = 4", "competition.toml", ["folds.k: 3 -> 4"]),
        ("seed = 7", "seed = 8", "competition.toml", ["folds.seed: 7 -> 8"]),
        ("a0000", "z0000", "train.csv", ["train ids changed"]),
        ("a0000,", "a0000,more ", "train.csv", ["train texts changed"]),
        ("b0000,", "b0000,more ", "test.csv", []),
    ],
)
def test_a_plan_names_what_changed_since_it_was_made(
    workspace: Workspace, old: str, new: str, file: str, expected: list[str]
) -> None:
    assert changes_after(workspace, old, new, file) == expected


def test_a_competition_of_one_label_is_stratified_too() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((200, 1)) < 0.2).astype(np.int8)
    folds = assign_folds(near_identical_groups([f"text {row}" for row in range(200)]), labels, k=4, seed=1)
    rates = [labels[folds == fold].mean() for fold in range(4)]
    assert np.ptp(rates) < 0.03
    assert np.ptp(np.bincount(folds)) <= 2


@pytest.mark.parametrize(
    ("cells", "folds", "k"),
    [
        (["0", "1", "2", "1"], [0, 1, 2, 1], 3),
        (["1", " 2 ", "3.0", "1"], [0, 1, 2, 0], 3),
    ],
)
def test_ones_own_plan_counts_from_0_or_from_1(cells: list[str], folds: list[int], k: int) -> None:
    found, count = folds_of_column(pd.Series(cells), "fold")
    assert (found.tolist(), count) == (folds, k)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["0", "1", "3"], r"fold has 0, 1, 3: fold 2 is missing\. Number the folds without gaps"),
        (["1", "1", "1"], "fold has 1: two folds at least are needed"),
        (["0", "", "1"], r"fold is '' in row 2; whole numbers are expected"),
        (["0", "1", "1.5"], r"fold is '1\.5' in row 3"),
        (["-1", "0", "1"], r"fold is '-1' in row 1"),
        (["5", "6"], r"fold has 5, 6: fold 1 is missing"),
    ],
)
def test_a_plan_of_ones_own_with_a_gap_is_refused(cells: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        folds_of_column(pd.Series(cells), "fold")


@pytest.mark.parametrize(
    "cells",
    [
        ["3", "1", "2.5"],
        ["2024-01-03", "2024-01-01", "2024-01-02"],
        ["2024-01-01T03", "2024-01-01T01", "2024-01-01T02"],
    ],
)
def test_times_are_numbers_or_dates(cells: list[str]) -> None:
    assert np.argsort(times_of_column(pd.Series(cells), "when")).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1", "soon", "3"], "when is 'soon' in row 2; numbers or dates like"),
        (["2024-01-01", "", "2024-01-02"], "when is '' in row 2"),
        (["", "", ""], "when is '' in row 1"),
        (["2024-01-01"] * 3, "when is '2024-01-01' in every row, and orders nothing"),
    ],
)
def test_what_is_no_time_is_named_by_its_row(cells: list[str], said: str) -> None:
    with pytest.raises(DataError, match=rf"folds\.time: {said}"):
        times_of_column(pd.Series(cells), "when")


@settings(deadline=None)
@given(times=st.lists(st.integers(0, 50), min_size=30, max_size=60), k=st.integers(2, 4))
def test_folds_in_time_are_stretches_of_it(times: list[int], k: int) -> None:
    """Rows of one time may be parted, but no row is before one of an earlier fold."""
    found = folds_in_time(np.array(times, dtype=np.float64), np.arange(len(times)), k)
    assert set(found.tolist()) == set(range(k))
    ends = [(min(t for t, f in zip(times, found, strict=True) if f == fold), fold) for fold in range(k)]
    starts = [max(t for t, f in zip(times, found, strict=True) if f == fold) for fold in range(k)]
    assert all(starts[fold - 1] <= ends[fold][0] for fold in range(1, k))
    assert max(np.bincount(found)) - min(np.bincount(found)) <= 1


def test_a_group_is_where_its_first_row_is_in_time() -> None:
    times, groups = np.array([0.0, 1, 2, 3, 4, 9]), np.array([0, 1, 2, 3, 4, 0])
    assert folds_in_time(times, groups, 2).tolist() == [0, 0, 1, 1, 1, 0]
    with pytest.raises(DataError, match=r"fewer stretches of time than folds\.k = 2"):
        folds_in_time(times, np.zeros(6, dtype=np.intp), 2)


def with_column(competition: Competition, cells: list[str], **folds: str | int) -> Competition:
    """The same rows with one more column, `extra`."""
    columns = competition.train_columns.assign(extra=cells)
    declaration = competition.declaration.model_copy(update={"folds": Folds.model_validate({"k": 3, **folds})})
    return dataclasses.replace(competition, declaration=declaration, train_columns=columns)


def test_rows_of_a_declared_group_share_a_fold(competition: Competition) -> None:
    cells = [f"g{row % 40}" if row % 50 else "" for row in range(240)]
    plan = make_plan(with_column(competition, cells, groups="extra"))
    for name in {cell for cell in cells if cell}:
        assert len({int(plan.folds[row]) for row, cell in enumerate(cells) if cell == name}) == 1
    assert len(set(plan.folds.tolist())) == 3
    with pytest.raises(DataError, match=r"folds\.groups = 'extra': the rows are in 1 group of rows"):
        make_plan(with_column(competition, ["g"] * 240, groups="extra"))


def test_a_plan_follows_a_column_or_the_time_and_names_what_changed(competition: Competition) -> None:
    own = with_column(competition, [str(1 + row % 4) for row in range(240)], column="extra")
    assert make_plan(own).folds.tolist() == [row % 4 for row in range(240)]
    assert make_plan(own).k == 4
    later = with_column(competition, [str(240 - row) for row in range(240)], time="extra")
    assert np.all(np.diff(make_plan(later).folds) <= 0)
    changed = with_column(competition, [str(1 + row % 3) for row in range(240)], column="extra")
    assert "fold column" in " ".join(differences(make_plan(own).made_from, make_plan(changed).made_from))
