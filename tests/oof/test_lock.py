from __future__ import annotations

from contextlib import ExitStack

from compete.base_models.recipes import load_recipe
from compete.competition.workspace import Workspace
from compete.oof.kept import check_job
from compete.oof.lock import claim, exclusive, fold_claimed, held_folds


def test_a_fold_is_claimed_once(workspace: Workspace) -> None:
    recipe = load_recipe(workspace, "words")
    jobs = [check_job(workspace, recipe, fold, 1) for fold in range(3)]
    with fold_claimed(workspace, "words", 1) as first, ExitStack() as held:
        assert first
        mine, others = claim(workspace, jobs, held)
        assert ([job.payload["fold"] for job in mine], [job.payload["fold"] for job in others]) == ([0, 2], [1])
        assert held_folds(workspace) == {"words.0", "words.1", "words.2"}
        assert held_folds(workspace, apart_from=mine) == {"words.1"}
        with fold_claimed(workspace, "words", 2) as again:
            assert not again
    assert held_folds(workspace) == set()
    with fold_claimed(workspace, "words", 1) as free:
        assert free


def test_what_a_fold_that_is_trained_has_half_written_is_not_swept(workspace: Workspace) -> None:
    half = workspace.oof / "words" / ".compete-tmp-1_0-fold_0"
    half.mkdir(parents=True)
    with fold_claimed(workspace, "words", 0), exclusive(workspace):
        assert half.exists()
    with exclusive(workspace):
        assert not half.exists()
