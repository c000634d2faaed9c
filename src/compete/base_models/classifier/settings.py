"""[settings] of a recipe of family `sequence_classifier`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.task_settings import added_later


class SequenceClassifierSettings(TransformerSettings):
    """[settings] of a recipe of family `sequence_classifier`."""

    adaptation: Literal["full", "lora", "qlora", "frozen"] = Field(
        default="full", description="what is trained beside the head: all weights, adapters (over 4 bits), nothing"
    )
    frozen_layers: int = Field(
        default=0,
        ge=0,
        description="lowest layers that stay as they are, with the embeddings; computed once for all epochs and folds",
    )
    prompt: str = Field(
        default="",
        description='what every text is read behind, as "task: classification | query: "',
        json_schema_extra=added_later(),
    )
    attention: Literal["checkpoint", "bidirectional"] = Field(
        default="checkpoint",
        description="which tokens a token sees: as the checkpoint's architecture has it, or all of its text, for "
        "text encoders made of a decoder (qwen2)",
    )
    pooling: Literal["first", "mean"] = Field(
        default="first",
        description="what the head reads: an encoder's first token or a decoder's last, or the mean of all tokens",
    )
