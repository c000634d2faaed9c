"""Predictions under the mixed precision of the training, on a GPU that a processor stands in for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.families import TOLERANCES, FitContext
from compete.base_models.generator.family import LabelGenerator
from compete.base_models.generator.label_slots import SlotScorer
from compete.base_models.pretrained import device as devices
from compete.base_models.pretrained import fine_tuning
from compete.base_models.pretrained.adaptation import halve_base, layers_of
from compete.base_models.pretrained.computing import computing_in, predicting, products_in_tf32
from compete.errors import UserError
from support import generators, small_classifier

pytestmark = pytest.mark.slow

MATMUL: Any = torch.backends.cuda.matmul
UNSEEN = ["such a sunny day", "rotten", "", "a day, rotten and sunny", "sunny " * 20, "rotten day filler7 " * 9]
PROMPT = "Which of these apply to the text: {labels}?\nText: {text}\n"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor is taken for a GPU; it computes autocast's bfloat16 too."""
    monkeypatch.setattr(devices, "on_gpu", lambda: True)


def classifier(checkpoint: str, **more: Any) -> Any:
    fitted, _ = small_classifier.fit(f"miniature:{checkpoint}", **{"precision": "bfloat16", **more})
    return fitted


def scorer(**more: Any) -> SlotScorer:
    chosen = {"precision": "bfloat16", "prompt": PROMPT, "adaptation": "lora", **more}
    context = FitContext(labels=generators.LABELS, seed=3)
    model = LabelGenerator(generators.settings("llama_instruct", **chosen)).fit(*small_classifier.posts(), context)
    assert isinstance(model, SlotScorer)
    return model


@contextlib.contextmanager
def watched(*modules: Any) -> Iterator[list[tuple[bool, torch.dtype]]]:
    """Whether mixed precision was on in every pass through the modules, and in what their results are."""
    seen: list[tuple[bool, torch.dtype]] = []

    def look(_: nn.Module, __: Any, output: Any) -> None:
        seen.append((torch.is_autocast_enabled("cpu"), output.dtype))

    handles = [module.register_forward_hook(look) for module in modules]
    yield seen
    for handle in handles:
        handle.remove()


def linears(model: Any) -> list[nn.Linear]:
    return [part for part in layers_of(model).modules() if isinstance(part, nn.Linear)]


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("checkpoint", "head", "adaptation"),
    [("distilbert", "classifier", "full"), ("roberta", "classifier", "full"), ("llama", "score", "lora")],
)
def test_a_gpu_predicts_in_the_precision_of_the_training_but_for_the_logits(
    checkpoint: str, head: str, adaptation: str
) -> None:
    fitted = classifier(checkpoint, adaptation=adaptation)
    plain = fitted.model.get_base_model() if adaptation == "lora" else fitted.model
    logits = [part for part in getattr(plain, head).modules() if isinstance(part, nn.Linear)]
    with watched(*linears(plain)) as inside, watched(*logits) as outside:
        probabilities = fitted.predict_proba(UNSEEN)
    assert set(inside) == {(True, torch.bfloat16)}
    assert {dtype for _, dtype in outside} == {torch.float32}
    assert fitted.precision == "bfloat16"
    assert "forward" not in vars(getattr(plain, head))  # and nothing stays of it
    # Bits that a bfloat16 has not: the logits were not rounded to it.
    odds = torch.logit(torch.from_numpy(probabilities.astype(np.float64)))
    assert (odds - odds.bfloat16()).abs().max() > 1e-5


@pytest.mark.usefixtures("stand_in")
def test_slots_behind_a_beginning_are_predicted_so_too() -> None:
    model = scorer()
    head = model.model.get_base_model().get_output_embeddings()
    assert model.slots.shared
    with watched(*linears(model.model)) as inside, watched(head) as outside:
        together = model.predict_proba(UNSEEN)
    assert len(outside) == 2  # the beginning, then all texts
    assert set(inside) == {(True, torch.bfloat16)}
    assert {dtype for _, dtype in outside} == {torch.float32}
    assert model.precision == "bfloat16"
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    assert np.abs(alone - together).max() <= TOLERANCES["bfloat16"].most


