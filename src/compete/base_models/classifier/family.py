"""Family `sequence_classifier`: a pretrained transformer with a classification head.

This module holds the settings and stays light; torch and transformers are imported when a model is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FamilyDefaults, FitContext, FittedModel, Needs
from compete.base_models.pretrained.refusals import refused_methods
from compete.base_models.task_losses import refused_loss, settled_loss
from compete.base_models.task_settings import refused_settings
from compete.competition.shape import Targets
from compete.competition.task import TaskName
from compete.declarations import Problem

RATE = "head_dropout_rate"


class SequenceClassifier(FamilyDefaults):
    """Fine-tunes AutoModelForSequenceClassification with transformers' Trainer."""

    Settings: ClassVar[type[SequenceClassifierSettings]] = SequenceClassifierSettings
    version: ClassVar[int] = 3
    imports: ClassVar[tuple[str, ...]] = (
        "compete.base_models.classifier.training",
        "compete.base_models.pretrained.imported_ahead",
    )

    learns_soft_rows: ClassVar[bool] = True

    def __init__(self, settings: SequenceClassifierSettings) -> None:
        self.settings = settings

    @classmethod
    def needs(cls, settings: SequenceClassifierSettings) -> Needs:
        """Its checkpoint, and what comes with it."""
        return Needs(settings.checkpoint, settings.remote_code, settings.model_parallel, settings.frozen_layers)

    @classmethod
    def refused(cls, settings: SequenceClassifierSettings, task: TaskName) -> list[Problem]:
        """A loss of another task too, and methods that have nothing to do."""
        methods = refused_methods(settings, task, adaptation=settings.adaptation, frozen_layers=settings.frozen_layers)
        if not settings.head_dropouts and settings.head_dropout_rate != cls.Settings.model_fields[RATE].default:
            methods.append(Problem(RATE, "means nothing without head_dropouts"))
        return [*refused_settings(settings, task), *refused_loss(settings.loss, task), *methods]

    @classmethod
    def settled(cls, settings: SequenceClassifierSettings, task: TaskName) -> SequenceClassifierSettings:
        """The loss that is fitted."""
        return settings.model_copy(update={"loss": settled_loss(settings.loss, task)})

    def fit(self, texts: Sequence[str], labels: Targets, context: FitContext) -> FittedModel:
        """Train on most of these rows and keep the epoch that is best on the rest."""
        from compete.base_models.classifier.training import train

        return train(self.settings, texts, labels, context)

    def load(self, folder: Path, context: FitContext) -> FittedModel:
        """What `save` of a fitted model wrote into `folder`."""
        from compete.base_models.classifier.training import load

        return load(self.settings, folder, context)
