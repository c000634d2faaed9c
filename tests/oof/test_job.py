from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from compete.base_models.families import FitContext
from compete.base_models.recipes import load_recipe
from compete.competition.data import Competition, load_competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import StoreError
from compete.execution.inline import InlineExecutor
from compete.oof.fold_plan import with_plan
from compete.oof.job import fold_seed, made_by, make_job, run, train_fold
from compete.oof.state import stored_models
from compete.oof.work import choose_recipes, find_work, train
from compete.progress import unheard
from support.one_model import edit, train_model

TUNED = """\
family = "sequence_classifier"
[settings]
checkpoint = "miniature:distilbert"
epochs = 1
batch_size = 64
max_length = 16
precision = "bfloat16"
adaptation = "lora"
"""


def test_a_job_refuses_a_workspace_that_was_edited_meanwhile(competition: Competition) -> None:
    recipe = load_recipe(competition.workspace, "words")
    identity = {**with_plan(competition).identity, **recipe.identity()}
    job = make_job(competition.workspace, recipe, 0, identity, threads=1)
    edit(recipe.path, "smoothing = 1.0", "smoothing = 2.0")
    with pytest.raises(StoreError, match=r"edited while it was trained: settings\.smoothing: 1\.0 -> 2\.0"):
        run(job.payload, unheard)
    assert stored_models(competition.workspace) == []


def test_what_made_a_result_names_libraries_and_machine_and_a_gpu_only_where_one_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = made_by()
    assert {"torch", "transformers", "peft", "accelerate", "bitsandbytes", "machine", "cores"} <= made.keys()
    assert not {"gpu", "cuda", "driver"} & made.keys()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr("compete.oof.job.driver_version", lambda: "580.65")
    on_gpu = made_by()
    assert {name: on_gpu[name] for name in ("gpu", "cuda", "driver")} == {
        "gpu": "Tesla T4",
        "cuda": "13.0",
        "driver": "580.65",
    }


def test_a_part_names_the_precision_that_it_was_computed_in(workspace: Workspace) -> None:
    (workspace.recipes / "tuned.toml").write_text(TUNED, encoding="utf-8")
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, ["tuned"]), [0], parity=False), InlineExecutor())
    record = json.loads(workspace.base_model("tuned").part(0).record.read_text(encoding="utf-8"))
    assert record["made_by"]["precision"] == "bfloat16"


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
