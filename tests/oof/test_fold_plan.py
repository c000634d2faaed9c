from __future__ import annotations

import pytest

from compete.competition.data import Competition, load_competition
from compete.errors import StoreError
from compete.oof.fold_plan import under_stored_plan, with_plan
from support.one_model import edit, train_words


def test_a_plan_is_made_once_and_another_one_after_an_edit(competition: Competition) -> None:
    first = with_plan(competition).plan
    assert with_plan(competition).plan.fingerprint == first.fingerprint
    edit(competition.workspace.declaration, "seed = 7", "seed = 8")
    second = with_plan(load_competition(competition.workspace)).plan
    assert second.fingerprint != first.fingerprint
    assert under_stored_plan(competition).plan.fingerprint == second.fingerprint


def test_under_trained_models_a_plan_is_replaced_only_when_asked_for(competition: Competition) -> None:
    train_words(competition)
    before = with_plan(competition).plan
    edit(competition.workspace.declaration, "seed = 7", "seed = 8")
    edited = load_competition(competition.workspace)
    with pytest.raises(StoreError, match=r"folds\.seed: 7 -> 8\nstale: words\n.*--replace-stale"):
        with_plan(edited)
    assert under_stored_plan(edited).plan.fingerprint == before.fingerprint
    assert with_plan(edited, replace_stale=True).plan.fingerprint != before.fingerprint


def test_a_plan_that_is_gone_is_named(competition: Competition) -> None:
    with_plan(competition)
    competition.workspace.fold_plan.unlink()
    with pytest.raises(StoreError, match=r"the fold plan in oof.folds\.parquet is gone"):
        under_stored_plan(competition)
