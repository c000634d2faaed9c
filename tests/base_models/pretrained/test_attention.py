"""Attention in both directions over a decoder's weights, against the same written out with plain products."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import silu

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.families import FitContext
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.attention import attend_in_both_directions
from compete.base_models.pretrained.checkpoints import Source, open_classifier
from compete.base_models.pretrained.pooling import pool_by_mean
from compete.errors import UserError
from support.small_classifier import LABELS, fit, posts, settings

pytestmark = pytest.mark.slow

HEADS, KEYS, WIDTH = 4, 2, 16  # of the miniature
UNSEEN = ["such a sunny day", "rotten", "", "sunny " * 60, "a day, rotten and sunny 😀 #mood"]
STELLA: dict[str, Any] = {"checkpoint": "miniature:stella", "attention": "bidirectional", "pooling": "mean"}
IDS = torch.tensor([[9, 41, 7, 30, 12], [8, 40, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stella")
    write_miniature("stella", posts()[0], made, seed=1)
    weights = load_file(made / "model.safetensors")
    torch.manual_seed(0)
    moved = {
        name: weight + 0.1 * torch.randn(weight.shape) for name, weight in weights.items()
    }  # no norm is 1, no bias 0
    save_file(moved, made / "model.safetensors", metadata={"format": "pt"})
    return made


def opened(folder: Path, implementation: str) -> Any:
    model: Any = open_classifier(Source(settings(str(folder)), str(folder)), 0, 3, four_bits=False)
    model.set_attn_implementation(implementation)
    assert model.base_model.config._attn_implementation == implementation
    return model.eval()


def bidirectional(folder: Path, implementation: str) -> Any:
    model = opened(folder, implementation)
    attend_in_both_directions(model, "stella")
    return model


def hidden(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    with torch.inference_mode():
        states: Tensor = model.base_model(input_ids=ids, attention_mask=mask)[0]
    return states


def normed(values: Tensor, weight: Tensor) -> Tensor:
    return values * torch.rsqrt(values.square().mean(-1, keepdim=True) + 1e-6) * weight


def turned(values: Tensor) -> Tensor:
    """Rotary positions over (heads, tokens, width)."""
    angles = torch.arange(values.shape[1])[:, None] / 10_000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    first, second = values[..., : WIDTH // 2], values[..., WIDTH // 2 :]
    turn, lift = angles.cos(), angles.sin()
    return torch.cat([first * turn - second * lift, second * turn + first * lift], dim=-1)


def written_out(weights: dict[str, Tensor], ids: Tensor) -> Tensor:
    """Hidden states (tokens, width) of one text, every token seeing every token."""
    states = weights["embed_tokens.weight"][ids]
    for layer in range(2):
        part = {name.removeprefix(f"layers.{layer}."): weight for name, weight in weights.items()}
        read = normed(states, part["input_layernorm.weight"])
        query, key, value = (
            (read @ part[f"self_attn.{name}_proj.weight"].T + part[f"self_attn.{name}_proj.bias"])
            .reshape(len(ids), -1, WIDTH)
            .transpose(0, 1)
            for name in "qkv"
        )
        key, value = turned(key).repeat_interleave(HEADS // KEYS, 0), value.repeat_interleave(HEADS // KEYS, 0)
        seen = torch.softmax(turned(query) @ key.transpose(1, 2) / WIDTH**0.5, dim=-1) @ value
        states = states + seen.transpose(0, 1).reshape(len(ids), -1) @ part["self_attn.o_proj.weight"].T
        read = normed(states, part["post_attention_layernorm.weight"])
        gated = silu(read @ part["mlp.gate_proj.weight"].T) * (read @ part["mlp.up_proj.weight"].T)
        states = states + gated @ part["mlp.down_proj.weight"].T
    return normed(states, weights["norm.weight"])


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_hidden_states_and_their_mean_are_those_of_plain_products(folder: Path, implementation: str) -> None:
    weights = load_file(folder / "model.safetensors")
    expected = [written_out(weights, ids[mask.bool()]) for ids, mask in zip(IDS, MASK, strict=True)]
    model = bidirectional(folder, implementation)
    found = hidden(model, IDS, MASK)
    alone = hidden(model, IDS[:1], MASK[:1])  # without padding, where fused attention would be causal by itself
    for row, states in enumerate(expected):
        torch.testing.assert_close(found[row, : len(states)], states, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone[0], expected[0], atol=1e-5, rtol=1e-4)
    pool_by_mean(model, "stella")
    with torch.inference_mode():
        logits = model(input_ids=IDS, attention_mask=MASK).logits
    means = torch.stack([states.mean(0) for states in expected])
    torch.testing.assert_close(logits, means @ model.score.weight.detach().T, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_the_mask_is_enough_for_versions_that_know_no_word_for_it(folder: Path, implementation: str) -> None:
    model = bidirectional(folder, implementation)
    expected = [hidden(model, IDS[:rows], MASK[:rows]) for rows in (1, 2)]
    model.base_model.config.is_causal = True
    for rows, states in zip((1, 2), expected, strict=True):
        torch.testing.assert_close(hidden(model, IDS[:rows], MASK[:rows]), states)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_the_first_token_sees_the_last_and_of_a_causal_model_does_not(folder: Path, implementation: str) -> None:
    changed = IDS.clone()
    changed[:, [1, 4]] = 50  # the last token of the first text, another of it, and the last of the second
    for model, sees in ((bidirectional(folder, implementation), True), (opened(folder, implementation), False)):
        differs = (hidden(model, IDS, MASK) - hidden(model, changed, MASK))[:, 0].abs().amax(-1)
        assert all((differs > 1e-3) == sees)
    without = IDS.clone()
    without[1, 2:] = 50  # behind the mask
    model = bidirectional(folder, implementation)
    torch.testing.assert_close(hidden(model, without, MASK)[1, :2], hidden(model, IDS, MASK)[1, :2])


WAYS: list[dict[str, Any]] = [
    {"adaptation": "full"},
    {"adaptation": "lora"},
    {"adaptation": "qlora"},
    {"adaptation": "frozen", "learning_rate": 0.05},
    {"adaptation": "lora", "frozen_layers": 1},
    {"adaptation": "lora", "gradient_checkpointing": True},
    {"adaptation": "lora", "max_length": 600},  # long enough for fused attention
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_it_learns_and_is_kept_and_padding_changes_nothing(way: dict[str, Any], tmp_path: Path) -> None:
    chosen = {"epochs": 4, "learning_rate": 3e-3, **STELLA, **way}
    model, context = fit(**chosen)
    losses = [row["train_loss"] for row in context.curves]
    assert losses[-1] < losses[0] - 0.05
    together = model.predict_proba(UNSEEN)
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together[:, 0]) > 0.01
    assert model.save(tmp_path, whole=True)
    again: Any = SequenceClassifier(settings(**chosen)).load(tmp_path, FitContext(labels=LABELS, seed=3))
    np.testing.assert_allclose(again.predict_proba(UNSEEN), together, atol=1e-5)


def test_checkpointing_computes_the_same() -> None:
    plain, again = (fit(**STELLA, gradient_checkpointing=saves)[0].predict_proba(UNSEEN) for saves in (False, True))
    np.testing.assert_allclose(plain, again, atol=1e-5)


def test_frozen_layers_of_either_attention_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    """The weights are the same, what the layers compute is not."""
    both = {"attention": "bidirectional", "pooling": "mean"}
    for more in ({}, both):
        chosen = settings(str(folder), frozen_layers=1, **more)
        context = FitContext(labels=LABELS, seed=3, cache=tmp_path)
        shared = SequenceClassifier(chosen).fit(*posts(), context).predict_proba(UNSEEN)
        fresh = SequenceClassifier(chosen).fit(*posts(), FitContext(labels=LABELS, seed=3)).predict_proba(UNSEEN)
        np.testing.assert_allclose(shared, fresh, atol=1e-5)
    assert len(list(tmp_path.rglob("hidden.f32"))) == 2


@pytest.mark.parametrize("architecture", ["roberta", "distilbert", "llama", "gemma2"])
def test_an_architecture_it_was_not_tried_with_is_refused_by_name(architecture: str) -> None:
    said = rf'attention = "bidirectional" is for .*\(qwen2\).*miniature:{architecture}.* architecture {architecture}:'
    with pytest.raises(UserError, match=said):
        fit(f"miniature:{architecture}", attention="bidirectional")
