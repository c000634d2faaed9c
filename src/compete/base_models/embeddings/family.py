"""Family `embeddings`: a checkpoint that stays as it is, and a head on what it says of texts.

Features see no label, so they are computed once for all folds; what learns takes seconds. torch and transformers are
imported when a model is trained, so that reading a recipe stays quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FamilyDefaults, FitContext, FittedModel, Needs
from compete.base_models.pretrained.settings import PROMPTS
from compete.competition.shape import Targets


class Embeddings(FamilyDefaults):
    """Hidden states of some layers, pooled, under logistic regressions, ridge, neighbours or trees."""

    Settings: ClassVar[type[EmbeddingsSettings]] = EmbeddingsSettings
    version: ClassVar[int] = 1
    imports: ClassVar[tuple[str, ...]] = (
        "compete.base_models.embeddings.training",
        "compete.base_models.pretrained.imported_ahead",
    )

    learns_soft_rows: ClassVar[bool] = True

    def __init__(self, settings: EmbeddingsSettings) -> None:
        self.settings = settings

    @classmethod
    def needs(cls, settings: EmbeddingsSettings) -> Needs:
        """Its checkpoint, with the prompt that its files name unless the recipe does."""
        files = (PROMPTS,) if settings.prompt is None else ()
        return Needs(settings.checkpoint, settings.remote_code, settings.model_parallel, files=files)

    def fit(self, texts: Sequence[str], labels: Targets, context: FitContext) -> FittedModel:
        """Read `texts`, or take what is kept of them, and learn what is true of them, (len(texts), n_outputs)."""
        from compete.base_models.embeddings.training import train

        return train(self.settings, texts, labels, context)

    def load(self, folder: Path, context: FitContext) -> FittedModel:
        """What `save` of a fitted model wrote into `folder`."""
        from compete.base_models.embeddings.training import load

        return load(self.settings, folder, context)
