"""Plans of checkpoints that are read once for all folds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.base_models.embeddings.family import Embeddings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import Needs
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.settings import PROMPTS
from compete.base_models.recipes import Recipe, RecipeDeclaration, load_recipe
from compete.competition.workspace import Workspace
from compete.planning.cards import absent_devices, parse_device
from compete.planning.local_checkpoints import prompt_of
from compete.planning.model_plan import Machine, ModelPlan, rows_to_plan, without_reckoning
from compete.planning.probe import Probe, work
from compete.planning.resources import plan_model
from compete.planning.schedule import schedule
from support.in_process import in_process
from support.shapes import LLAMA, SMALL

pytestmark = pytest.mark.slow

TEXTS = ["a day in the life " * 20] * 100
LARGE = {**LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 8}


@dataclass(frozen=True)
class Device:
    name: str = "processor"
    kind: str = "processor"
    memory: int = 32 * 2**30
    bfloat16: bool = True
    unsupported: str = ""


def plan(raw: Mapping[str, Any], *devices: Any, rows: int = 100, **more: Any) -> ModelPlan:
    described = {"some/where": {"config": raw, "parameters": 1, "download_gb": 2.0}}
    declaration = RecipeDeclaration.model_validate({"family": "embeddings", "architectures": described})
    settings = EmbeddingsSettings(checkpoint="some/where", **more)
    family: Any = Embeddings
    recipe = Recipe("model", Path("model.toml"), declaration, family, settings, Embeddings.needs(settings))
    assert without_reckoning(recipe) is None
    texts = TEXTS[:1] * rows
    asked = "" if devices[0].kind == "processor" else "asked"
    return plan_model(
        recipe, rows_to_plan(["joy"] * 11, texts, texts[: rows // 2]), Machine(devices, 1, 5, asked=asked)
    )


def test_weights_numbers_and_texts_at_once_are_counted() -> None:
    found = plan(SMALL, Device(), layers=(1, 3))
    assert found.shape is not None and found.disk is not None
    assert found.shape.trained == (2 * 64 + 1) * 11
    assert found.disk.hidden_states == 150 * 2 * 64 * 4
    assert found.disk.download == 2e9
    assert found.adaptation == "frozen"
    footprint = found.verdicts[0].footprint
    in_float32 = plan(SMALL, Device(), layers=(1, 3), precision="float32").verdicts[0].footprint
    assert in_float32.weights == 4 * found.shape.parameters
    assert footprint.weights == in_float32.weights - 2 * 3 * found.shape.layer.weights
    assert footprint.training == 0
    half = plan(SMALL, Device(), layers=(1, 3), eval_batch_size=32).verdicts[0].footprint
    assert footprint.activations == pytest.approx(2 * half.activations, rel=0.1)
    neighbours = plan(SMALL, Device(), layers=(1, 3), head="knn")
    assert neighbours.disk is not None and neighbours.disk.kept == 5 * 80 * 2 * 64 * 4


def test_a_tight_machine_reads_fewer_texts_at_once() -> None:
    roomy = plan(LARGE, Device(), eval_batch_size=256).verdicts[0]
    assert roomy.fits and not roomy.changes
    tight = plan(LARGE, Device(memory=roomy.footprint.peak - 10**9), eval_batch_size=256).verdicts[0]
    assert not tight.fits
    assert list(tight.changes) == ["eval_batch_size"]


def test_hours_on_gpus_are_those_of_one_reading_that_they_share() -> None:
    def hours(device: str, rows: int = 400) -> float:
        devices = absent_devices(parse_device(device), [])
        estimate = plan(LARGE, *devices, rows=rows).verdicts[0].estimate
        assert estimate is not None
        assert estimate.work.fold == 0
        return estimate.schedule.hours

    assert hours("T4", rows=800) == pytest.approx(2 * hours("T4"))
    assert hours("2x T4") == pytest.approx(hours("T4") / 2)


def test_a_probes_reading_is_paid_once_and_shared_and_the_head_in_every_fold() -> None:
    settings = EmbeddingsSettings(checkpoint="some/where")
    found = Probe(opening=10.0, trained_row=0.1, predicted_row=1.0, peak=0, once=True)
    of_all = {"n_train": 1000, "n_test": 100, "folds": 5}
    fold = 2 * 10 + 800 * 0.1 + 100
    alone = schedule([work(found, settings, Needs(), **of_all)], 1, None)
    assert alone.hours == pytest.approx((1100 + 5 * fold) / 3600)
    shared = schedule([work(found, settings, Needs(), **of_all, at_once=2)], 2, None)
    assert shared.hours == pytest.approx((550 + 3 * fold) / 3600)


def test_the_prompt_that_counts_is_the_recipes_or_the_checkpoints(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    write_miniature("gemma3_embedding", TEXTS[:5], folder, seed=1)

    def prompt(more: str = "", checkpoint: str = str(folder), family: str = "embeddings") -> str:
        text = f'family = "{family}"\n[settings]\ncheckpoint = "{checkpoint}"\n{more}'
        (workspace.recipes / "read.toml").write_text(text, encoding="utf-8")
        return prompt_of(load_recipe(workspace, "read"))

    assert prompt() == "task: classification | query: "
    assert prompt('prompt = "say: "') == "say: "
    assert prompt(family="sequence_classifier") == ""
    assert prompt('prompt = "say: "', family="sequence_classifier") == "say: "
    assert prompt(checkpoint="nobody/unheard-of") != ""  # it may have one
    (folder / PROMPTS).unlink()
    assert prompt() == ""


def test_it_is_probed_through_the_command_line(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "checkpoint"
    write_miniature("gemma3_embedding", TEXTS[:5], folder, seed=1)
    text = f'family = "embeddings"\n[settings]\ncheckpoint = "{folder}"\nC = [0.1, 1.0]\n'
    (workspace.recipes / "read.toml").write_text(text, encoding="utf-8")
    compete = in_process(workspace.root, monkeypatch, capsys)
    run = compete("plan", "read", "--probe", "--workers", "0", "--json")
    assert run.code == 0, run.stderr
    probe = json.loads(run.stdout)["models"][0]["probe"]
    assert probe["measured"]["once"] is True
    seconds = [probe["measured"][name] for name in ("opening", "trained_row", "predicted_row")]
    assert np.all(np.array(seconds) > 0)
    assert probe["hours"] > 0
