"""What a machine holds: the smallest change of a recipe that fits, and what to say where none does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.recipes import Recipe, RecipeDeclaration
from compete.planning.footprint import anatomy
from compete.planning.model_plan import Machine, ModelPlan, rows_to_plan
from compete.planning.resources import computes_half, plan_model, variants
from compete.reporting.terminal.plan_table import gb, model_lines, verdict_text
from support.shapes import BERT, LLAMA, SMALL, classifier

pytestmark = pytest.mark.slow

GIB = 2**30


@dataclass(frozen=True)
class Device:
    name: str
    kind: str
    memory: int
    bfloat16: bool = True
    unsupported: str = ""


def processor(gib: float) -> Device:
    return Device("processor", "processor", round(gib * GIB))


def gpu(gib: float, number: int = 0) -> Device:
    return Device(f"GPU {number} made up", "gpu", round(gib * GIB))


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
    assert on_gpu.startswith(f"does not fit: needs {gb(found.verdicts[1].needed)} GB, the largest GPU has 17.2 GB")
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


def test_a_checkpoint_of_unknown_shape_says_what_would_help() -> None:
    found = plan(None, processor(16))
    assert "its shape is not known" in found.aside
    assert "[architectures." in found.aside
    assert "[checkpoints]" in found.aside
    assert "cannot be counted" in plan({"model_type": "no such thing"}, processor(16)).aside


def test_what_a_gpu_cannot_compute_is_refused_with_the_reason() -> None:
    p100 = Device("GPU 0 P100", "gpu", 16 * GIB, bfloat16=False, unsupported="this torch has no kernels for it")
    found = plan(BERT, p100)
    assert said(found) == ["cannot: this torch has no kernels for it"]
    assert not found.verdicts[0].possible
    assert found.cards == {}  # it is no matter of memory


def test_gemma_on_a_gpu_without_bfloat16_is_planned_in_float32() -> None:
    t4 = Device("GPU 0 T4", "gpu", 16 * GIB, bfloat16=False)
    gemma = {**SMALL, "model_type": "gemma2"}
    settings = classifier(adaptation="lora", batch_size=8)
    assert computes_half(settings, t4, "llama") and not computes_half(settings, t4, "gemma2")
    assert computes_half(settings, gpu(16), "gemma2")
    assert said(plan(gemma, t4, precision="float16"))[0].startswith(
        'cannot: precision = "float16" is too small for gemma2'
    )


def test_a_plan_of_adapters_says_less_where_their_base_is_in_bfloat16() -> None:
    old = Device("GPU 0 old", "gpu", 80 * GIB, bfloat16=False)
    smaller, whole = (verdict.footprint.weights for verdict in plan(BILLIONS, gpu(80), old, adaptation="lora").verdicts)
    assert smaller < 0.65 * whole  # all but the embeddings in half
    for precision in ("float32", "float16", "tf32"):
        asked = plan(BILLIONS, gpu(80), adaptation="lora", precision=precision)
        assert asked.verdicts[0].footprint.weights == whole


def test_tf32_is_float32_in_a_plan_and_refused_where_it_is_not_computed() -> None:
    old = Device("GPU 0 old", "gpu", 80 * GIB, bfloat16=False)
    found = plan(BERT, gpu(80), old, processor(16), precision="tf32")
    plain = plan(BERT, gpu(80), precision="float32")
    assert found.verdicts[0].footprint == plain.verdicts[0].footprint and not found.verdicts[0].refused
    assert found.verdicts[1].refused == 'cannot: precision = "tf32" is not computed there; "auto" takes another'
    assert found.verdicts[2].refused.startswith('cannot: precision = "tf32" needs a GPU')
