"""A rehearsal reuses nothing that saw the rows it holds out, and keeps the rules of the game."""

from __future__ import annotations

import pytest

from compete.competition.data import Competition, load_competition
from compete.workflows.rehearse import Rehearsal, rehearse
from support.tables import column

pytestmark = pytest.mark.slow


@pytest.fixture
def rehearsed(competition: Competition) -> Rehearsal:
    (competition.workspace.stack_recipes / "mean.toml").write_text('method = "mean"\n', encoding="utf-8")
    return rehearse(competition.workspace, stacks=["mean"], share=0.25, seed=3, workers=0)


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


def test_a_recipe_that_is_not_played_is_not_asked_for(competition: Competition) -> None:
    """Another family of one's own, and a recipe with a mistake in it, stay where they are."""
    workspace = competition.workspace
    (workspace.root / "other.py").write_bytes((workspace.root / "families.py").read_bytes())
    (workspace.recipes / "unplayed.toml").write_text('family = "other.py:Words"\n', encoding="utf-8")
    (workspace.recipes / "wrong.toml").write_text('family = "no such family"\n', encoding="utf-8")
    found = rehearse(workspace, ["words", "words_smooth"], stacks=["logistic"], seed=2, workers=0)
    assert {entry.submission.source for entry in found.entries} >= {"base model words"}
    assert sorted(path.stem for path in found.workspace.recipes.glob("*.toml")) == ["words", "words_smooth"]


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
