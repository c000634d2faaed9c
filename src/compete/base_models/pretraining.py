"""[[pretrain_on]] of a recipe: labelled rows of another competition that its checkpoint is fine-tuned on first."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.task_losses import refused_loss
from compete.base_models.task_settings import refused_settings
from compete.competition.task import TaskName
from compete.declarations import Declaration, Problem, validate

FAMILIES = ("sequence_classifier", "embeddings")
_WHERE = ("checkpoint", "revision", "remote_code", "model_parallel")


class Step(Declaration):
    """[[pretrain_on]]: one labelled set; several are gone through in their order (Phang et al. 2018, STILTs)."""

    workspace: str = Field(min_length=1, description="folder with a competition.toml that says what is learnt of what")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="of family sequence_classifier, for this step; the checkpoint is the recipe's"
    )

    def classifier(self, settings: dict[str, Any], task: TaskName) -> tuple[SequenceClassifierSettings, list[Problem]]:
        """The settings as the family takes them in the other competition's task, or what is wrong with them."""
        found, problems = validate(SequenceClassifierSettings, settings, prefix="settings.")
        problems += [
            Problem(f"settings.{name}", "is the recipe's; leave it out") for name in _WHERE if name in self.settings
        ]
        if found is None:
            return SequenceClassifierSettings(checkpoint="none"), problems
        refused = [*refused_settings(found, task), *refused_loss(found.loss, task)]
        problems += [Problem(f"settings.{it.key}", it.message) for it in refused]
        if found.adaptation not in ("full", "lora"):
            problems.append(
                Problem("settings.adaptation", 'should be "full" or "lora": it is the body that has to learn')
            )
        return found, problems
