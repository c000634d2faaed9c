"""The arithmetic of a plan: counted parameters, bytes that follow from them, and the smallest change that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import Needs
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.recipes import Recipe, RecipeDeclaration
from compete.declarations import read_toml
from compete.planning.footprint import NF4, SLACK, BatchSize, Footprint, anatomy, configuration, footprint, kept_bytes
from compete.planning.longest_rows import longest_row, rows_to_plan
from compete.planning.probe import Probe, hours
from compete.planning.resources import Machine, ModelPlan, plan_model, variants
from compete.reporting.terminal.plan_table import gb, model_lines, verdict_text

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "base_models"
BERT = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 30522,
}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
SMALL = {**LLAMA, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "vocab_size": 1000}
MB = 1e6
GIB = 2**30


@dataclass(frozen=True)
class Device:
    name: str
    kind: str
    memory: int
    bfloat16: bool = True


def processor(gib: float) -> Device:
    return Device("processor", "processor", round(gib * GIB))


def gpu(gib: float, number: int = 0) -> Device:
    return Device(f"GPU {number} made up", "gpu", round(gib * GIB))


def classifier(**more: Any) -> SequenceClassifierSettings:
    return SequenceClassifierSettings(checkpoint="some/where", **more)


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


def test_a_generator_pays_for_its_slots() -> None:
    """Measured: 6560 MB with 11 slots behind prompts, 16 rows of 108 tokens."""
    settings = LabelGeneratorSettings(checkpoint="some/where", epochs=1)
    shape = anatomy(LLAMA, settings, 11)
    found = footprint(shape, settings, BatchSize(16, 64, 108, kept=11), half=True, gpu=False, files=0)
    assert found.peak == pytest.approx(6560 * 10**6, rel=0.2)
    without = footprint(shape, settings, BatchSize(16, 64, 108, kept=0), half=True, gpu=False, files=0)
    assert found.activations - without.activations == pytest.approx(SLACK * 16 * 11 * 49152 * 10)


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


def test_what_a_fold_keeps() -> None:
    full, lora = classifier(), classifier(adaptation="lora")
    assert kept_bytes(anatomy(BERT, full, 11), full, whole=False) == 0
    assert kept_bytes(anatomy(BERT, full, 11), full, whole=True) == 4 * anatomy(BERT, full, 11).parameters
    assert 0 < kept_bytes(anatomy(BERT, lora, 11), lora, whole=False) < 20 * MB


def test_a_text_is_estimated_longer_than_it_is_and_never_above_the_limit() -> None:
    rows = rows_to_plan(("joy", "anger"), ["ten bytes!", "x" * 60], ["y"])
    assert rows.total_bytes == 71
    assert longest_row(classifier(), rows, None).tokens == 32
    assert longest_row(classifier(max_length=16), rows, None).tokens == 16
    slots = longest_row(LabelGeneratorSettings(checkpoint="some/where"), rows, None)
    assert slots.kept == 2
    assert slots.tokens > 32
    apart = LabelGeneratorSettings(checkpoint="some/where", shared_prefix=False)
    assert longest_row(apart, rows, None).kept == 1


def recipe(raw: Mapping[str, Any] | None, *, parameters: int = 1, **settings: Any) -> Recipe:
    described = {"some/where": {"config": raw, "parameters": parameters, "download_gb": 2.0}} if raw else {}
    declaration = RecipeDeclaration.model_validate({"family": "sequence_classifier", "architectures": described})
    family: Any = SequenceClassifier
    resolved = classifier(**settings)
    needs = SequenceClassifier.needs(resolved)
    return Recipe("model", Path("model.toml"), declaration, family, resolved, needs)


def plan(raw: Mapping[str, Any] | None, *devices: Device, workers: int = 1, **settings: Any) -> ModelPlan:
    texts = ["a day in the life " * 20] * 100
    return plan_model(
        recipe(raw, **settings), rows_to_plan(["joy"] * 11, texts, texts), Machine(devices, workers, folds=5)
    )


def said(plan: ModelPlan) -> list[str]:
    return [verdict_text(verdict, plan) for verdict in plan.verdicts]


def test_small_sets_of_changes_come_first_and_mild_ones_before_others() -> None:
    settings = classifier(adaptation="full", batch_size=8)
    found = list(variants(settings, anatomy(SMALL, settings, 11)))
    assert found[:4] == [{}, {"micro_batch_size": 4}, {"micro_batch_size": 2}, {"micro_batch_size": 1}]
    assert found[4:7] == [{"gradient_checkpointing": True}, {"adaptation": "lora"}, {"adaptation": "qlora"}]
    assert found[-1] == {"micro_batch_size": 1, "gradient_checkpointing": True, "adaptation": "qlora"}
    assert all(len(before) <= len(after) for before, after in pairwise(found))
    lora = classifier(adaptation="lora", gradient_checkpointing=True, batch_size=1)
    assert list(variants(lora, anatomy(SMALL, lora, 11))) == [{}, {"adaptation": "qlora"}]


def test_an_encoder_is_not_offered_four_bits() -> None:
    settings = classifier(adaptation="full", batch_size=1)
    assert {"adaptation": "qlora"} not in list(variants(settings, anatomy(BERT, settings, 11)))


BILLIONS = {**LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "vocab_size": 128256}
BILLIONS |= {"num_attention_heads": 32, "num_key_value_heads": 8}


def test_a_roomy_machine_fits_and_a_tight_one_names_the_smallest_change() -> None:
    roomy, tight, tighter = processor(48), processor(11), processor(5)
    found = plan(BILLIONS, roomy, tight, tighter, adaptation="lora", batch_size=16)
    sentences = said(found)
    assert sentences[0] == "fits"
    assert sentences[1].startswith("fits with: micro_batch_size = ")
    assert "adaptation" not in sentences[1]
    assert 'adaptation = "qlora"' in sentences[2]
    # What is proposed does fit, and with a larger micro-batch it would not.
    rows = int(found.verdicts[1].changes["micro_batch_size"])
    for count, fits in ((rows, True), (2 * rows, False)):
        again = plan(BILLIONS, tight, adaptation="lora", batch_size=16, micro_batch_size=count)
        assert again.verdicts[0].fits is fits


def test_what_does_not_fit_says_what_it_needs_and_how_many_cards_hold_it() -> None:
    huge = {**BILLIONS, "hidden_size": 16384, "intermediate_size": 65536, "num_hidden_layers": 20}
    huge |= {"num_attention_heads": 128, "tie_word_embeddings": False}
    found = plan(huge, processor(24), gpu(16), adaptation="qlora", batch_size=16)
    on_processor, on_gpu = said(found)
    assert on_processor.startswith(f"does not fit: needs {gb(found.verdicts[0].needed)} GB, the processor has 25.8 GB")
    assert on_gpu.startswith(f"does not fit: needs {gb(found.verdicts[1].needed)} GB, the largest GPU here has 17.2 GB")
    assert found.verdicts[0].needed > 0.5 * 70e9
    assert found.cards[24] >= 2 >= found.cards[80]
    assert f"it would take {found.cards[24]} of 24 GB or " in on_gpu
    # As many cards as it says are enough, and one card less is not.
    enough = [gpu(24, number) for number in range(found.cards[24])]
    assert all("over" in sentence and "model_parallel = true" in sentence for sentence in said(plan_on(huge, *enough)))
    assert all("does not fit" in sentence for sentence in said(plan_on(huge, *enough[:-1])))


def test_gpus_that_are_alike_share_a_line() -> None:
    found = plan(BERT, processor(16), gpu(24), gpu(24, 1), gpu(16, 2))
    assert [line.partition(":")[0].strip() for line in list(model_lines(found))[1:4]] == [
        "processor",
        "GPU 0, 1",
        "GPU 2",
    ]


def plan_on(raw: Mapping[str, Any], *gpus: Device) -> ModelPlan:
    return plan(raw, *gpus, adaptation="qlora", batch_size=16)


def test_several_jobs_at_once_multiply_the_memory() -> None:
    peak = plan(BERT, processor(24)).verdicts[0].footprint.peak / GIB
    assert said(plan(BERT, processor(2.5 * peak), workers=2)) == ["fits"]
    assert said(plan(BERT, processor(1.5 * peak), workers=2)) == ["fits with --workers 1"]
    assert said(plan(BERT, processor(2.5 * peak), workers=4)) == ["fits with --workers 2"]


def test_a_precision_that_a_device_lacks_is_refused() -> None:
    old = Device("GPU 0 old", "gpu", 16 * GIB, bfloat16=False)
    assert "is not computed there" in said(plan(BERT, old, precision="bfloat16"))[0]
    assert said(plan(BERT, old, precision="auto")) == ["fits"]
    assert "needs a GPU" in said(plan(BERT, processor(16), precision="float16"))[0]


def test_without_half_precision_activations_take_more_and_nothing_is_copied() -> None:
    batch = BatchSize(16, 16, 64)
    half, whole = (weighed(LLAMA, batch, half=half, adaptation="lora") for half in (True, False))
    assert whole.copies == 0 < half.copies
    assert whole.activations > 1.3 * half.activations


def test_a_checkpoint_of_unknown_shape_says_what_would_help() -> None:
    found = plan(None, processor(16))
    assert "its shape is not known" in found.aside
    assert "[architectures." in found.aside
    assert "[checkpoints]" in found.aside
    assert "cannot be counted" in plan({"model_type": "no such thing"}, processor(16)).aside


def test_hours_follow_from_rows_epochs_and_folds() -> None:
    settings = classifier(epochs=2, validation_share=0.1)
    found = Probe(opening=0.0, trained_row=1.0, predicted_row=0.1, peak=0)
    fold = 2 * (800 * 0.9 * 1.0 + 800 * 0.1 * 0.1) + (200 + 100) * 0.1
    of_all = {"n_train": 1000, "n_test": 100, "folds": 5}
    assert hours(found, settings, Needs(), **of_all, at_once=1) == pytest.approx(5 * fold / 3600)
    assert hours(found, settings, Needs(), **of_all, at_once=2) == pytest.approx(3 * fold / 3600)
    once = (1000 + 100) * 0.1  # what frozen layers compute of every row
    frozen = hours(found, settings, Needs(frozen_layers=2), **of_all, at_once=1)
    assert frozen == pytest.approx((5 * fold + once) / 3600)
