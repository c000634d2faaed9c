"""[[pretrain_on]]: labelled rows of another workspace first, without those whose text is in train or test here."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import ArchiveError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.job_archives import pack_job
from compete.oof.priors import Prior, prior_of
from compete.oof.state import State
from compete.oof.work import Work, choose_recipes, find_work, train
from compete.progress import unheard
from conftest import build_workspace, make_rows, write_csv
from support.one_model import edit, state_of

RECIPE = """
family = "sequence_classifier"
[settings]
checkpoint = "miniature:roberta"
epochs = 1
max_length = 16
learning_rate = 1e-3
[[pretrain_on]]
workspace = "other"
settings = { epochs = 1, learning_rate = 1e-3 }
"""


@pytest.fixture
def other(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Sixty rows of its own, and three whose texts are nearly those of rows in train and test here."""
    monkeypatch.setattr("compete.oof.priors.usable_cores", lambda: 1)  # two threads mostly wait for each other
    found = build_workspace(workspace.root / "other", train=make_rows(60, 9, "o"))
    edit(found.declaration, 'name = "tiny"', 'name = "elsewhere"')
    competition = load_competition(workspace)
    ours = [competition.train_texts[0], competition.train_texts[5], competition.test_texts[3]]
    known = [{**row, "id": f"k{n}", "text": f"@you {ours[n].upper()}"} for n, row in enumerate(make_rows(3, 4, "k"))]
    write_csv(found.root / "train.csv", [*make_rows(60, 9, "o"), *known])
    (workspace.recipes / "after.toml").write_text(RECIPE, encoding="utf-8")
    return found


def _find_work(workspace: Workspace) -> Work:
    return find_work(load_competition(workspace), [load_recipe(workspace, "after")])


def _prior(workspace: Workspace) -> Prior:
    prior = prior_of(load_recipe(workspace, "after"), load_competition(workspace), unheard)
    assert prior is not None
    return prior


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"other"', '"."', "is this workspace"),
        ('"other"', '"nowhere"', "there is no competition.toml in nowhere"),
        ("{ epochs = 1", "{ epoch = 1", "pretrain_on.settings.epoch"),
        ("{ epochs = 1", '{ checkpoint = "x"', "pretrain_on.settings.checkpoint: is the recipe's"),
        ("{ epochs = 1", '{ adaptation = "frozen"', "it is the body that has to learn"),
        ('family = "sequence_classifier"', 'family = "families.py:Words"', "is for the families"),
    ],
)
def test_a_step_that_cannot_be_is_refused_before_training(
    workspace: Workspace, other: Workspace, old: str, new: str, reason: str
) -> None:
    edit(workspace.recipes / "after.toml", old, new)
    with pytest.raises(UserError) as caught:
        _find_work(workspace)
    assert reason in str(caught.value)
    assert "base_models/after.toml" in str(caught.value)


def test_too_few_rows_that_are_not_ours_are_an_error(workspace: Workspace, other: Workspace) -> None:
    competition = load_competition(workspace)
    rows = [{**row, "text": competition.train_texts[n]} for n, row in enumerate(make_rows(60, 9, "o"))]
    write_csv(other.root / "train.csv", [*rows, *make_rows(7, 11, "p")])
    with pytest.raises(UserError, match="other has 7 rows whose text is not in train or test"):
        _prior(workspace)


def test_a_job_of_such_a_recipe_is_not_taken_elsewhere(workspace: Workspace, other: Workspace, tmp_path: Path) -> None:
    work = find_work(load_competition(workspace), [load_recipe(workspace, "after")])
    with pytest.raises(ArchiveError, match="after learns from the rows of other"):
        pack_job(work.planned, work.recipes[0], work.jobs[0], tmp_path / "it.job")


@pytest.mark.slow
def test_folds_start_from_other_rows_and_none_of_ours(workspace: Workspace, other: Workspace) -> None:
    competition = load_competition(workspace)
    work = find_work(competition, choose_recipes(competition, ["after"]), [0])
    train(work, InlineExecutor())
    record = store.read_record(workspace.base_model("after").part(0))
    assert record["seen"] == {"folds": [1, 2], "test_texts": False, "through": ["pretraining on elsewhere"]}
    prior = _prior(workspace)
    assert (prior.record["rows"], prior.record["left_out"], prior.name) == (60, 3, record["prior"])
    said = [str(warning) for warning in record["warnings"]]
    assert any("60 rows of elsewhere; 3 were left out" in warning for warning in said)
    assert state_of(competition, "after").parts[0].state is State.FRESH
    edit(workspace.recipes / "after.toml", "{ epochs = 1", "{ epochs = 2")
    assert state_of(competition, "after").parts[0].reasons == ("pretrain_on.0.epochs: 1 -> 2",)
    edit(workspace.recipes / "after.toml", "{ epochs = 2", "{ epochs = 1")
    write_csv(other.root / "train.csv", make_rows(50, 12, "q"))
    state = state_of(competition, "after").parts[0]
    assert (state.state, state.reasons) == (
        State.STALE,
        ("the rows of other, which it was pretrained on, changed",),
    )


@pytest.mark.slow
def test_a_damaged_prior_is_trained_again(workspace: Workspace, other: Workspace) -> None:
    prior = _prior(workspace)
    weights = next(prior.folder.glob("*.safetensors"))
    before = weights.read_bytes()
    weights.write_bytes(before[:-1])
    assert _prior(workspace).name == prior.name
    assert weights.read_bytes() == before
