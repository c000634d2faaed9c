"""[[pretrain_on]] of a recipe: what its checkpoint learns from before the folds, which see none of it.

Labelled rows of another competition (Phang et al. 2018), or texts without labels, of which it learns to fill in or to
go on with what is hidden (domain and task adaptation, Gururangan et al. 2020).
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.task_losses import refused_loss
from compete.base_models.task_settings import refused_settings
from compete.competition.task import TaskName
from compete.declarations import Declaration, Problem, validate

FAMILIES = ("sequence_classifier", "embeddings")
_WHERE = ("checkpoint", "revision", "remote_code", "model_parallel")


class LanguageModeling(Declaration):
    """Settings of a step on texts: a language model is trained on them, and its body is what the folds start from."""

    epochs: int = Field(default=1, ge=1, description="passes over the texts; the one with the best loss is kept")
    masked: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="share of the tokens that an encoder has to fill in, drawn anew in every pass; a decoder predicts "
        "every next token",
    )
    learning_rate: float = Field(default=5e-5, gt=0, description="of the optimiser, at its highest")
    batch_size: int = Field(default=32, ge=1, description="texts per optimiser step")
    micro_batch_size: int = Field(
        default=8, ge=1, description="texts at once; a probability per token of the vocabulary takes its memory"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="of the optimiser")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps in which the rate rises")
    scheduler: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="how the rate falls after its warm-up"
    )
    max_length: int = Field(default=128, ge=4, description="tokens; longer texts are cut at their end")
    validation_share: float = Field(
        default=0.05, gt=0, lt=0.5, description="share of the texts that choose the epoch, by their loss alone"
    )
    gradient_checkpointing: bool = Field(default=False, description="less memory, more time")

    def training(self, settings: dict[str, Any]) -> TransformerSettings:
        """The same as training takes it; settings: the recipe's, which say what the checkpoint is and how it reads."""
        told = {name: settings[name] for name in (*_WHERE, "precision") if name in settings}
        own = self.model_dump(exclude={"masked"})
        return TransformerSettings(**told, **own, eval_batch_size=self.micro_batch_size)


class Step(Declaration):
    """[[pretrain_on]]: one labelled set, or texts; several steps are gone through in their order."""

    workspace: str | None = Field(
        default=None,
        min_length=1,
        description="of labelled rows: folder with a competition.toml that says what is learnt of what",
    )
    texts: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description='in its place texts without labels: "train", "test", or files with the text columns and no labels',
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="for this step: of family sequence_classifier, or of texts those below; the checkpoint is the "
        "recipe's",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.workspace is None) == (self.texts is None):
            raise ValueError("should name a workspace of labelled rows, or texts")
        if self.texts is not None and len(set(self.texts)) < len(self.texts):
            raise ValueError("texts should name each once")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """Of texts those that are no part of the competition."""
        return tuple(name for name in self.texts or () if name not in ("train", "test"))

    def classifier(self, settings: dict[str, Any], task: TaskName) -> tuple[SequenceClassifierSettings, list[Problem]]:
        """The settings as the family takes them in the other competition's task, or what is wrong with them."""
        found, problems = validate(SequenceClassifierSettings, settings, prefix="settings.")
        problems += self._what_is_the_recipes()
        if found is None:
            return SequenceClassifierSettings(checkpoint="none"), problems
        refused = [*refused_settings(found, task), *refused_loss(found.loss, task)]
        problems += [Problem(f"settings.{it.key}", it.message) for it in refused]
        if found.adaptation not in ("full", "lora"):
            problems.append(
                Problem("settings.adaptation", 'should be "full" or "lora": it is the body that has to learn')
            )
        return found, problems

    def language_modeling(self) -> tuple[LanguageModeling, list[Problem]]:
        """The settings of a step on texts, or what is wrong with them."""
        found, problems = validate(LanguageModeling, self.settings, prefix="settings.")
        return found or LanguageModeling(), problems

    def _what_is_the_recipes(self) -> list[Problem]:
        return [
            Problem(f"settings.{name}", "is the recipe's; leave it out") for name in _WHERE if name in self.settings
        ]
