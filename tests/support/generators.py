"""Prompts of miniatures that generate, and settings to train them with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from compete.base_models.generator.prompts import Prompt
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.pretrained.checkpoints import open_tokenizer, source_of

Posts = tuple[list[str], NDArray[np.int8]]

LABELS = ("joy", "anger")
CHECKPOINTS = ("llama_instruct", "qwen2", "qwen2_instruct", "gemma2")
MAX_LENGTH = 160


def settings(checkpoint: str, **more: Any) -> LabelGeneratorSettings:
    small = {
        "adaptation": "full",
        "prompt": "{text}\n",
        "epochs": 1,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "max_length": MAX_LENGTH,
        "precision": "float32",
    }
    return LabelGeneratorSettings(checkpoint=f"miniature:{checkpoint}", **{**small, **more})


def tokenizer_of(posts: Posts, checkpoint: str) -> PreTrainedTokenizerBase:
    return open_tokenizer(source_of(settings(checkpoint), posts[0], seed=1), padding_side="left")


def prompt_of(posts: Posts, checkpoint: str, **more: Any) -> Prompt:
    return Prompt(tokenizer_of(posts, checkpoint), settings(checkpoint, **more), LABELS)


def decoded(prompt: Prompt, tokens: list[int]) -> str:
    return str(prompt.tokenizer.decode(tokens))
