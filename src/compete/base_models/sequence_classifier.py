"""Family `sequence_classifier`: a pretrained transformer with a classification head.

This module holds the settings and stays light; torch and transformers are imported when a model is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from compete.base_models.families import FitContext, FittedModel
from compete.base_models.transformer_settings import TransformerSettings


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


class SequenceClassifier:
    """Fine-tunes AutoModelForSequenceClassification with transformers' Trainer."""

    Settings: ClassVar[type[SequenceClassifierSettings]] = SequenceClassifierSettings
    version: ClassVar[int] = 3
    imports: ClassVar[tuple[str, ...]] = (
        "compete.base_models.sequence_classifier_training",
        "compete.base_models.imported_ahead",
    )

    def __init__(self, settings: SequenceClassifierSettings) -> None:
        self.settings = settings

    def fit(self, texts: Sequence[str], labels: NDArray[np.int8], context: FitContext) -> FittedModel:
        """Train on most of these rows and keep the epoch that is best on the rest."""
        from compete.base_models.sequence_classifier_training import train

        return train(self.settings, texts, labels, context)

    def load(self, folder: Path, context: FitContext) -> FittedModel:
        """What `save` of a fitted model wrote into `folder`."""
        from compete.base_models.sequence_classifier_training import load

        return load(self.settings, folder, context)