@pytest.mark.usefixtures("stand_in")
def test_float32_that_is_asked_for_is_computed() -> None:
    fitted = classifier("llama", adaptation="lora", precision="float32")
    assert {weight.dtype for weight in fitted.model.parameters()} == {torch.float32}
    with watched(*linears(fitted.model)) as inside:
        fitted.predict_proba(UNSEEN)
    assert set(inside) == {(False, torch.float32)}
    assert fitted.precision == "float32"


def test_a_processor_predicts_in_float32_whatever_it_trained_in() -> None:
    fitted = classifier("llama", adaptation="lora")
    assert {weight.dtype for weight in fitted.model.parameters()} == {torch.float32}
    with watched(*linears(fitted.model)) as inside:
        fitted.predict_proba(UNSEEN)
    assert set(inside) == {(False, torch.float32)}
    assert fitted.precision == "float32"


# The base of LoRA


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("bias", ["none", "all"])
def test_under_adapters_frozen_products_are_kept_in_bfloat16_and_nothing_else(bias: str) -> None:
    fitted = classifier("roberta", adaptation="lora", lora={"bias": bias})
    frozen, trained = split(fitted.model)
    assert {weight.dtype for weight in trained} == {torch.float32}
    within = {id(weight) for part in linears(fitted.model) for weight in part.parameters(recurse=False)}
    assert {weight.dtype for weight in frozen if id(weight) in within} == {torch.bfloat16}
    assert {weight.dtype for weight in frozen if id(weight) not in within} == {torch.float32}


def split(model: Any) -> tuple[list[Tensor], list[Tensor]]:
    weights = list(model.parameters())
    return [w for w in weights if not w.requires_grad], [w for w in weights if w.requires_grad]


@pytest.mark.parametrize("checkpoint", ["roberta", "distilbert", "llama", "qwen2", "gemma2"])
def test_that_changes_no_bit_of_results_and_gradients(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = classifier(checkpoint, adaptation="lora", lora={"dropout": 0.0})
    batch = {"input_ids": torch.randint(5, 60, (3, 7)), "attention_mask": torch.ones(3, 7, dtype=torch.long)}

    def computed() -> list[Tensor]:
        fitted.model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = fitted.model(**batch).logits
        torch.autograd.backward(logits.float().square().sum())
        return [logits.detach(), *(w.grad.clone() for w in split(fitted.model)[1] if w.grad is not None)]

    before = computed()
    monkeypatch.setattr(devices, "on_gpu", lambda: True)
    halve_base(fitted.model, fitted.settings)
    assert {w.dtype for w in split(fitted.model)[0]} == {torch.float32, torch.bfloat16}
    after = computed()
    assert len(before) > 4 and all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("more", "halved"),
    [
        ({}, True),
        ({"adaptation": "full"}, False),
        ({"adaptation": "frozen"}, False),
        ({"model_parallel": True}, False),
        ({"precision": "float16"}, False),
        ({"precision": "tf32"}, False),
    ],
)
def test_what_of_it_is_halved(more: dict[str, Any], halved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "training_precision", lambda precision, architecture: precision)
    model = nn.Module()
    model.layers = nn.ModuleList([nn.Linear(2, 2)])
    model.requires_grad_(False)
    halve_base(model, small_classifier.settings("x", **{"adaptation": "lora", "precision": "bfloat16", **more}))
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16 if halved else torch.float32}


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("frozen", [0, 1])
def test_what_is_read_again_is_kept_and_predicts_in_the_same_precision(tmp_path: Path, frozen: int) -> None:
    chosen = small_classifier.settings(
        "miniature:llama", adaptation="lora", precision="bfloat16", frozen_layers=frozen, learning_rate=0.01, epochs=3
    )
    context = FitContext(labels=small_classifier.LABELS, seed=3, cache=tmp_path / "cache")
    fitted: Any = SequenceClassifier(chosen).fit(*small_classifier.posts(), context)
    before = fitted.predict_proba(UNSEEN)
    (tmp_path / "kept").mkdir()
    fitted.save(tmp_path / "kept", whole=False)
    again: Any = SequenceClassifier(chosen).load(tmp_path / "kept", context)
    assert again.precision == "bfloat16"
    assert {w.dtype for w in split(again.model)[0]} == {torch.float32, torch.bfloat16}
    difference = np.abs(again.predict_proba(UNSEEN) - before)
    assert difference.max() <= TOLERANCES["bfloat16"].most


