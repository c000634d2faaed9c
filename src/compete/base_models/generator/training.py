"""Training and loading a label generator; imports torch, transformers and peft."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compete.base_models.families import FitContext
from compete.base_models.generator.answer_head import keep_answers
from compete.base_models.generator.free_generation import FreeAnswers, FreeGenerator
from compete.base_models.generator.label_slots import LabelSlots, SlotScorer, answer_tokens
from compete.base_models.generator.prompts import Prompt
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.objectives import Objective, output_weights
from compete.base_models.pretrained.adaptation import add_adapters, halve_base, load_trained
from compete.base_models.pretrained.batching import Batch
from compete.base_models.pretrained.checkpoints import Source, kept_source, open_generator, open_tokenizer, source_of
from compete.base_models.pretrained.device import place
from compete.base_models.pretrained.fine_tuning import Task, fine_tune
from compete.base_models.pretrained.r_drop import r_drop
from compete.base_models.validation_split import strata_of, validation_split
from compete.competition.shape import Targets


def train(
    settings: LabelGeneratorSettings, texts: Sequence[str], targets: Targets, context: FitContext
) -> SlotScorer | FreeGenerator:
    """Fine-tune on most rows; the epoch with the lowest loss on the rest is kept."""
    source = source_of(settings, texts, context.seed, words=context.labels)
    tokenizer = open_tokenizer(source, padding_side="left")
    prompt = Prompt(tokenizer, settings, context.labels, context.grades)
    strata = strata_of(targets, context)
    fitted, validation = validation_split(texts, strata, settings.validation_share, context.seed)

    def build() -> Any:
        return place(_build(source, prompt))

    if settings.decoding == "generate":
        answers = FreeAnswers(prompt, context.kind)
        rows = answers.rows(texts, targets, output_weights(context.kind, targets[fitted], settings.class_weights))
        model = fine_tune(Task(build, rows, answers.collate, answers.loss), settings, fitted, validation, context)
        return FreeGenerator(source, model, answers)
    slots, objective = LabelSlots(prompt), Objective.of(settings.loss, targets, context)
    loss = objective.loss(targets[fitted], settings.class_weights, settings.label_smoothing)

    def loss_of(model: Any, batch: Batch) -> Tensor:
        def compute() -> Tensor:
            return slots.logits(model, batch)

        def of(raw: Tensor) -> Tensor:
            return loss(raw, batch["labels"])

        if settings.r_drop and model.training:
            return r_drop(compute, of, objective.kind, settings.r_drop)
        return of(compute())

    rows = slots.rows(texts, objective.learnt(targets))
    model = fine_tune(Task(build, rows, slots.collate, loss_of), settings, fitted, validation, context)
    return SlotScorer(source, model, slots, objective)


def load(settings: LabelGeneratorSettings, folder: Path, context: FitContext) -> SlotScorer | FreeGenerator:
    """A generator that was kept in `folder`."""
    torch.set_num_threads(context.threads)
    source = kept_source(settings, folder)
    prompt = Prompt(open_tokenizer(source, padding_side="left"), settings, context.labels, context.grades)
    model = _build(source, prompt)
    load_trained(model, folder)
    model = place(model)
    if settings.decoding == "generate":
        return FreeGenerator(source, model.eval(), FreeAnswers(prompt, context.kind))
    return SlotScorer(source, model.eval(), LabelSlots(prompt), Objective.read(settings.loss, folder, context))


def _build(source: Source, prompt: Prompt) -> Any:
    """The checkpoint as a language model, ready to be trained whole or with adapters.

    Where slots are scored, it gives the logits of the two answers alone.
    """
    settings = prompt.settings
    four_bits = settings.adaptation == "qlora"
    model: Any = open_generator(source, int(prompt.tokenizer.pad_token_id), four_bits=four_bits)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.adaptation != "full":
        model = add_adapters(model, settings, task="CAUSAL_LM", four_bits=four_bits)
        halve_base(model, settings)
    if settings.decoding == "slots":
        keep_answers(model, answer_tokens(prompt))
    return model
