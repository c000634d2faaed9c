"""[settings] of a recipe of family `embeddings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from compete.base_models.boosted.settings import TreeSettings
from compete.base_models.pretrained.settings import CheckpointSettings


class EmbeddingsSettings(CheckpointSettings):
    """Settings of a recipe whose checkpoint stays as it is: what is read of it, and the head that learns."""

    prompt: str | None = Field(
        default=None,
        description="what every text is read behind; default: the checkpoint's own for classification, if its "
        "config_sentence_transformers.json has one",
    )
    layers: tuple[int, ...] = Field(
        default=(-1,),
        min_length=1,
        description="layers whose tokens are read, side by side: 1 is the lowest, -1 the highest, behind its norm",
    )
    pooling: Literal["mean", "first", "last"] = Field(default="mean", description="of the text's tokens")
    attention: Literal["checkpoint", "bidirectional"] = Field(
        default="checkpoint",
        description="which tokens a token sees: as the checkpoint's architecture has it, or all of its text, for "
        "text encoders made of a decoder (qwen2)",
    )
    head: Literal["linear", "svm", "knn", "lightgbm"] = Field(
        default="linear",
        description="what learns on the numbers: logistic regression (of labels and classes) or ridge (of numbers and "
        "grades), a linear support vector machine, the nearest neighbours, trees",
    )
    C: tuple[float, ...] = Field(
        default=(0.0003, 0.001, 0.003, 0.01, 0.03),
        min_length=1,
        description="inverse strengths of the L2 penalty of head linear and svm; of several the one with the lowest "
        "loss on the validation rows is taken, then all rows are fitted",
    )
    neighbours: int = Field(default=50, ge=1, description="of head knn, by cosine")
    trees: TreeSettings = Field(default=TreeSettings(), description="of head lightgbm")
    validation_share: float = Field(
        default=0.1, gt=0, lt=0.5, description="share of the training rows that choose `C`, or the number of trees"
    )

    @field_validator("layers")
    @classmethod
    def _layers_exist(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if 0 in layers or len(set(layers)) < len(layers):
            raise ValueError("should be different numbers, counted from 1 for the lowest or from -1 for the highest")
        return layers

    @field_validator("C")
    @classmethod
    def _penalties_are_positive(cls, penalties: tuple[float, ...]) -> tuple[float, ...]:
        if min(penalties) <= 0:
            raise ValueError("should be greater than 0")
        return tuple(sorted(set(penalties)))
