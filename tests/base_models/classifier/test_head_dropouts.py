"""Multi-sample dropout: masks of their own, losses averaged, predictions as ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from compete.base_models.classifier.head_dropouts import _last_layer, add_head_dropouts, mean_loss
from compete.errors import UserError
from support.small_classifier import fit

WIDE: dict[str, Any] = {
    "vocab_size": 12,
    "num_labels": 3,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
}
NARROW: dict[str, Any] = {"vocab_size": 12, "num_labels": 3, "dim": 8, "hidden_dim": 8, "n_heads": 2, "n_layers": 1}
MODELS: dict[str, Any] = {
    "roberta": (RobertaForSequenceClassification, RobertaConfig(**WIDE)),
    "bert": (BertForSequenceClassification, BertConfig(**WIDE)),
    "distilbert": (
        DistilBertForSequenceClassification,
        DistilBertConfig(**NARROW),
    ),
    "llama": (LlamaForSequenceClassification, LlamaConfig(pad_token_id=0, **WIDE)),
}
TOKENS = torch.tensor([[3, 4, 5], [6, 7, 8]])


def opened(name: str) -> Any:
    torch.manual_seed(3)
    kind, config = MODELS[name]
    return kind(config)


@pytest.mark.parametrize("name", MODELS)
def test_training_gives_a_set_of_logits_per_mask_and_prediction_what_it_gave(name: str) -> None:
    model = opened(name).eval()
    _last_layer(model, 3).weight.data.normal_()
    before = model(input_ids=TOKENS).logits
    add_head_dropouts(model, 4, 0.5, 3)
    torch.testing.assert_close(model(input_ids=TOKENS).logits, before)
    for module in model.base_model.modules():  # what lies below is to be the same for all masks
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.train()
    samples = model(input_ids=TOKENS).logits
    assert samples.shape == (2, 12)
    sets = torch.split(samples, 3, dim=-1)
    assert len({tuple(one.flatten().tolist()) for one in sets}) > 1
    # A mask keeps what it leaves at its mean: over many, the logits are those without.
    torch.manual_seed(5)
    many = torch.stack([model(input_ids=TOKENS).logits for _ in range(500)]).reshape(500, 2, 4, 3)
    assert (many.mean(dim=(0, 2)) - before).abs().max() < 0.2 * before.abs().max()


def test_the_heads_own_dropout_is_off_and_that_below_is_not() -> None:
    model = opened("roberta")
    add_head_dropouts(model, 2, 0.5, 3)
    assert model.classifier.dropout.p == 0
    assert model.roberta.embeddings.dropout.p == 0.1


def test_losses_of_the_masks_are_averaged() -> None:
    raw = torch.tensor([[1.0, 2.0, 10.0, 20.0], [3.0, 4.0, 30.0, 40.0]])

    def loss(sample: Tensor) -> Tensor:
        return sample.max() ** 2  # 16 and 1600

    assert float(mean_loss(raw, 2, loss)) == 808
    assert float(mean_loss(raw[:, :2], 2, loss)) == 16


def test_a_head_that_is_not_known_is_refused() -> None:
    model = XLNetForSequenceClassification(XLNetConfig(vocab_size=12, d_model=8, n_layer=1, n_head=2, d_inner=8))
    with pytest.raises(UserError, match="head_dropouts: the head of XLNet"):
        add_head_dropouts(model, 2, 0.5, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "adaptation"), [("roberta", "full"), ("distilbert", "lora"), ("llama", "lora"), ("distilbert", "frozen")]
)
def test_it_trains_with_next_to_no_dropout_as_without(name: str, adaptation: str) -> None:
    texts = ["sunny day", "rotten"]
    small: dict[str, Any] = {"adaptation": adaptation, "lora": {"dropout": 0.0}}
    plain = fit(f"miniature:{name}", **small)[0].predict_proba(texts)
    same = fit(f"miniature:{name}", head_dropouts=3, head_dropout_rate=1e-12, **small)[0].predict_proba(texts)
    np.testing.assert_allclose(same, plain, atol=1e-4)
    other = fit(f"miniature:{name}", head_dropouts=3, head_dropout_rate=0.7, **small)[0].predict_proba(texts)
    assert np.abs(other - plain).max() > 1e-5
