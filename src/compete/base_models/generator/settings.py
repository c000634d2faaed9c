"""[settings] of a recipe of family `label_generator`."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.task_losses import LOSSES, Losses
from compete.base_models.task_settings import only_for
from compete.competition.task import Kind

# A slot is answered yes or no, so that every class and every grade has a logit; numbers have none.
SLOT_LOSSES: Losses = {**LOSSES, "numbers": (), "grades": ("cross_entropy",)}
PROMPTS: dict[Kind, str] = {
    "labels": "Which of these apply to the text: {labels}?\nText: {text}\n",
    "classes": "Which one of these is right for the text: {labels}?\nText: {text}\n",
    "grades": "Graded from {grades}: which grade of {labels} does the text have?\nText: {text}\n",
}


class LabelGeneratorSettings(TransformerSettings):
    """[settings] of a recipe of family `label_generator`."""

    adaptation: Literal["full", "lora", "qlora"] = Field(
        default="lora", description="what is trained: all weights, adapters, adapters over 4 bits"
    )
    prompt: str = Field(
        default="",
        description="{text}; {labels} for the names of labels, classes or targets; in an ordinal task {grades}; "
        "default: a question in the words of the task",
    )
    system: str | None = Field(default=None, description="system message of the chat; default: the template's own")
    chat: bool | None = Field(default=None, description="use the chat template; default: where the checkpoint has one")
    decoding: Literal["slots", "generate"] = Field(
        default="slots",
        description="score a slot per label or class (or grade), or write the names of labels, or of one class, and "
        "read them",
        json_schema_extra=only_for("labels", "classes"),
    )
    slot: str = Field(
        default="{label}:", description='slots: what asks for one label or class, or for a grade, as "anger 2"'
    )
    answers: tuple[str, str] = Field(default=(" yes", " no"), description="slots: the two answers, a token each")
    shared_prefix: bool = Field(
        default=True, description="slots: read all slots of a text in one pass; false: one pass per label"
    )
    max_new_tokens: int = Field(default=32, ge=1, description="generate: length of an answer")
    no_repeat_ngram_size: int = Field(default=0, ge=0, description="generate: as in transformers; 0: repeats allowed")

    @field_validator("prompt")
    @classmethod
    def _prompt_has_text(cls, prompt: str) -> str:
        return _with_fields(prompt, required="text", allowed={"text", "labels", "grades"})

    @field_validator("slot")
    @classmethod
    def _slot_has_label(cls, slot: str) -> str:
        return _with_fields(slot, required="label", allowed={"label"})

    @model_validator(mode="after")
    def _loss_fits_decoding(self) -> Self:
        if self.decoding == "generate" and self.loss not in (None, "bce"):
            raise ValueError('decoding = "generate" is trained on tokens: leave `loss` out')
        return self


def asked_for(labels: Sequence[str], grades: Sequence[float]) -> list[str]:
    """What has a slot: every label or class, or every grade of every target."""
    return [f"{label} {grade:g}" for label in labels for grade in grades] if grades else list(labels)


def _with_fields(template: str, required: str, allowed: set[str]) -> str:
    """The template, if its fields in braces are these; a brace of its own is written twice."""
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"{error}; write {{{{ and }}}} for braces of its own") from None
    unknown = [name for name in fields if name not in allowed]
    if unknown:
        raise ValueError(f"{{{unknown[0]}}} is unknown; known: {', '.join(sorted(allowed))}")
    if fields.count(required) != 1:
        raise ValueError(f"{{{required}}} has to be in it once")
    return template
