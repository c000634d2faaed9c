from __future__ import annotations

import csv

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.metrics import METRICS
from compete.competition.near_identical import near_identical_groups
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.oof.work import choose_recipes
from compete.submissions.targets import what_keeps_from_scoring
from compete.workflows import held_out
from compete.workflows.held_out import workspace_without
from support.other_tasks import TEMPLATE, of_another_task
from support.tables import column


def test_every_training_row_is_in_one_part(competition: Competition) -> None:
    root = workspace_without(competition, choose_recipes(competition, ["words"]), 0.2, seed=0).root
    kept, held_out = column(root / "data/train.csv", "id"), column(root / "data/test.csv", "id")
    assert sorted(kept + held_out) == sorted(competition.train_ids)
    assert column(root / "data/solution.csv", "id") == held_out
    assert 0.15 < len(held_out) / len(competition.train_ids) < 0.25
    with (root / "data/test.csv").open(encoding="utf-8") as file:
        assert set(next(csv.reader(file))) == {"id", competition.declaration.data.text}  # no label is told


def test_near_identical_texts_stay_together(competition: Competition) -> None:
    root = workspace_without(competition, choose_recipes(competition, ["words"]), 0.2, seed=0).root
    held_out = set(column(root / "data/test.csv", "id"))
    groups = near_identical_groups(competition.train_texts)
    for group in np.unique(groups):
        rows = [competition.train_ids[row] for row in np.flatnonzero(groups == group)]
        assert len({row in held_out for row in rows}) == 1


def test_another_seed_holds_out_other_rows(competition: Competition) -> None:
    parts = [
        set(
            column(
                workspace_without(competition, choose_recipes(competition, ["words"]), 0.2, seed).root
                / "data/test.csv",
                "id",
            )
        )
        for seed in (0, 1, 0)
    ]
    assert parts[0] == parts[2] != parts[1]


def test_the_declaration_is_that_of_the_competition(competition: Competition) -> None:
    played = load_competition(workspace_without(competition, choose_recipes(competition, ["words"]), 0.2, seed=0))
    assert played.labels == competition.labels
    assert played.declaration.folds == competition.declaration.folds
    assert played.declaration.metric_name == competition.declaration.metric_name
    assert played.declaration.submission.public_fraction == competition.declaration.submission.public_fraction


PAIR = 'text = ["title", "body"]'
ONE = 'labels = "mood"'


