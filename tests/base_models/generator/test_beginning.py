"""What all prompts begin with is read once; the probabilities are those of whole prompts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, MambaConfig, MambaForCausalLM, Qwen2ForCausalLM

from compete.base_models.families import FitContext
from compete.base_models.generator import beginning
from compete.base_models.generator.answer_head import keep_answers
from compete.base_models.generator.beginning import LEAST, read_beginning
from compete.base_models.generator.family import LabelGenerator
from compete.base_models.generator.label_slots import LabelSlots, SlotScorer
from compete.base_models.generator.prompts import Prompt
from support.generators import LABELS, Posts, settings

pytestmark = pytest.mark.slow

CHECKPOINTS = ("llama", "llama_instruct", "qwen2", "gemma2")
UNSEEN = ["such a sunny day", "rotten", "", "a day, rotten and sunny", "sunny " * 40, "rotten day filler7 " * 20]
PROMPT = "Which of these apply to the text: {labels}?\nText: {text}\n"
LONG = "filler1 filler2 " * 40 + PROMPT  # more tokens than gemma2's layers see back


@pytest.fixture(scope="module", params=CHECKPOINTS)
def fitted(request: pytest.FixtureRequest, posts: Posts) -> SlotScorer:
    return fit(posts, request.param)


def fit(posts: Posts, checkpoint: str, **more: Any) -> SlotScorer:
    chosen = settings(checkpoint, **{"prompt": PROMPT, "max_length": 400, **more})
    model = LabelGenerator(chosen).fit(*posts, FitContext(labels=LABELS, seed=3))
    assert isinstance(model, SlotScorer)
    return model


def asked(model: SlotScorer, **more: Any) -> SlotScorer:
    """The same weights, asked in another way."""
    prompt = model.slots.prompt
    changed = Prompt(prompt.tokenizer, prompt.settings.model_copy(update=more), LABELS)
    return SlotScorer(model.source, model.model, LabelSlots(changed), model.objective)


def of_whole_prompts(model: SlotScorer, texts: list[str]) -> NDArray[np.float32]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beginning, "LEAST", 10**6)
        return model.predict_proba(texts)


@contextmanager
def passes(model: SlotScorer) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of what the model is given to read."""
    shapes: list[tuple[int, ...]] = []
    embeddings: nn.Module = model.model.get_input_embeddings()
    handle = embeddings.register_forward_hook(lambda _, inputs, __: shapes.append(tuple(inputs[0].shape)))
    yield shapes
    handle.remove()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("prompt", [PROMPT, LONG])
def test_probabilities_are_those_of_whole_prompts(fitted: SlotScorer, prompt: str, attention: str) -> None:
    model = asked(fitted, prompt=prompt, eval_batch_size=4)
    before = len(model.slots.prompt.before)
    assert (before > 64) == (prompt == LONG)
    if attention == "sdpa" and fitted.model.config.model_type == "gemma2":
        pytest.skip("Gemma 2 caps its attention, which PyTorch's own cannot do: transformers computes it plainly")
    fitted.model.set_attn_implementation(attention)
    with passes(model) as computed:
        found = model.predict_proba(UNSEEN)
    assert computed[0] == (1, before)
    longest = max(row["length"] for row in model.slots.rows(UNSEEN))
    assert [rows for rows, _ in computed[1:]] == [4, 2]
    assert max(tokens for _, tokens in computed[1:]) == longest - before + model.slots.width
    expected = of_whole_prompts(model, UNSEEN)
    assert np.ptp(expected[:, 0]) > 1e-4  # texts are told apart
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_window_smaller_than_the_beginning_is_kept_to(posts: Posts, attention: str) -> None:
    model = fit(posts, "qwen2")
    config = copy.deepcopy(model.model.config)
    config.layer_types, config.sliding_window = ["sliding_attention", "full_attention"], 16
    config.use_sliding_window, config._attn_implementation = True, attention
    torch.manual_seed(1)
    model.model = Qwen2ForCausalLM(config).eval()
    assert len(model.slots.prompt.before) > 16
    found = model.predict_proba(UNSEEN)
    np.testing.assert_allclose(found, of_whole_prompts(model, UNSEEN), atol=1e-5)
    with passes(model) as computed:
        model.predict_proba(UNSEEN)
    assert [rows for rows, _ in computed] == [1, len(UNSEEN)]
    model.model.config.sliding_window = 10**6
    assert np.abs(model.predict_proba(UNSEEN) - found).max() > 1e-4  # the window is felt


SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
OTHERS: dict[str, dict[str, Any]] = {
    "gemma3_text": {"head_dim": 16, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
    "granite": {"logits_scaling": 4.0},
    "cohere": {"logit_scale": 0.25, "eos_token_id": 1},
    "gpt_neox": {},  # its output layer has a name of its own
}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", OTHERS)
def test_other_architectures_give_the_same(posts: Posts, architecture: str, attention: str) -> None:
    """Also with two rows of their output layer: they scale what it gives."""
    scorer = fit(posts, "qwen2")
    shape = {"vocab_size": 400, "num_key_value_heads": 2, "initializer_range": 0.12, "pad_token_id": 0, **SHAPE}
    config = AutoConfig.for_model(architecture, **{**shape, **OTHERS[architecture]})
    torch.manual_seed(1)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    scorer.model = model.eval().requires_grad_(False)
    expected = of_whole_prompts(scorer, UNSEEN)
    assert np.ptp(expected[:, 0]) > 1e-3  # texts are told apart
    with passes(scorer) as computed:
        np.testing.assert_allclose(scorer.predict_proba(UNSEEN), expected, atol=1e-5)
    assert [rows for rows, _ in computed] == [1, len(UNSEEN)]
    keep_answers(model, scorer.slots.answers)
    assert model.get_output_embeddings().weight.shape == (2, 64)
    np.testing.assert_allclose(scorer.predict_proba(UNSEEN), expected, atol=1e-5)


@pytest.mark.parametrize("adaptation", ["lora", "qlora"])
def test_adapters_read_the_beginning_too(posts: Posts, adaptation: str) -> None:
    model = fit(posts, "qwen2", adaptation=adaptation, learning_rate=1e-2)
    found = model.predict_proba(UNSEEN)
    np.testing.assert_allclose(found, of_whole_prompts(model, UNSEEN), atol=1e-5)
    with model.model.disable_adapter():
        assert np.abs(model.predict_proba(UNSEEN) - found).max() > 1e-3


def test_few_tokens_are_not_read_apart(posts: Posts) -> None:
    model = fit(posts, "llama", prompt="{text}\n{labels}\n")
    assert 0 < len(model.slots.prompt.before) < LEAST
    with passes(model) as computed:
        model.predict_proba(UNSEEN)
    assert [rows for rows, _ in computed] == [len(UNSEEN)]


def test_a_pass_per_label_reads_whole_prompts(fitted: SlotScorer) -> None:
    model = asked(fitted, shared_prefix=False)
    with passes(model) as computed:
        apart = model.predict_proba(UNSEEN)
    assert [rows for rows, _ in computed] == [len(UNSEEN) * len(LABELS)]
    np.testing.assert_allclose(fitted.predict_proba(UNSEEN), apart, atol=1e-5)


@pytest.mark.parametrize(
    "other",
    [{"layer_types": ["full_attention", "linear_attention"]}, {"rope_parameters": {"rope_type": "longrope"}}],
)
def test_what_keeps_other_things_reads_whole_prompts(posts: Posts, other: dict[str, Any]) -> None:
    model = fit(posts, "llama")
    tokens = model.slots.prompt.before
    with torch.inference_mode():
        assert read_beginning(model.model, tokens) is not None
        model.model.config = type("Config", (), {**model.model.config.to_dict(), **other})()
        assert read_beginning(model.model, tokens) is None


def test_layers_that_share_or_cut_their_keys_read_whole_prompts(posts: Posts, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(posts, "gemma2", prompt=LONG)
    assert len(model.slots.prompt.before) > 64
    expected = model.predict_proba(UNSEEN)
    cut = DynamicCache(config=model.model.config)
    monkeypatch.setattr(beginning, "DynamicCache", lambda: cut)
    with torch.inference_mode():
        assert read_beginning(model.model, model.slots.prompt.before) is None
    cut = DynamicCache(config=model.model.config)
    np.testing.assert_allclose(model.predict_proba(UNSEEN), expected, atol=1e-5)


def test_an_architecture_without_keys_is_left_alone() -> None:
    model = MambaForCausalLM(MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, state_size=4))
    with torch.inference_mode():
        assert read_beginning(model, list(range(LEAST))) is None


def test_nothing_is_added_to_what_was_read(posts: Posts) -> None:
    """One row's keys and values, however many rows and batches read them."""
    model = fit(posts, "llama")
    tokens = model.slots.prompt.before
    with torch.inference_mode():
        begun = read_beginning(model.model, tokens)
        assert begun is not None
        batch = model.slots.collate(model.slots.rows(UNSEEN), known=begun.length)
        first, second = (model.slots.logits(model.model, batch, begun) for _ in range(2))
    assert torch.equal(first, second)
    (cache,) = (kept for kept in begun.options.values() if isinstance(kept, DynamicCache))
    shapes = {part.shape for keys, values, _ in cache for part in (keys, values)}
    assert shapes == {(1, 2, len(tokens), 16)}
