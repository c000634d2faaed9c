"""Family `sequence_classifier`: a pretrained transformer with a classification head.

This module holds the settings and stays light; torch and transformers are imported when a model is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from compete.base_models.families import FitContext, FittedModel
from compete.declarations import Declaration


class Lora(Declaration):
    """[settings.lora]: low-rank adapters (Hu et al. 2021), for adaptation = "lora" and "qlora"."""

    r: int = Field(default=16, ge=1, description="rank")
    alpha: int = Field(default=32, ge=1, description="scale: the adapter's output is multiplied by alpha / r")
    dropout: float = Field(default=0.05, ge=0, lt=1)
    targets: str | tuple[str, ...] = Field(default="all-linear", description="names of the layers that get adapters")
    bias: Literal["none", "all", "lora_only"] = "none"


class SequenceClassifierSettings(Declaration):
    """[settings] of a recipe of family `sequence_classifier`."""

    checkpoint: str = Field(min_length=1, description='name on the hub, a local folder, or "miniature:ARCHITECTURE"')
    revision: str | None = Field(default=None, description="commit of the hub's repository")
    adaptation: Literal["full", "lora", "qlora", "frozen"] = Field(
        default="full", description="what is trained beside the head: all weights, adapters (over 4 bits), nothing"
    )
    lora: Lora = Lora()
    frozen_layers: int = Field(
        default=0, ge=0, description="full: lowest layers that stay as they are, with the embeddings"
    )
    max_length: int = Field(default=128, ge=4, description="tokens; longer texts are cut at their end")
    epochs: int = Field(default=3, ge=1)
    batch_size: int = Field(default=32, ge=1, description="rows per optimiser step")
    micro_batch_size: int | None = Field(default=None, ge=1, description="rows at once; the rest is accumulated")
    eval_batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=5e-5, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps in which the rate rises")
    scheduler: Literal["linear", "cosine", "constant", "plateau"] = "linear"
    max_grad_norm: float = Field(default=1.0, gt=0)
    gradient_checkpointing: bool = False
    loss: Literal["bce", "focal", "asymmetric"] = "bce"
    class_weights: Literal["none", "balanced", "sqrt"] = Field(
        default="sqrt", description="weight of a label's positives: 1, negatives / positives, or its square root"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="of the training; auto: bfloat16 where the processor or GPU computes it natively"
    )
    inner_share: float = Field(
        default=0.1, gt=0, lt=0.5, description="share of the training rows that choose the epoch"
    )
    patience: int | None = Field(
        default=None, ge=1, description="stop after so many epochs without a better inner loss"
    )


class SequenceClassifier:
    """Fine-tunes AutoModelForSequenceClassification with transformers' Trainer."""

    Settings: ClassVar[type[SequenceClassifierSettings]] = SequenceClassifierSettings
    version: ClassVar[int] = 1

    def __init__(self, settings: SequenceClassifierSettings) -> None:
        self.settings = settings

    def fit(self, texts: Sequence[str], labels: NDArray[np.int8], context: FitContext) -> FittedModel:
        """Train on most of these rows and keep the epoch that is best on the rest."""
        from compete.base_models.sequence_classifier_training import train

        return train(self.settings, texts, labels, context)
