"""[settings] of a recipe of family `ffnn`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compete.base_models.class_weights import ClassWeights
from compete.base_models.noisy_rows import NOISY_ROWS
from compete.base_models.task_settings import added_later, only_for
from compete.declarations import Declaration


class FeedForwardSettings(Declaration):
    """Settings of a feed-forward recipe; rates, batches and epochs are by default those of the report."""

    embedding_size: int = Field(default=64, ge=1, description="length of a token's vector")
    min_df: int = Field(default=2, ge=1, description="a token of fewer training texts than this is not known")
    hidden: tuple[int, ...] = Field(default=(128, 64), min_length=1, description="sizes of the hidden layers")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="share of units dropped before every layer")
    token_dropout: float = Field(default=0.3, ge=0, lt=1, description="share of a text's tokens hidden in training")
    epochs: int = Field(default=10, ge=1, description="passes over the training rows")
    batch_size: int = Field(default=64, ge=2, description="rows per training step; an epoch's rest is spread over them")
    eval_batch_size: int = Field(default=128, ge=1, description="rows predicted at once")
    learning_rate: float = Field(default=0.005, gt=0, description="AdamW's rate at the start")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay")
    plateau_patience: int = Field(default=0, ge=0, description="epochs without a better validation loss that are borne")
    plateau_factor: float = Field(default=0.5, gt=0, lt=1, description="what the rate is then multiplied by")
    validation_share: float = Field(
        default=0.1, gt=0, lt=1, description="share of the training rows to judge epochs on"
    )
    class_weights: ClassWeights = Field(
        default="none",
        description="weight of a label's positives: 1, negatives / positives, or its square root; of a class's rows: "
        "1, rows / (classes * its rows), or its square root",
        json_schema_extra=only_for("labels", "classes"),
    )
    loss: Literal["cumulative", "cross_entropy", "mse", "mae", "huber", "pearson"] | None = Field(
        default=None,
        description="what is fitted: of numbers mse by default; of grades cumulative, which is every step up; "
        "cross_entropy is every grade",
        json_schema_extra=only_for("numbers", "grades"),
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of a row that is spread over all classes, or of a label's cell over yes and no (Szegedy et "
        "al. 2016)",
        json_schema_extra={**only_for("labels", "classes"), **added_later()},
    )
    members: int = Field(default=1, ge=1, description="nets to average, each with its own seed and validation rows")
    noisy_rows: float = NOISY_ROWS