@pytest.mark.usefixtures("stand_in")
def test_scorers_too(tmp_path: Path) -> None:
    model = scorer()
    model.save(tmp_path, whole=False)
    again: Any = LabelGenerator(model.slots.prompt.settings).load(tmp_path, FitContext(generators.LABELS, seed=3))
    assert torch.bfloat16 in {weight.dtype for weight in again.model.parameters()}
    assert np.abs(again.predict_proba(UNSEEN) - model.predict_proba(UNSEEN)).max() <= TOLERANCES["bfloat16"].most


@pytest.mark.usefixtures("stand_in")
def test_a_model_that_writes_stays_in_float32() -> None:
    chosen = generators.settings("llama", adaptation="lora", precision="bfloat16", decoding="generate")
    written: Any = LabelGenerator(chosen).fit(*small_classifier.posts(), FitContext(labels=generators.LABELS, seed=3))
    assert {weight.dtype for weight in written.model.parameters()} == {torch.float32}
    with watched(*linears(written.model)) as inside:
        written.predict_proba(UNSEEN[:2])
    assert set(inside) == {(False, torch.float32)}


# float16 and TF32


def test_a_batch_that_leaves_the_range_of_float16_is_computed_again_in_float32() -> None:
    def predicted(precision: devices.Precision) -> NDArray[np.float32]:
        rows = [{"input_ids": [1], "length": 1}]
        weights = torch.full((1, 4), 300.0)
        with computing_in(precision, torch.device("cpu")):
            return fine_tuning.predict(
                rows, 2, lambda rows: {"x": torch.full((1, 4), 300.0)}, lambda batch: batch["x"] @ weights.T, 1
            )

    assert predicted("float16").item() == predicted("float32").item() == 360_000


def test_tf32_is_on_for_as_long_as_it_is_asked_for() -> None:
    before = MATMUL.fp32_precision
    with contextlib.suppress(KeyError), products_in_tf32():
        assert MATMUL.fp32_precision == "tf32"
        raise KeyError
    assert MATMUL.fp32_precision == before != "tf32"


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("precision", ["tf32", "float32"])
def test_training_and_prediction_are_in_it_where_it_is_asked_for(
    precision: devices.Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "training_precision", lambda precision, architecture: precision)
    seen: list[str] = []
    forward = nn.Linear.forward

    def look(layer: nn.Linear, values: Tensor) -> Tensor:
        seen.append(MATMUL.fp32_precision)
        return forward(layer, values)

    monkeypatch.setattr(nn.Linear, "forward", look)
    fitted, context = small_classifier.fit("miniature:distilbert", precision=precision)
    trained = len(seen)
    fitted.predict_proba(UNSEEN)
    assert trained and len(seen) > trained
    assert set(seen) == {"tf32"} if precision == "tf32" else "tf32" not in seen
    assert fitted.precision == context.facts["precision"] == precision
    assert MATMUL.fp32_precision != "tf32"


def test_tf32_is_refused_where_nothing_computes_it() -> None:
    with pytest.raises(UserError, match=r'precision = "tf32" needs a GPU; use "auto"'):
        devices.training_precision("tf32")


def test_nothing_is_entered_for_float32() -> None:
    with predicting(nn.Linear(1, 1), "bfloat16"):
        assert not torch.is_autocast_enabled("cpu")
