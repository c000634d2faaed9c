"""[settings] of a recipe of family `sequence_classifier`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from compete.base_models.pretrained.settings import TransformerSettings


class SequenceClassifierSettings(TransformerSettings):
    """[settings] of a recipe of family `sequence_classifier`."""

    adaptation: Literal["full", "lora", "qlora", "frozen"] = Field(
        default="full", description="what is trained beside the head: all weights, adapters (over 4 bits), nothing"
    )
    frozen_layers: int = Field(default=0, ge=0, description="lowest layers that stay as they are, with the embeddings")
    trunk: int = Field(
        default=0, ge=0, description="like frozen_layers, but what they compute is kept for all epochs and folds"
    )

    pooling: Literal["first", "mean"] = Field(
        default="first", description="what an encoder's head reads: the first token, or the mean of all of them"
    )

    @property
    def lowest_frozen(self) -> int:
        """Lowest layers that stay as they are, whether what they compute is kept or not."""
        return self.trunk or self.frozen_layers

    @model_validator(mode="after")
    def _one_kind_of_freezing(self) -> Self:
        if self.trunk and self.frozen_layers:
            raise ValueError("trunk and frozen_layers say the same thing: give one of them")
        return self
