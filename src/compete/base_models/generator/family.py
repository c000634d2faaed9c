"""Family `label_generator`: a language model that answers for every label, yes or no.

The prompt is followed by one slot per label ("anger:"), and the probability of a label is the model's for the
answer yes against no in its slot: every label is scored on its own, no text is generated or parsed. Classes have a
slot each too, with the softmax over them, and so have the grades of a target ("anger 2:"), whose expected grade is
predicted. With decoding = "generate" the model writes the names of the labels instead, as the report's did, for
comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from compete.base_models.families import FamilyDefaults, FitContext, FittedModel, Needs
from compete.base_models.generator.settings import PROMPTS, SLOT_LOSSES, LabelGeneratorSettings
from compete.base_models.pretrained.refusals import refused_methods
from compete.base_models.task_losses import refused_loss, settled_loss
from compete.base_models.task_settings import refused_settings
from compete.competition.shape import Targets
from compete.competition.task import KINDS, TaskName
from compete.declarations import Problem


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

    @classmethod
    def refused(cls, settings: LabelGeneratorSettings, task: TaskName) -> list[Problem]:
        """Plain numbers, which no answer yes or no gives; a loss of another task; grades in the prompt of another."""
        if KINDS[task] == "numbers":
            others = "sequence_classifier, ffnn or linear"
            return [Problem("", f"label_generator answers yes or no, which gives no numbers: for {task} use {others}")]
        problems = [*refused_settings(settings, task), *refused_loss(settings.loss, task, SLOT_LOSSES)]
        problems += refused_methods(settings, task, adaptation=settings.adaptation)
        problems += [
            Problem(
                name, 'is for decoding = "slots"; a model that writes its answers is trained on tokens. Leave it out'
            )
            for name in ("label_smoothing", "r_drop")
            if settings.decoding == "generate" and getattr(settings, name)
        ]
        if "{grades}" in settings.prompt and KINDS[task] != "grades":
            problems.append(Problem("prompt", f"{{grades}} is for ordinal, and {task} has none"))
        return problems

    @classmethod
    def settled(cls, settings: LabelGeneratorSettings, task: TaskName) -> LabelGeneratorSettings:
        """The loss that is fitted, and the question."""
        kind = KINDS[task]
        if kind == "numbers":
            return settings
        loss = settled_loss(settings.loss, task, SLOT_LOSSES)
        return settings.model_copy(update={"loss": loss, "prompt": settings.prompt or PROMPTS[kind]})

    def fit(self, texts: Sequence[str], labels: Targets, context: FitContext) -> FittedModel:
        """Train on most of these rows and keep the epoch that is best on the rest."""
        from compete.base_models.generator.training import train

        return train(self.settled(self.settings, context.task), texts, labels, context)

    def load(self, folder: Path, context: FitContext) -> FittedModel:
        """What `save` of a fitted model wrote into `folder`."""
        from compete.base_models.generator.training import load

        return load(self.settled(self.settings, context.task), folder, context)
