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

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext
from compete.base_models.losses import make_loss, positive_weights
from compete.base_models.pretrained import frozen_layers
from compete.base_models.pretrained.adaptation import (
    add_adapters,
    check_depth,
    freeze_lowest,
    load_trained,
    save_trained,
)
from compete.base_models.pretrained.attention import attend_in_both_directions
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.checkpoints import (
    Source,
    kept_source,
    open_classifier,
    open_classifiers_tokenizer,
    source_of,
)
from compete.base_models.pretrained.device import Precision, place, predicted_in
from compete.base_models.pretrained.fine_tuning import Task, fine_tune, predict
from compete.base_models.pretrained.pooling import pool_by_mean
from compete.base_models.validation_split import validation_split


def train(
    settings: SequenceClassifierSettings, texts: Sequence[str], labels: NDArray[np.int8], context: FitContext
) -> FittedClassifier:
    """Fine-tune on most rows; the epoch with the lowest loss on the rest is kept."""
    source = source_of(settings, texts, context.seed)
    tokenizer = open_classifiers_tokenizer(source)
    rows = _rows(tokenizer, texts, settings.max_length)
    for row, target in zip(rows, labels.astype(np.float32), strict=True):
        row["labels"] = target
    fitted, validation = validation_split(texts, labels, settings.validation_share, context.seed)
    loss = make_loss(settings.loss, positive_weights(labels[fitted], settings.class_weights))

    def build() -> Any:
        # What frozen layers compute is computed where they will be.
        model = place(_build(source, tokenizer, labels.shape[1]))
        count = settings.frozen_layers
        return frozen_layers.replaced(model, count, rows, collate, context) if count else model

    def loss_of(model: Any, batch: Batch) -> Tensor:
        targets = batch.pop("labels")
        return loss(model(**batch).logits.float(), targets)

    collate = _Collator(tokenizer)
    model = fine_tune(Task(build, rows, collate, loss_of), settings, fitted, validation, context)
    return FittedClassifier(source, tokenizer, model, labels.shape[1], context)


def load(settings: SequenceClassifierSettings, folder: Path, context: FitContext) -> FittedClassifier:
    """A classifier that was kept in `folder`."""
    torch.set_num_threads(context.threads)
    source = kept_source(settings, folder)
    tokenizer = open_classifiers_tokenizer(source)
    model = _build(source, tokenizer, len(context.labels))
    load_trained(model, folder)
    return FittedClassifier(source, tokenizer, place(model).eval(), len(context.labels), context)


@dataclass
class FittedClassifier:
    """A fine-tuned model with its tokenizer and the checkpoint it came from."""

    source: Source
    tokenizer: PreTrainedTokenizerBase
    model: Any
    n_labels: int
    context: FitContext

    @property
    def settings(self) -> SequenceClassifierSettings:
        assert isinstance(self.source.settings, SequenceClassifierSettings)
        return self.source.settings

    @property
    def precision(self) -> Precision:
        """Of its predictions."""
        return predicted_in(self.model)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities (len(texts), n_labels), computed in float32 in batches of similar length."""
        if not texts:
            return np.empty((0, self.n_labels), dtype=np.float32)
        rows = _rows(self.tokenizer, texts, self.settings.max_length)
        collate = _Collator(self.tokenizer)
        frozen_layers.extend(self.model, rows, collate)
        device = next(self.model.parameters()).device

        def compute(batch: Batch) -> Tensor:
            return torch.sigmoid(self.model(**{name: value.to(device) for name, value in batch.items()}).logits.float())

        return predict(rows, self.settings.eval_batch_size, collate, compute, self.n_labels)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Adapters, head or whole model, with the tokenizer."""
        return save_trained(self.source, self.tokenizer, frozen_layers.restored(self.model), folder, whole=whole)


def _build(source: Source, tokenizer: PreTrainedTokenizerBase, n_labels: int) -> Any:
    """The checkpoint with its new head; what is not to be trained is frozen."""
    settings = source.settings
    assert isinstance(settings, SequenceClassifierSettings)
    four_bits = settings.adaptation == "qlora"
    model: Any = open_classifier(source, int(tokenizer.pad_token_id), n_labels, four_bits=four_bits)
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
        return add_adapters(model, settings, task="SEQ_CLS", four_bits=four_bits, frozen=frozen)
    if settings.adaptation == "frozen":
        model.base_model.requires_grad_(False)
    return model


def _rows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[Row]:
    """Token ids of every text, cut at `max_length`, never empty."""
    limit = min(max_length, tokenizer.model_max_length)
    # An empty text of a tokenizer without special tokens has no token at all: a blank stands in for it.
    # A text that spells a special token is text: a post must not be able to end its own input.
    encoded = tokenizer([text or " " for text in texts], truncation=True, max_length=limit, split_special_tokens=True)[
        "input_ids"
    ]
    return [{"input_ids": ids or [tokenizer.pad_token_id], "length": max(len(ids), 1)} for ids in encoded]


class _Collator:
    """Pads a batch to its longest text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: Sequence[Row]) -> Batch:
        padded = self.tokenizer.pad({"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt")
        batch: Batch = {"input_ids": padded["input_ids"], "attention_mask": padded["attention_mask"]}
        if "labels" in rows[0]:
            batch["labels"] = torch.from_numpy(np.stack([row["labels"] for row in rows]))
        if frozen_layers.ROW in rows[0]:
            batch[frozen_layers.ROW] = frozen_layers.padded(rows, batch["attention_mask"])
        return batch
