"""`seeds` of a recipe: the mean of several trainings of a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.families import FitContext, FittedModel
from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.oof import store
from compete.oof.averaged import Averaged, KeptAveraged, averaged, load_averaged
from compete.oof.fold_plan import with_plan
from compete.oof.job import fold_seed
from compete.oof.state import State
from support.one_model import edit, state_of, train_words


def test_three_seeds_are_the_mean_of_three_trainings_by_hand(workspace: Workspace) -> None:
    edit(workspace.recipes / "words.toml", "[settings]", "seeds = 3\n[settings]")
    competition = load_competition(workspace)
    train_words(competition, 1)
    planned = with_plan(competition)
    part = workspace.base_model("words").part(1)
    found = store.read_part(part, planned.plan, competition.shape)
    others = planned.plan.other_rows(1)
    texts = [competition.train_texts[row] for row in planned.plan.rows(1)]
    each = []
    for seed in (fold_seed(42, 1), fold_seed(42, 1, 1), fold_seed(42, 1, 2)):
        family = load_recipe(workspace, "words").build()
        context = FitContext(competition.labels, seed=seed)
        model = family.fit([competition.train_texts[r] for r in others], competition.train_targets[others], context)
        each.append(model.predict_proba(texts))
    assert not np.allclose(each[0], each[1], atol=1e-4)  # what is averaged differs
    np.testing.assert_allclose(found.oof, np.mean(each, axis=0), atol=1e-6)
    spread = store.read_record(part)["seed_spread"]
    assert spread == pytest.approx(np.std(each, axis=0, ddof=1).mean(), abs=1e-4)


def test_seeds_are_part_of_what_a_model_is_made_from(workspace: Workspace) -> None:
    competition = load_competition(workspace)
    train_words(competition)
    edit(workspace.recipes / "words.toml", "[settings]", "seeds = 2\n[settings]")
    state = state_of(competition)
    assert (state.state, state.reasons) == (State.STALE, ["seeds: not set -> 2"])


@dataclass
class _Constant:
    value: float = 0.0
    complete: bool = True

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), 2), self.value, dtype=np.float32)

    def save(self, folder: Path, *, whole: bool) -> bool:
        (folder / "value.txt").write_text(str(self.value))
        return self.complete or whole


class _Family:
    """Reads into itself and returns itself, as a user's own family may."""

    def load(self, folder: Path, context: FitContext) -> _Constant:
        self.model = _Constant(float((folder / "value.txt").read_text()))
        return self.model


def test_averaged_models_are_written_and_read_again(tmp_path: Path) -> None:
    model = averaged([_Constant(0.1), _Constant(0.3), _Constant(0.8)])
    assert isinstance(model, KeptAveraged)
    assert model.save(tmp_path, whole=False)
    again = load_averaged(_Family, tmp_path, FitContext(("a", "b"), seed=0), 3)  # type: ignore[arg-type]
    np.testing.assert_allclose(again.predict_proba(["x"]), np.full((1, 2), 0.4), atol=1e-7)
    assert model.predict_proba([]).shape == (0, 2)


def test_models_that_do_not_stay_are_written_once_more_for_their_check(tmp_path: Path) -> None:
    model = averaged([_Constant(0.1, complete=False), _Constant(0.3)])
    assert isinstance(model, KeptAveraged)
    assert not model.save(tmp_path, whole=False)
    assert model.save(tmp_path, whole=True)


def test_one_model_is_as_it_is_and_what_cannot_be_kept_is_not(tmp_path: Path) -> None:
    one = _Constant(0.1)
    models: list[FittedModel] = [one]
    assert averaged(models) is models[0]

    class _Forgetful:
        def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.zeros((len(texts), 2), dtype=np.float32)

    two = averaged([one, _Forgetful()])
    assert isinstance(two, Averaged)
    assert not isinstance(two, KeptAveraged)
