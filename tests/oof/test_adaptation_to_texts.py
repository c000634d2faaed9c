"""[[pretrain_on]] with texts: language modelling on texts without labels, once for all folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import ArchiveError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.job_archives import pack_job
from compete.oof.priors import Prior, prior_of
from compete.oof.state import State
from compete.oof.work import find_work, train
from compete.progress import unheard
from conftest import make_rows, write_csv
from support.one_model import edit, state_of

RECIPE = """
family = "sequence_classifier"
[settings]
checkpoint = "miniature:roberta"
epochs = 1
max_length = 16
learning_rate = 1e-3
[[pretrain_on]]
texts = ["train", "test"]
settings = { epochs = 2, learning_rate = 3e-3, max_length = 16, batch_size = 16 }
"""


@pytest.fixture
def adapted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr("compete.oof.priors.usable_cores", lambda: 1)  # two threads mostly wait for each other
    (workspace.recipes / "adapted.toml").write_text(RECIPE, encoding="utf-8")
    return workspace


def _prior(workspace: Workspace) -> Prior:
    prior = prior_of(load_recipe(workspace, "adapted"), load_competition(workspace), unheard)
    assert prior is not None
    return prior


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('["train", "test"]', "[]", "pretrain_on"),
        ('["train", "test"]', '["train", "train"]', "texts should name each once"),
        ('texts = ["train", "test"]', "", "should name a workspace of labelled rows, or texts"),
        ('texts = ["train"', 'workspace = "other"\ntexts = ["train"', "should name a workspace of labelled rows, or"),
        ('["train", "test"]', '["more.csv"]', "pretrain_on.texts: more.csv does not exist"),
        ("{ epochs = 2", "{ adaptation = 3", "pretrain_on.settings.adaptation"),
        ("{ epochs = 2", "{ masked = 1.5", "pretrain_on.settings.masked"),
    ],
)
def test_a_step_that_cannot_be_is_refused_before_training(adapted: Workspace, old: str, new: str, reason: str) -> None:
    edit(adapted.recipes / "adapted.toml", old, new)
    with pytest.raises(UserError) as caught:
        find_work(load_competition(adapted), [load_recipe(adapted, "adapted")])
    assert reason in str(caught.value)
    assert "base_models/adapted.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"id": "u1", "text": "w1 w2", "joy": "1"}], "more.csv has labels"),
        ([{"id": "u1", "words": "w1 w2"}], "more.csv has no column text"),
        ([{"id": "u1", "text": "w1 w2"}], "1 texts; at least 20 are needed"),
    ],
)
def test_a_file_that_is_none_of_texts_is_refused(adapted: Workspace, rows: list[dict[str, str]], reason: str) -> None:
    edit(adapted.recipes / "adapted.toml", '["train", "test"]', '["more.csv"]')
    write_csv(adapted.root / "more.csv", rows)
    with pytest.raises(UserError, match=reason):
        _prior(adapted)


def test_a_decoder_that_reads_in_both_directions_is_refused(adapted: Workspace) -> None:
    edit(adapted.recipes / "adapted.toml", "miniature:roberta", "miniature:gemma3_embedding")
    with pytest.raises(UserError, match="a decoder whose tokens see those behind them"):
        _prior(adapted)


def test_a_job_of_such_a_recipe_is_not_taken_elsewhere(adapted: Workspace, tmp_path: Path) -> None:
    work = find_work(load_competition(adapted), [load_recipe(adapted, "adapted")])
    with pytest.raises(ArchiveError, match="adapted learns from the texts of train, test"):
        pack_job(work.planned, work.recipes[0], work.jobs[0], tmp_path / "it.job")


@pytest.mark.slow
def test_folds_start_from_the_texts_and_say_that_those_of_test_are_among_them(adapted: Workspace) -> None:
    competition = load_competition(adapted)
    train(find_work(competition, [load_recipe(adapted, "adapted")], [0]), InlineExecutor())
    record = store.read_record(adapted.base_model("adapted").part(0))
    through = "pretraining on texts of train, test"
    assert record["seen"] == {"folds": [1, 2], "test_texts": True, "through": [through]}
    prior = _prior(adapted)
    texts = {*competition.train_texts, *competition.test_texts}
    assert (prior.record["rows"], prior.name) == (len(texts), record["prior"])
    assert any(f"pretrained on {len(texts):,} texts of train, test" in str(each) for each in record["warnings"])
    losses = [epoch["validation_loss"] for epoch in prior.record["curves"]]
    assert losses[-1] < losses[0] - 0.05
    assert state_of(competition, "adapted").parts[0].state is State.FRESH
    edit(adapted.recipes / "adapted.toml", '["train", "test"]', '["train"]')
    assert state_of(competition, "adapted").parts[0].reasons == ("pretrain_on.0.texts: train, test -> train",)


@pytest.mark.slow
def test_it_sees_no_label_and_test_texts_only_where_they_are_named(adapted: Workspace) -> None:
    edit(adapted.recipes / "adapted.toml", '["train", "test"]', '["train", "more.csv"]')
    write_csv(adapted.root / "more.csv", [{"id": f"u{n}", "text": f"w{n} w{n + 1} happy"} for n in range(30)])
    before = _prior(adapted)
    assert before.record["seen"] == {"folds": [], "test_texts": False, "through": []}
    first = next(before.folder.glob("*.safetensors")).read_bytes()
    rows = make_rows(90, 1, "t")
    texts = load_competition(adapted).train_texts
    turned = [{**rows[n % len(rows)], "id": f"x{n}", "text": text} for n, text in enumerate(texts)]
    write_csv(adapted.root / "train.csv", turned)
    after = _prior(adapted)
    assert (after.name, next(after.folder.glob("*.safetensors")).read_bytes()) == (before.name, first)
    test = load_competition(adapted).test_texts[0]
    write_csv(adapted.root / "more.csv", [{"id": f"u{n}", "text": test} for n in range(30)])
    assert _prior(adapted).record["seen"]["test_texts"] is True


@pytest.mark.slow
def test_a_decoder_learns_to_go_on(adapted: Workspace) -> None:
    edit(adapted.recipes / "adapted.toml", "miniature:roberta", "miniature:llama")
    prior = _prior(adapted)
    losses = [epoch["validation_loss"] for epoch in prior.record["curves"]]
    assert losses[-1] < losses[0] - 0.05
    config = json.loads((prior.folder / "config.json").read_text(encoding="utf-8"))
    body = AutoModel.from_pretrained(prior.folder)
    assert config["model_type"] == "llama" and all(torch.isfinite(weight).all() for weight in body.parameters())
