"""The head of two rows: the same probabilities, gradients and files as with an output layer of the whole vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from compete.base_models.families import FitContext
from compete.base_models.generator import training
from compete.base_models.generator.answer_head import AnswerHead, keep_answers
from compete.base_models.generator.family import LabelGenerator
from compete.base_models.generator.free_generation import FreeGenerator
from compete.base_models.generator.label_slots import SlotScorer
from compete.base_models.generator.settings import LabelGeneratorSettings
from support.generators import LABELS, Posts, settings

pytestmark = pytest.mark.slow

CHECKPOINTS = ("llama", "qwen2", "gemma2")  # gemma2's output layer is its embeddings, and it caps its logits
ADAPTATIONS = ("full", "lora", "qlora")
UNSEEN = ["such a sunny day", "rotten", "", "a day, rotten and sunny", "sunny " * 70]
PROMPT = "Which of these apply: {labels}?\nText: {text}\n"
Whole = Callable[[], None]


def fit(posts: Posts, chosen: LabelGeneratorSettings) -> SlotScorer:
    model = LabelGenerator(chosen).fit(*posts, FitContext(labels=LABELS, seed=3))
    assert isinstance(model, SlotScorer)
    return model


def asked(checkpoint: str, adaptation: str, **more: Any) -> LabelGeneratorSettings:
    return settings(checkpoint, **{"adaptation": adaptation, "prompt": PROMPT, **more})


def head_of(model: Any) -> Any:
    return model.get_output_embeddings()


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Whole:
    """Has models opened with the output layer that they have."""
    return lambda: monkeypatch.setattr(training, "keep_answers", lambda model, answers: None)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("adaptation", ADAPTATIONS)
@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_training_and_probabilities_are_those_of_the_whole_layer(
    posts: Posts, whole: Whole, checkpoint: str, adaptation: str, shared: bool
) -> None:
    chosen = asked(checkpoint, adaptation, shared_prefix=shared)
    texts, labels = posts[0][:32], posts[1][:32]
    rows = fit((texts, labels), chosen)
    assert isinstance(head_of(rows.model), AnswerHead)
    whole()
    all_of_it = fit((texts, labels), chosen)
    assert type(head_of(all_of_it.model)) is nn.Linear
    expected = all_of_it.predict_proba(UNSEEN)
    assert np.ptp(expected[:, 0]) > 1e-3  # texts are told apart
    np.testing.assert_allclose(rows.predict_proba(UNSEEN), expected, atol=1e-5)


def gradients(scorer: SlotScorer, posts: Posts) -> dict[str, Tensor]:
    """Of a loss on some rows, by the names of the parameters."""
    batch = scorer.slots.collate(scorer.slots.rows(posts[0][:8], posts[1][:8].astype(np.float32)))
    scorer.model.zero_grad()
    odds = scorer.slots.logits(scorer.model, batch)
    torch.autograd.backward(nn.functional.binary_cross_entropy_with_logits(odds, batch["labels"]))
    return {name: weight.grad for name, weight in scorer.model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_a_layer_that_is_trained_has_the_gradients_of_the_whole(posts: Posts, whole: Whole, checkpoint: str) -> None:
    chosen = asked(checkpoint, "full")
    rows = fit(posts, chosen)
    found = gradients(rows, posts)
    whole()
    all_of_it = fit(posts, chosen)
    with torch.no_grad():
        for mine, its in zip(all_of_it.model.parameters(), rows.model.parameters(), strict=True):
            mine.copy_(its)
    expected = gradients(all_of_it, posts)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4)
    weight = head_of(rows.model).weight
    assert (weight is rows.model.get_input_embeddings().weight) == (checkpoint == "gemma2")
    moved = found["model.embed_tokens.weight" if checkpoint == "gemma2" else "lm_head.weight"]
    assert all(moved[answer].abs().max() > 0 for answer in rows.slots.answers)


@pytest.mark.parametrize("adaptation", ["lora", "qlora"])
@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_of_a_frozen_layer_two_rows_are_left(posts: Posts, checkpoint: str, adaptation: str) -> None:
    model = fit(posts, asked(checkpoint, adaptation)).model
    head, embeddings = head_of(model), model.get_input_embeddings().weight
    assert head.weight.shape == (2, 64)
    assert head.weight.dtype == torch.float32
    assert not head.weight.requires_grad
    assert embeddings.shape[0] > 200
    vocabulary = [name for name, weight in model.named_parameters() if weight.shape[:1] == embeddings.shape[:1]]
    assert [name.rsplit(".", 2)[-2] for name in vocabulary] == ["embed_tokens"]


@pytest.mark.parametrize("adaptation", ADAPTATIONS)
@pytest.mark.parametrize("checkpoint", ["qwen2", "gemma2"])
def test_files_are_those_of_the_whole_layer(
    posts: Posts, whole: Whole, tmp_path: Path, checkpoint: str, adaptation: str
) -> None:
    chosen = asked(checkpoint, adaptation)
    model = fit(posts, chosen)
    assert model.save(tmp_path / "kept", whole=True)
    reopened = LabelGenerator(chosen).load(tmp_path / "kept", FitContext(labels=LABELS, seed=3))
    assert isinstance(reopened, SlotScorer)
    assert isinstance(head_of(reopened.model), AnswerHead)
    before: NDArray[np.float32] = model.predict_proba(UNSEEN)
    np.testing.assert_allclose(reopened.predict_proba(UNSEEN), before, atol=1e-5)
    whole()
    usual = fit(posts, chosen)
    assert usual.save(tmp_path / "usual", whole=True)
    sizes = [{f.name: f.stat().st_size for f in (tmp_path / n).iterdir() if f.is_file()} for n in ("kept", "usual")]
    assert sizes[0] == sizes[1]
    if adaptation == "full":  # and transformers alone reads it, all rows of its output layer included
        alone = AutoModelForCausalLM.from_pretrained(tmp_path / "kept")
        assert alone.lm_head.weight.shape == alone.get_input_embeddings().weight.shape


def test_what_changes_the_output_layer_leaves_it_whole(posts: Posts) -> None:
    """Adapters on it are written with all its rows, so that they can be put onto the checkpoint without compete."""
    model = fit(posts, asked("qwen2", "lora", lora={"targets": ["q_proj", "lm_head"]}))
    assert not isinstance(head_of(model.model), AnswerHead)
    assert model.predict_proba(UNSEEN).shape == (len(UNSEEN), len(LABELS))


def test_a_model_that_writes_keeps_all_words(posts: Posts) -> None:
    model = LabelGenerator(asked("qwen2", "lora", decoding="generate")).fit(*posts, FitContext(labels=LABELS, seed=3))
    assert isinstance(model, FreeGenerator)
    assert type(head_of(model.model)) is nn.Linear


@pytest.mark.parametrize("trained", [True, False])
def test_a_bias_is_kept(trained: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(8, 50).requires_grad_(trained)
    hidden = torch.randn(3, 4, 8)
    expected = layer(hidden)[..., [7, 3]]
    torch.testing.assert_close(AnswerHead(layer, (7, 3))(hidden), expected)


@pytest.mark.parametrize("trained", [True, False])
def test_the_layers_below_may_lie_on_another_device(trained: bool) -> None:
    head = AnswerHead(nn.Linear(8, 50, device="meta").requires_grad_(trained), (7, 3))
    assert head(torch.randn(3, 8)).device.type == "meta"


def test_weights_that_are_fetched_when_they_are_needed_stay_whole() -> None:
    class Fetched:
        offload = True

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lm_head = nn.Linear(8, 50, device="meta")
            self.lm_head._hf_hook = Fetched()  # type: ignore[assignment]

        def get_output_embeddings(self) -> nn.Module:
            return self.lm_head

        def set_output_embeddings(self, layer: nn.Module) -> None:
            self.lm_head = layer  # type: ignore[assignment]

    model = Model()
    keep_answers(model, (1, 2))
    assert type(model.lm_head) is nn.Linear
