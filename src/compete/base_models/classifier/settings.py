"""[settings] of a recipe of family `sequence_classifier`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compete.base_models.noisy_rows import NOISY_ROWS
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
    head_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="of the new head alone, at its highest; default: `learning_rate`",
        json_schema_extra=added_later(),
    )
    head_dropouts: int = Field(
        default=0,
        ge=0,
        description="masks of dropout over the pooled representation in a step, whose losses are averaged "
        "(multi-sample dropout, Inoue 2019), in place of the head's own dropout; 0: as the checkpoint has it",
        json_schema_extra=added_later(),
    )
    head_dropout_rate: float = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="head_dropouts: share that each mask drops",
        json_schema_extra=added_later(),
    )
    noisy_rows: float = NOISY_ROWS
