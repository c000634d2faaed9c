"""The mean of a text's tokens as what the head reads, whatever the encoder and however the text is padded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext
from compete.base_models.pretrained.pooling import pool_by_mean
from compete.errors import UserError

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"vocab_size": 50, "num_labels": 2, "pad_token_id": 1}
WIDE: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
IDS = torch.tensor([[5, 9, 7, 30], [8, 4, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def models() -> list[Any]:
    torch.manual_seed(0)
    distilled = DistilBertConfig(**SMALL, dim=16, n_layers=2, n_heads=2, hidden_dim=16)
    return [
        BertForSequenceClassification(BertConfig(**SMALL, **WIDE)),
        RobertaForSequenceClassification(RobertaConfig(**SMALL, **WIDE)),
        MPNetForSequenceClassification(MPNetConfig(**SMALL, **WIDE)),
        DistilBertForSequenceClassification(distilled),
    ]


def head_of(model: Any, pooled: torch.Tensor) -> Any:
    """What each model's own head makes of the pooled tokens, in its place as the first token."""
    if isinstance(model, BertForSequenceClassification):
        return model.classifier(pooled)
    if isinstance(model, DistilBertForSequenceClassification):
        return model.classifier(nn.functional.relu(model.pre_classifier(pooled)))
    return model.classifier(pooled.unsqueeze(1))


@pytest.mark.parametrize("model", models(), ids=lambda model: model.config.model_type)
def test_the_head_reads_the_mean_of_the_tokens(model: Any) -> None:
    model.eval()
    with torch.no_grad():
        before = model(input_ids=IDS, attention_mask=MASK).logits
        hidden = model.base_model(input_ids=IDS, attention_mask=MASK)[0]
        mean = torch.stack([hidden[0].mean(dim=0), hidden[1, :2].mean(dim=0)])
        expected = head_of(model, mean)
        pool_by_mean(model, "small")
        found = model(input_ids=IDS, attention_mask=MASK).logits
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, before, atol=1e-4)


def fit(checkpoint: str, **more: Any) -> Any:
    small: dict[str, Any] = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "max_length": 32}
    settings = SequenceClassifierSettings(checkpoint=checkpoint, pooling="mean", precision="float32", **small, **more)
    texts = ["sunny day", "rotten day", "a day", "sunny rotten day"] * 16
    labels: NDArray[np.int8] = np.array([[1, 0], [0, 1], [0, 0], [1, 1]] * 16, dtype=np.int8)
    return SequenceClassifier(settings).fit(texts, labels, FitContext(labels=("joy", "anger"), seed=1)), settings


@pytest.mark.parametrize("architecture", ["roberta", "distilbert"])
@pytest.mark.parametrize("more", [{}, {"adaptation": "frozen"}, {"adaptation": "lora"}, {"frozen_layers": 1}])
def test_it_trains_is_kept_and_predicts_the_same_again(architecture: str, more: dict[str, Any], tmp_path: Path) -> None:
    model, settings = fit(f"miniature:{architecture}", **more)
    texts = ["such a sunny day", "", "rotten"]
    together = model.predict_proba(texts)
    np.testing.assert_allclose(together, np.concatenate([model.predict_proba([t]) for t in texts]), atol=1e-5)
    assert model.save(tmp_path, whole=True)
    again = SequenceClassifier(settings).load(tmp_path, FitContext(labels=("joy", "anger"), seed=1))
    np.testing.assert_allclose(again.predict_proba(texts), together, atol=1e-5)


def test_a_causal_decoder_is_refused() -> None:
    with pytest.raises(
        UserError, match=r'pooling = "mean" is for encoders, and .*miniature:llama.* is a decoder.*attention = "bid'
    ):
        fit("miniature:llama")
