"""The arithmetic of a plan: counted parameters, and bytes that follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from compete.base_models.generator.answer_head import keep_answers
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.adaptation import add_adapters
from compete.base_models.recipes import RecipeDeclaration
from compete.declarations import read_toml
from compete.planning.footprint import NF4, SLACK, BatchSize, Footprint, anatomy, configuration, footprint, kept_bytes
from support.shapes import BERT, LLAMA, SMALL, classifier

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "base_models"
MB = 1e6


def weighed(
    raw: Mapping[str, Any], batch: BatchSize, *, gpu: bool = False, half: bool = True, **more: Any
) -> Footprint:
    settings = classifier(**more)
    return footprint(anatomy(raw, settings, 11), settings, batch, half=half, gpu=gpu, files=0)


def described() -> list[tuple[str, str]]:
    """(recipe, checkpoint) of every checkpoint that a shipped recipe describes."""
    files = {path.stem: read_toml(path) for path in sorted(RECIPES.glob("*.toml"))}
    return [(name, checkpoint) for name, raw in files.items() for checkpoint in raw.get("architectures", {})]


@pytest.mark.parametrize(("name", "checkpoint"), described())
def test_counted_parameters_are_the_published_ones(name: str, checkpoint: str) -> None:
    """Within 1 %: a classifier has a head in place of a pooler or of the masked language model's output."""
    declaration = RecipeDeclaration.model_validate(read_toml(RECIPES / f"{name}.toml"))
    described = declaration.architectures[checkpoint]
    generates = declaration.family == "label_generator"
    settings = LabelGeneratorSettings(checkpoint=checkpoint, adaptation="full") if generates else classifier()
    assert anatomy(described.config, settings, 11).parameters == pytest.approx(described.parameters, rel=0.01)


def test_counting_without_storage_counts_what_is_there() -> None:
    config = configuration(SMALL)
    config.num_labels = 5
    real = sum(weight.numel() for weight in AutoModelForSequenceClassification.from_config(config).parameters())
    assert anatomy(SMALL, classifier(), 5).parameters == real


def test_a_configuration_of_transformers_4_with_code_of_its_own_is_counted(tmp_path: Path) -> None:
    write_miniature("stella", ["sunny day"] * 9, tmp_path, seed=1)
    raw = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert {"auto_map", "rope_theta", "torch_dtype"} <= raw.keys()
    settings = classifier(attention="bidirectional", pooling="mean", adaptation="lora")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=5)
    assert anatomy(raw, settings, 5).parameters == sum(weight.numel() for weight in model.parameters())


def test_adapters_are_rank_times_inputs_and_outputs_of_every_layer() -> None:
    """r (in + out) per linear layer, beside the head, which is trained as a whole."""
    shape = anatomy(SMALL, classifier(adaptation="lora", lora={"r": 8}), 5)
    per_layer = [(64, 64), (64, 32), (64, 32), (64, 64), (64, 128), (64, 128), (128, 64)]
    assert shape.trained == 3 * sum(8 * (i + o) for i, o in per_layer) + 5 * 64
    assert shape.trained < shape.parameters < 10 * shape.trained


def test_what_is_frozen_is_not_trained() -> None:
    whole, half, head = (
        anatomy(BERT, classifier(**more), 11).trained for more in ({}, {"frozen_layers": 3}, {"adaptation": "frozen"})
    )
    assert whole == anatomy(BERT, classifier(), 11).parameters
    assert head == 11 * 384 + 11
    layer = 4 * 384 * 385 + 2 * 384 * 1536 + 1536 + 384 + 4 * 384
    embeddings = (30522 + 512 + 2 + 2) * 384
    assert whole - half == 3 * layer + embeddings


