"""A rehearsal reuses nothing that saw the rows it holds out, and keeps the rules of the game."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.near_identical import near_identical_groups
from compete.oof.work import choose_recipes
from compete.workflows.held_out import workspace_without
from compete.workflows.rehearse import Rehearsal, rehearse

pytestmark = pytest.mark.slow


def column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


@pytest.fixture
def rehearsed(competition: Competition) -> Rehearsal:
    (competition.workspace.stack_recipes / "mean.toml").write_text('method = "mean"\n', encoding="utf-8")
    return rehearse(competition.workspace, stacks=["mean"], share=0.25, seed=3, workers=0)


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
    assert played.declaration.metric == competition.declaration.metric
    assert played.declaration.submission.public_fraction == competition.declaration.submission.public_fraction


def test_nothing_in_it_saw_a_row_that_was_held_out(rehearsed: Rehearsal) -> None:
    root = rehearsed.workspace.root
    held_out = column(root / "data/test.csv", "id")
    texts = {row.encode() for row in held_out}
    assert not texts & set((root / "data/train.csv").read_bytes().replace(b"\n", b",").split(b","))
    played = load_competition(rehearsed.workspace)
    assert not set(played.train_ids) & set(held_out)


def test_what_is_best_by_honest_score_is_submitted_first(rehearsed: Rehearsal) -> None:
    honest = [entry.submission.validation or 0.0 for entry in rehearsed.entries]
    assert honest == sorted(honest, reverse=True)
    assert {entry.submission.source for entry in rehearsed.entries} <= {
        "stack mean", "base model words", "base model words_smooth"
    }  # fmt: skip
    assert all(entry.outcome.private is not None for entry in rehearsed.entries)


def test_the_daily_limit_holds(competition: Competition) -> None:
    declaration = competition.workspace.declaration
    text = declaration.read_text(encoding="utf-8")
    declaration.write_text(text.replace("[submission]", "[submission]\ndaily_limit = 1"), encoding="utf-8")
    limited = load_competition(competition.workspace)
    assert limited.declaration.submission.daily_limit == 1
    found = rehearse(limited.workspace, seed=1, workers=0)
    assert len(found.entries) == 1 and found.finalists is None
    assert any("daily limit" in reason for reason in found.not_sent)


def test_the_summary_holds_promises_against_the_truth(rehearsed: Rehearsal) -> None:
    first, *rest = rehearsed.summary
    assert first.startswith("public scores in the range that was promised: ")
    assert len(rest) == (1 if rehearsed.finalists else 0)
