from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from compete.base_models.families import FitContext
from compete.base_models.recipes import load_recipe
from compete.competition.data import Competition, load_competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import StoreError
from compete.oof.fold_plan import with_plan
from compete.oof.job import fold_seed, make_job, run, train_fold
from compete.oof.state import stored_models
from support.one_model import edit, train_model


def test_a_job_refuses_a_workspace_that_was_edited_meanwhile(competition: Competition) -> None:
    recipe = load_recipe(competition.workspace, "words")
    identity = {**with_plan(competition).identity, **recipe.identity()}
    job = make_job(competition.workspace, recipe, 0, identity, threads=1)
    edit(recipe.path, "smoothing = 1.0", "smoothing = 2.0")
    with pytest.raises(StoreError, match=r"edited while it was trained: settings\.smoothing: 1\.0 -> 2\.0"):
        run(job.payload, lambda fraction: None)
    assert stored_models(competition.workspace) == []


@pytest.mark.parametrize("column", range(3))
def test_labels_of_a_fold_do_not_reach_its_own_predictions(workspace: Workspace, column: int) -> None:
    """Flip a label in one fold only: that fold's own out-of-fold rows stay the same, bit for bit."""
    competition = load_competition(workspace)
    planned = with_plan(competition)
    before = train_model(competition, "words").oof
    held_out = planned.plan.rows(1)
    flipped = competition.train_targets.copy()
    flipped[held_out, column] ^= 1
    changed = Planned(dataclasses.replace(competition, train_targets=flipped), planned.plan)
    recipe = load_recipe(workspace, "words")
    context = FitContext(competition.labels, seed=fold_seed(recipe.declaration.seed, 1))
    after = train_fold(changed, recipe, 1, context)[0].oof
    assert np.array_equal(before[held_out], after)
    other = train_fold(changed, recipe, 0, FitContext(competition.labels, seed=0))[0].oof
    assert not np.array_equal(before[planned.plan.rows(0)][:, column], other[:, column])