# Peak resident memory of real trainings with the product's own code (2 cores with AVX-512 and bfloat16, torch 2.13).
MEASURED = [
    (BERT, 32, 57, {"epochs": 2}, 1510),
    (LLAMA, 8, 78, {"epochs": 1, "adaptation": "lora", "lora": {"dropout": 0.0}}, 2466),
    (LLAMA, 8, 78, {"epochs": 1, "adaptation": "qlora"}, 2602),
    (LLAMA, 8, 78, {"epochs": 1, "adaptation": "full"}, 3586),
    (LLAMA, 16, 62, {"epochs": 2, "adaptation": "lora"}, 3947),
    (LLAMA, 16, 62, {"epochs": 2, "adaptation": "qlora"}, 3901),
]


@pytest.mark.parametrize(("raw", "rows", "tokens", "settings", "megabytes"), MEASURED)
def test_predicted_memory_is_that_of_real_trainings(
    raw: dict[str, Any], rows: int, tokens: int, settings: dict[str, Any], megabytes: int
) -> None:
    found = weighed(raw, BatchSize(rows, 64, tokens), **settings)
    assert found.peak == pytest.approx(megabytes * 10**6, rel=0.2)


UNTIED = {**SMALL, "tie_word_embeddings": False}


def asked(adaptation: str, **more: Any) -> LabelGeneratorSettings:
    return LabelGeneratorSettings.model_validate({"checkpoint": "some/where", "adaptation": adaptation, **more})


@pytest.mark.parametrize("adaptation", ["full", "lora"])
@pytest.mark.parametrize("raw", [SMALL, UNTIED])
def test_a_generator_without_its_vocabulary_is_counted_as_it_is_built(raw: dict[str, Any], adaptation: str) -> None:
    settings = asked(adaptation)
    model: Any = AutoModelForCausalLM.from_config(configuration(raw))
    checkpoint = sum(weight.numel() for weight in model.parameters())
    if adaptation == "lora":
        model = add_adapters(model, settings, task="CAUSAL_LM", four_bits=False)
    keep_answers(model, (7, 3))
    shape = anatomy(raw, settings, 5)
    assert shape.parameters == checkpoint
    assert shape.held + shape.adapters == sum(weight.numel() for weight in model.parameters())
    assert shape.trained == sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    left = {("lora", True): 2, ("lora", False): 2 - 1000}.get((adaptation, raw["tie_word_embeddings"]), 0)
    assert shape.held == checkpoint + left * 64
    ids = torch.zeros(1, 3, dtype=torch.long)
    assert shape.logits == model(input_ids=ids).logits.shape[-1] == 2


def test_a_generator_that_writes_pays_for_its_vocabulary() -> None:
    """bfloat16 logits, their gradient twice, a float32 copy; the copied weights; and those that are not dropped."""
    batch = BatchSize(16, 64, 108, kept=11)
    found = {}
    for decoding in ("slots", "generate"):
        settings = asked("lora", decoding=decoding)
        shape = anatomy(UNTIED, settings, 11)
        found[decoding] = footprint(shape, settings, batch, half=True, gpu=False, files=0)
    slots, writes = found["slots"], found["generate"]
    assert writes.weights - slots.weights == slots.opening == 4 * 998 * 64
    assert writes.opening == 0
    assert writes.copies - slots.copies == 2 * 998 * 64
    assert writes.activations - slots.activations == pytest.approx(SLACK * 16 * 11 * 998 * 10)
    assert writes.prediction - slots.prediction == pytest.approx(SLACK * 64 * 11 * 998 * 4)


def test_predicted_memory_of_a_generator_is_not_far_above_the_measured() -> None:
    """Measured: 6476 MB with random weights, 11 slots behind prompts, 16 rows of 136 tokens, 13 steps."""
    settings = asked("lora", epochs=1)
    batch = BatchSize(16, settings.eval_batch_size, 136, kept=11)
    found = footprint(anatomy(LLAMA, settings, 11), settings, batch, half=True, gpu=False, files=0)
    assert 6476 * MB <= found.peak <= 1.25 * 6476 * MB


