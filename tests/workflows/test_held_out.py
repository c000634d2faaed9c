from __future__ import annotations

import csv

import numpy as np

from compete.competition.data import Competition, load_competition
from compete.competition.near_identical import near_identical_groups
from compete.oof.work import choose_recipes
from compete.workflows.held_out import workspace_without
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
