"""Training and loading a sequence classifier; imports torch, transformers and peft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from compete.base_models.classifier.head_dropouts import add_head_dropouts, mean_loss
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext
from compete.base_models.objectives import Objective
from compete.base_models.pretrained import frozen_layers
from compete.base_models.pretrained.adaptation import (
    add_adapters,
    check_depth,
    freeze_lowest,
    halve_base,
    load_trained,
    save_body,
    save_trained,
)
from compete.base_models.pretrained.attention import attend_in_both_directions
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.checkpoints import (
    Source,
    has_token_types,
    kept_source,
    open_classifier,
    open_classifiers_tokenizer,
    source_of,
)
from compete.base_models.pretrained.computing import predicting
from compete.base_models.pretrained.device import Precision, place, predicted_in
from compete.base_models.pretrained.fine_tuning import Task, fine_tune, predict
from compete.base_models.pretrained.pooling import pool_by_mean
from compete.base_models.pretrained.r_drop import r_drop
from compete.base_models.pretrained.text_rows import TYPES, text_rows
from compete.base_models.pseudo_labels import SoftRows
from compete.base_models.row_weights import row_weights
from compete.base_models.validation_split import strata_of, validation_split
from compete.competition.shape import Targets

WEIGHTS = "row_weights"


def train(
    settings: SequenceClassifierSettings, texts: Sequence[str], targets: Targets, context: FitContext
) -> FittedClassifier:
    """Fine-tune on most rows; the epoch with the lowest loss on the rest is kept."""
    source = source_of(settings, texts, context.seed)
    tokenizer = open_classifiers_tokenizer(source)
    objective = Objective.of(settings.loss, targets, context)
    with_types = has_token_types(source)
    rows = text_rows(tokenizer, texts, settings.max_length, with_types=with_types, prompt=settings.prompt)
    for row, learnt in zip(rows, objective.learnt(targets), strict=True):
        row["labels"] = learnt
    strata = strata_of(targets, context)
    fitted, validation = validation_split(texts, strata, settings.validation_share, context.seed)
    known = fitted
    _weigh(rows, fitted, row_weights([texts[row] for row in fitted], targets[fitted], settings.noisy_rows, context))
    if context.soft is not None:
        # They choose no epoch and weigh no class: nothing is known of them.
        fitted = np.concatenate([fitted, len(rows) + np.arange(len(context.soft.texts))])
        rows += _soft(context.soft, tokenizer, settings, objective, rows, with_types=with_types)
    loss = objective.loss(targets[known], settings.class_weights, settings.label_smoothing)

    def build() -> Any:
        # What frozen layers compute is computed where they will be.
        model = place(_build(source, tokenizer, objective.width))
        if settings.head_dropouts:
            add_head_dropouts(model, settings.head_dropouts, settings.head_dropout_rate, objective.width)
        count = settings.frozen_layers
        return frozen_layers.replaced(model, count, rows, collate, context, settings.precision) if count else model

    def loss_of(model: Any, batch: Batch) -> Tensor:
        learnt, weights = batch.pop("labels"), batch.pop(WEIGHTS, None)

        def compute() -> Tensor:
            return model(**batch).logits.float()  # type: ignore[no-any-return]

        def of(raw: Tensor) -> Tensor:
            if not settings.head_dropouts:
                return loss(raw, learnt, weights)
            return mean_loss(raw, objective.width, lambda sample: loss(sample, learnt, weights))

        if settings.r_drop and model.training:
            return r_drop(compute, of, objective.kind, settings.r_drop)
        return of(compute())

    collate = _Collator(tokenizer)
    task = Task(build, rows, collate, loss_of, settings.head_learning_rate)
    model = fine_tune(task, settings, fitted, validation, context)
    return FittedClassifier(source, tokenizer, model, objective, with_types, context)


def _soft(
    soft: SoftRows,
    tokenizer: PreTrainedTokenizerBase,
    settings: SequenceClassifierSettings,
    objective: Objective,
    labelled: Sequence[Row],
    *,
    with_types: bool,
) -> list[Row]:
    """Rows that teachers speak for; those with labels, which weigh a whole, are told so where they were not yet."""
    found = text_rows(tokenizer, soft.texts, settings.max_length, with_types=with_types, prompt=settings.prompt)
    for row in labelled:
        row.setdefault(WEIGHTS, np.ones(objective.width, dtype=np.float32))
    for row, learnt, weight in zip(found, objective.learnt(soft.targets), soft.weights, strict=True):
        row["labels"], row[WEIGHTS] = learnt, np.full(objective.width, weight, dtype=np.float32)
    return found


def _weigh(rows: Sequence[Row], fitted: NDArray[np.int64], weights: NDArray[np.float32] | None) -> None:
    """Put weights (len(fitted), n_outputs) beside the rows that are fitted; those that choose an epoch count whole,
    as those do that are scored in the end."""
    if weights is None:
        return
    for row in rows:
        row[WEIGHTS] = np.ones(weights.shape[1], dtype=np.float32)
    for number, own in zip(fitted, weights, strict=True):
        rows[number][WEIGHTS] = own


def load(settings: SequenceClassifierSettings, folder: Path, context: FitContext) -> FittedClassifier:
    """A classifier that was kept in `folder`."""
    torch.set_num_threads(context.threads)
    source = kept_source(settings, folder)
    tokenizer = open_classifiers_tokenizer(source)
    objective = Objective.read(settings.loss, folder, context)
    model = _build(source, tokenizer, objective.width)
    load_trained(model, folder)
    return FittedClassifier(source, tokenizer, place(model).eval(), objective, has_token_types(source), context)


@dataclass
class FittedClassifier:
    """A fine-tuned model with its tokenizer and the checkpoint it came from."""

    source: Source
    tokenizer: PreTrainedTokenizerBase
    model: Any
    objective: Objective
    with_types: bool
    """Whether it is told which segment of a pair a token is of."""
    context: FitContext

    @property
    def settings(self) -> SequenceClassifierSettings:
        assert isinstance(self.source.settings, SequenceClassifierSettings)
        return self.source.settings

    @property
    def precision(self) -> Precision:
        """Of its predictions."""
        return predicted_in(self.model, self.settings.precision)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Predictions (len(texts), n_outputs), computed in `precision` in batches of similar length."""
        objective = self.objective
        if not texts:
            return np.empty((0, objective.n_outputs), dtype=np.float32)
        settings = self.settings
        rows = text_rows(self.tokenizer, texts, settings.max_length, with_types=self.with_types, prompt=settings.prompt)
        collate = _Collator(self.tokenizer)
        frozen_layers.extend(self.model, rows, collate)
        device = next(self.model.parameters()).device
        of_labels = objective.kind == "labels"

        def compute(batch: Batch) -> Tensor:
            raw = self.model(**{name: value.to(device) for name, value in batch.items()}).logits.float()
            return torch.sigmoid(raw) if of_labels else raw

        with predicting(self.model, self.settings.precision):
            found = predict(rows, self.settings.eval_batch_size, collate, compute, objective.width)
        return found if of_labels else objective.predictions(found).astype(np.float32)

    def save_body(self, folder: Path) -> None:
        """A checkpoint of what was trained, without its head: adapters are merged into it; and the tokenizer."""
        save_body(self.source, frozen_layers.restored(self.model), self.tokenizer, folder)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Adapters, head or whole model, with the tokenizer, and the scale of numbers."""
        self.objective.save(folder)
        return save_trained(self.source, self.tokenizer, frozen_layers.restored(self.model), folder, whole=whole)


def _build(source: Source, tokenizer: PreTrainedTokenizerBase, width: int) -> Any:
    """The checkpoint with its new head; what is not to be trained is frozen."""
    settings = source.settings
    assert isinstance(settings, SequenceClassifierSettings)
    four_bits = settings.adaptation == "qlora"
    model: Any = open_classifier(source, int(tokenizer.pad_token_id), width, four_bits=four_bits)
    if settings.attention == "bidirectional":
        attend_in_both_directions(model, settings.checkpoint)
    if settings.pooling == "mean":
        pool_by_mean(model, settings.checkpoint)
    frozen = settings.frozen_layers
    if frozen:
        check_depth(model, frozen, settings, settings.adaptation)
        freeze_lowest(model, frozen)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.adaptation in ("lora", "qlora"):
        model = add_adapters(model, settings, task="SEQ_CLS", four_bits=four_bits, frozen=frozen)
        halve_base(model, settings)
        return model
    if settings.adaptation == "frozen":
        model.base_model.requires_grad_(False)
    return model


class _Collator:
    """Pads a batch to its longest text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: Sequence[Row]) -> Batch:
        columns = {"input_ids": [row["input_ids"] for row in rows]}
        if any(TYPES in row for row in rows):  # a text that is no pair is all first segment
            columns[TYPES] = [row.get(TYPES, [0] * len(row["input_ids"])) for row in rows]
        padded = self.tokenizer.pad(columns, return_tensors="pt")
        batch: Batch = {name: padded[name] for name in (*columns, "attention_mask")}
        if "labels" in rows[0]:
            batch["labels"] = torch.from_numpy(np.stack([row["labels"] for row in rows]))
        if WEIGHTS in rows[0]:
            batch[WEIGHTS] = torch.from_numpy(np.stack([row[WEIGHTS] for row in rows]))
        if frozen_layers.ROW in rows[0]:
            batch[frozen_layers.ROW] = frozen_layers.padded(rows, batch["attention_mask"])
        return batch