def test_a_model_is_opened_with_its_whole_output_layer() -> None:
    """A vocabulary so large that opening takes more than training rows as short as these."""
    raw = {**UNTIED, "vocab_size": 10**6}
    settings = asked("lora")
    found = footprint(anatomy(raw, settings, 1), settings, BatchSize(1, 1, 4), half=True, gpu=False, files=0)
    assert found.peak == found.runtime + found.weights + 4 * (10**6 - 2) * 64


def test_each_saving_saves_where_it_should() -> None:
    batch = BatchSize(16, 16, 64)
    plain = weighed(LLAMA, batch, adaptation="lora")
    assert weighed(LLAMA, BatchSize(8, 16, 64), adaptation="lora").activations == pytest.approx(plain.activations / 2)
    again = weighed(LLAMA, batch, adaptation="lora", gradient_checkpointing=True)
    assert again.activations < plain.activations / 5
    assert again.weights == plain.weights
    quantised = weighed(LLAMA, batch, adaptation="qlora")
    shape = anatomy(LLAMA, classifier(adaptation="lora"), 11)
    assert plain.weights - quantised.weights == pytest.approx((4 - NF4) * shape.quantisable)
    full = weighed(LLAMA, batch, adaptation="full")
    assert full.gradients + full.optimiser == 12 * shape.parameters
    assert weighed(LLAMA, batch, adaptation="full", epochs=1).best_epoch == 0 < full.best_epoch


def test_optional_methods_hold_copies_of_what_is_trained_or_a_second_pass() -> None:
    batch = BatchSize(16, 16, 64)
    shape = anatomy(LLAMA, classifier(adaptation="lora"), 11)
    plain, averaged, both, twice = (
        weighed(LLAMA, batch, adaptation="lora", **more)
        for more in ({}, {"ema": 0.99}, {"ema": 0.99, "adversarial": "awp"}, {"r_drop": 0.5})
    )
    assert averaged.training - plain.training == 4 * shape.trained
    assert both.training - plain.training == 8 * shape.trained
    assert twice.training == plain.training
    assert twice.activations == pytest.approx(2 * plain.activations)
    assert weighed(LLAMA, batch, adaptation="lora", adversarial="fgm").peak == plain.peak


def test_what_a_fold_keeps() -> None:
    full, lora = classifier(), classifier(adaptation="lora")
    assert kept_bytes(anatomy(BERT, full, 11), full, whole=False) == 0
    assert kept_bytes(anatomy(BERT, full, 11), full, whole=True) == 4 * anatomy(BERT, full, 11).parameters
    assert 0 < kept_bytes(anatomy(BERT, lora, 11), lora, whole=False) < 20 * MB


def test_without_half_precision_activations_take_more_and_nothing_is_copied() -> None:
    batch = BatchSize(16, 16, 64)
    half, whole = (weighed(LLAMA, batch, half=half, adaptation="lora") for half in (True, False))
    assert whole.copies == 0 < half.copies
    assert whole.activations > 1.3 * half.activations


def test_under_adapters_the_base_takes_half_where_a_gpu_computes_bfloat16() -> None:
    batch = BatchSize(16, 16, 64)
    shape = anatomy(LLAMA, classifier(adaptation="lora"), 11)
    body = shape.layers * shape.layer.weights

    def on_gpu(*, bfloat16: bool, half: bool = True, **more: Any) -> Footprint:
        settings = classifier(**{"adaptation": "lora", **more})
        return footprint(shape, settings, batch, half=half, gpu=True, files=0, bfloat16=bfloat16)

    whole, halved = on_gpu(bfloat16=False), on_gpu(bfloat16=True)
    assert whole.weights - halved.weights == whole.copies - halved.copies == 2 * body
    assert whole.peak - halved.peak == 4 * body
    for same in ({"half": False}, {"model_parallel": True}, {"adaptation": "full"}, {"adaptation": "qlora"}):
        assert on_gpu(bfloat16=True, **same) == on_gpu(bfloat16=False, **same)
