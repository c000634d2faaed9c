"""Folds that were trained on one machine and on another are one model, wherever its checkpoint lies, or is absent."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from compete.base_models.miniatures.writing import write_miniature
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.state import ModelState, State, model_state, recipes_in_force
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.new_texts import predict_base_model
from support.lived_in import copied

pytestmark = pytest.mark.slow

SMALL = (
    'epochs = 1\nbatch_size = 64\nmax_length = 16\nlearning_rate = 1e-3\nprecision = "float32"\nadaptation = "lora"\n'
)


def write_recipe(workspace: Workspace, checkpoint: str) -> None:
    for path in workspace.recipes.glob("*.toml"):
        path.unlink()
    recipe = f'family = "sequence_classifier"\n[settings]\ncheckpoint = "{checkpoint}"\n{SMALL}'
    (workspace.recipes / "tuned.toml").write_text(recipe, encoding="utf-8")


def lies_in(workspace: Workspace, folder: Path | str) -> None:
    text = workspace.declaration.read_text(encoding="utf-8").partition("\n[checkpoints]")[0]
    workspace.declaration.write_text(f'{text}\n[checkpoints]\n"org/model" = "{folder}"\n', encoding="utf-8")


def train_folds(workspace: Workspace, folds: list[int]) -> None:
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, ["tuned"]), folds, parity=False), InlineExecutor())


def state_of(workspace: Workspace) -> ModelState:
    planned = with_plan(load_competition(workspace))
    return model_state(workspace, "tuned", recipes_in_force(workspace)["tuned"], planned.identity, planned.plan.k)


def carry(one: Workspace, other: Workspace) -> None:
    shutil.copytree(one.oof / "tuned", other.oof / "tuned", dirs_exist_ok=True)


@pytest.fixture
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_miniature("distilbert", ["a happy day", "a rotten one"] * 20, folder, seed=1)
    return folder


@pytest.fixture
def there(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Workspace:
    """Another machine, where two folds are trained: the recipe names the hub's checkpoint, which lies in a folder."""
    workspace = copied(untouched, tmp_path_factory.mktemp("there"))
    write_recipe(workspace, "org/model")
    lies_in(workspace, weights)
    train_folds(workspace, [0, 1])
    return workspace


@pytest.fixture
def here(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = copied(untouched, tmp_path_factory.mktemp("here"))
    write_recipe(workspace, "org/model")
    return workspace


def test_half_of_the_folds_here_and_half_there_are_one_model(
    there: Workspace, here: Workspace, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copied"
    shutil.copytree(weights, elsewhere)
    write_recipe(here, str(elsewhere))  # under another name, even
    train_folds(here, [2])
    carry(there, here)
    assert state_of(here).folds_done == 3
    train_folds(here, [])  # nothing is left to train: the folds are put together
    assert state_of(here).state is State.FRESH
    model = store.read_model(here.base_model("tuned"), load_competition(here).shape)
    assert np.all(model.oof > 0) and model.oof.std() > 0
    planned = with_plan(load_competition(here))
    texts = load_competition(here).test_texts
    again = predict_base_model(planned, "tuned", texts, 1)  # adapters of both, over the weights that are here
    np.testing.assert_allclose(again, model.test, atol=1e-5)
    places = [there.root, weights, here.root, elsewhere]
    telling = {
        f"{path.relative_to(here.oof)}: {place}"
        for path in here.oof.rglob("*")
        for place in places
        if path.is_file() and str(place).encode() in path.read_bytes()
    }
    assert telling == set()


def test_results_are_used_where_their_checkpoint_is_not(there: Workspace, here: Workspace, tmp_path: Path) -> None:
    train_folds(there, [2])
    lies_in(here, "models/absent")
    carry(there, here)
    assert state_of(here).state is State.FRESH
    assert find_work(load_competition(here), choose_recipes(load_competition(here), ["tuned"])).jobs == []
    planned = with_plan(load_competition(here))
    with pytest.raises(UserError, match=r"checkpoints\.org/model: the folder models/absent does not exist"):
        predict_base_model(planned, "tuned", ["happy"], 1)
    competition = load_competition(here)
    with pytest.raises(UserError, match=r"checkpoints\.org/model: the folder models/absent does not exist"):
        find_work(competition, choose_recipes(competition, ["tuned"]), force=True)


def test_other_weights_under_the_same_name_make_stale(there: Workspace, weights: Path) -> None:
    train_folds(there, [2])
    assert state_of(there).state is State.FRESH
    write_miniature("distilbert", ["a happy day", "a rotten one"] * 20, weights, seed=2)
    stale = state_of(there)
    assert stale.state is State.STALE
    assert stale.reasons == ["the checkpoint's files changed"]


def test_folds_of_other_weights_do_not_come_together(
    there: Workspace, here: Workspace, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    write_miniature("distilbert", ["a happy day", "a rotten one"] * 20, other, seed=2)
    lies_in(here, other)
    train_folds(here, [2])
    carry(there, here)
    lies_in(here, "models/absent")  # nothing here says which are right
    assert [part.state for part in state_of(here).parts] == [State.FRESH, State.FRESH, State.STALE]
    lies_in(here, other)
    assert [part.state for part in state_of(here).parts] == [State.STALE, State.STALE, State.FRESH]
