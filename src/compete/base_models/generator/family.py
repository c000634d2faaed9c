"""Family `label_generator`: a language model that answers for every label, yes or no.

The prompt is followed by one slot per label ("anger:"), and the probability of a label is the model's for the
answer yes against no in its slot: every label is scored on its own, no text is generated or parsed. With
decoding = "generate" the model writes the names of the labels instead, as the report's did, for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.base_models.families import FamilyDefaults, FitContext, FittedModel, Needs
from compete.base_models.generator.settings import LabelGeneratorSettings


class LabelGenerator(FamilyDefaults):
    """Fine-tunes AutoModelForCausalLM on its answers with transformers' Trainer."""

    Settings: ClassVar[type[LabelGeneratorSettings]] = LabelGeneratorSettings
    version: ClassVar[int] = 2
    imports: ClassVar[tuple[str, ...]] = (
        "compete.base_models.generator.training",
        "compete.base_models.pretrained.imported_ahead",
    )

    def __init__(self, settings: LabelGeneratorSettings) -> None:
        self.settings = settings

    @classmethod
    def needs(cls, settings: LabelGeneratorSettings) -> Needs:
        """Its checkpoint, and what comes with it."""
        return Needs(settings.checkpoint, settings.remote_code, settings.model_parallel)

    def fit(self, texts: Sequence[str], labels: NDArray[np.int8], context: FitContext) -> FittedModel:
        """Train on most of these rows and keep the epoch that is best on the rest."""
        from compete.base_models.generator.training import train

        return train(self.settings, texts, labels, context)

    def load(self, folder: Path, context: FitContext) -> FittedModel:
        """What `save` of a fitted model wrote into `folder`."""
        from compete.base_models.generator.training import load

        return load(self.settings, folder, context)
