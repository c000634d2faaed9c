"""Shapes of checkpoints, as their configurations tell them, and settings to train them with."""

from __future__ import annotations

from typing import Any

from compete.base_models.classifier.settings import SequenceClassifierSettings

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


def classifier(**more: Any) -> SequenceClassifierSettings:
    return SequenceClassifierSettings(checkpoint="some/where", **more)