@pytest.mark.parametrize(
    ("top", "data", "folds", "columns", "cells"),
    [
        (
            'task = "multiclass"\nmetric = "f1_macro"',
            f'{TEMPLATE}\nlabels = "mood"\nfeatures = ["asked"]',
            'groups = "asked"',
            "asked,mood",
            [f"{n // 2},{('good', 'bad', 'so so')[n % 3]}" for n in range(240)],
        ),
        (
            'task = "multilabel"\nmetric = "f1_macro"',
            f'{PAIR}\nlabels = "moods"\nlabel_separator = "|"',
            "",
            "moods",
            [("good|bad", "bad", "")[n % 3] for n in range(240)],
        ),
        (
            'task = "ordinal"\nmetric = "mine.py:score"\nmetric_wants = "decisions"\nmetric_greater_is_better = false',
            f'{TEMPLATE}\nlabels = "grade"',
            'time = "when"',
            "when,grade",
            [f"2024-01-{1 + n % 28:02d},{n % 4 - 1}" for n in range(240)],
        ),
        (
            'task = "regression"\nmetric = "mine.py:score"\nmetric_wants = "numbers"\nmetric_greater_is_better = true',
            f'{TEMPLATE}\nlabels = ["x", "y"]',
            "",
            "x,y",
            [f"{n / 7:.3f},{-n}" for n in range(240)],
        ),
    ],
    ids=["multiclass", "list", "ordinal", "regression"],
)
def test_a_rehearsal_of_every_task_has_its_columns_as_they_are_written(
    workspace: Workspace,
    top: str,
    data: str,
    folds: str,
    columns: str,
    cells: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Competition, "metric", METRICS["f1_macro"])  # which one it is matters to nothing here
    monkeypatch.setattr(held_out, "_refuse_undefined", lambda *some: None)
    of_another_task(workspace, top, data, columns, cells, folds)
    competition = load_competition(workspace)
    played = load_competition(workspace_without(competition, [], 0.3, seed=1))
    whole = dict(zip(competition.train_ids, competition.train_targets.tolist(), strict=True))
    assert played.task == competition.task
    assert dict(zip(played.train_ids, played.train_targets.tolist(), strict=True)).items() <= whole.items()
    assert sorted([*played.train_ids, *played.test_ids]) == sorted(competition.train_ids)
    texts = dict(zip(competition.train_ids, competition.train_texts, strict=True))
    assert all(texts[name] == text for name, text in zip(played.test_ids, played.test_texts, strict=True))
    for key in ("task", "metric_name", "metric_wants", "metric_greater_is_better", "folds"):
        assert getattr(played.declaration, key) == getattr(competition.declaration, key)
    for key in ("text", "label_separator", "features"):
        assert getattr(played.declaration.data, key) == getattr(competition.declaration.data, key)
    assert competition.declaration.own_metric is None or (played.workspace.root / "mine.py").is_file()
    header = (played.workspace.root / "data/test.csv").read_text(encoding="utf-8").split("\n")[0].replace('"', "")
    assert header == ",".join(["id", "title", "body", *competition.declaration.data.features])
    assert what_keeps_from_scoring(played) == ""
    # Every row of a declared group is on one side.
    if competition.declaration.folds.groups:
        asked = dict(zip(competition.train_ids, competition.train_columns["asked"], strict=True))
        assert not {asked[name] for name in played.train_ids} & {asked[name] for name in played.test_ids}
    # Of rows in time the latest are held out, as a test set that comes later would be.
    if competition.declaration.folds.time:
        when = dict(zip(competition.train_ids, competition.train_columns["when"], strict=True))
        assert max(when[name] for name in played.train_ids) <= min(when[name] for name in played.test_ids)


def test_folds_that_only_the_user_knows_are_not_dealt_by_chance(workspace: Workspace) -> None:
    top, data = 'task = "multilabel"\nmetric = "f1_macro"', f'{PAIR}\nlabels = "moods"\nlabel_separator = "|"'
    cells = [f"{n % 3},{('good|bad', 'bad', '')[n % 3]}" for n in range(240)]
    of_another_task(workspace, top, data, "fold,moods", cells, 'column = "fold"')
    with pytest.raises(UserError, match=r"folds\.column keeps apart what only you know"):
        workspace_without(load_competition(workspace), [], 0.3, seed=1)


@pytest.mark.parametrize(
    ("data", "cells"),
    [
        (ONE, ["odd" if n in (5, 31, 58) else ("good", "bad")[n % 2] for n in range(240)]),
        (f'{ONE}\nlabel_separator = "|"', ["odd|good" if n == 58 else ("good", "bad")[n % 2] for n in range(240)]),
    ],
    ids=["class", "label in a cell"],
)
def test_what_few_rows_have_is_not_held_out(
    workspace: Workspace, data: str, cells: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody would know, in the rehearsal, that there is such a class, or it would be too rare for its folds."""
    monkeypatch.setattr(held_out, "_refuse_undefined", lambda *some: None)
    task = "multilabel" if "separator" in data else "multiclass"
    top = f'task = "{task}"\nmetric = "f1_macro"'
    of_another_task(workspace, top, f"{TEMPLATE}\n{data}", "mood", cells)
    competition = load_competition(workspace)
    place = competition.labels.index("odd")
    for seed in range(4):
        played = load_competition(workspace_without(competition, [], 0.5, seed))
        assert played.labels == competition.labels
        assert played.train_targets[:, place].sum() == competition.train_targets[:, place].sum()
