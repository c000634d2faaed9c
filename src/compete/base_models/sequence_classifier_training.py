"""Training a sequence classifier with transformers' Trainer; imports torch, transformers and peft."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from compete.base_models.checkpoints import HEADS, located, open_classifier, open_tokenizer
from compete.base_models.families import FitContext
from compete.base_models.inner_split import inner_split
from compete.base_models.losses import Loss, make_loss, positive_weights
from compete.base_models.sequence_classifier import SequenceClassifierSettings

Row = dict[str, Any]
_SCHEDULERS = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "plateau": "reduce_lr_on_plateau",
}


def train(
    settings: SequenceClassifierSettings, texts: Sequence[str], labels: NDArray[np.int8], context: FitContext
) -> FittedClassifier:
    """Fine-tune on most rows; the epoch with the lowest loss on the rest is kept."""
    torch.set_num_threads(context.threads)
    torch.manual_seed(context.seed)
    with tempfile.TemporaryDirectory(prefix="compete-") as scratch:
        with located(settings.checkpoint, texts, Path(scratch), context.seed) as location:
            tokenizer = open_tokenizer(location, settings.revision)
            model = open_classifier(
                location,
                settings.revision,
                tokenizer.pad_token_id,
                labels.shape[1],
                four_bits=settings.adaptation == "qlora",
            )
        model = _adapt(model, settings)
        if settings.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        fitted, inner = inner_split(texts, labels, settings.inner_share, context.seed)
        rows = _rows(tokenizer, texts, labels, settings.max_length)
        loss = make_loss(settings.loss, positive_weights(labels[fitted], settings.class_weights))
        best = _BestEpoch(context, settings.patience)
        trainer = _ClassifierTrainer(
            loss,
            model=model,
            args=_arguments(settings, context.seed, Path(scratch)),
            train_dataset=_Dataset([rows[row] for row in fitted]),
            eval_dataset=_Dataset([rows[row] for row in inner]),
            data_collator=_Collator(tokenizer),
            callbacks=[best],
        )
        trainer.train()
        # The Trainer leaves its mixed precision wrapped around the model; predictions are made in float32.
        model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    best.restore(model)
    return FittedClassifier(model, tokenizer, settings.max_length, settings.eval_batch_size, labels.shape[1])


class FittedClassifier:
    """A fine-tuned model with its tokenizer."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        batch_size: int,
        n_labels: int,
    ) -> None:
        self.model = model.eval()
        self.collate = _Collator(tokenizer)
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.batch_size = batch_size
        self.n_labels = n_labels

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities (len(texts), n_labels), computed in float32 in batches of similar length."""
        rows = _rows(self.tokenizer, texts, None, self.max_length)
        by_length = np.argsort([len(row["input_ids"]) for row in rows], kind="stable")
        probabilities = np.empty((len(texts), self.n_labels), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(rows), self.batch_size):
                chosen = by_length[start : start + self.batch_size]
                batch = self.collate([rows[row] for row in chosen])
                batch = {name: values.to(self.model.device) for name, values in batch.items()}
                logits = self.model(**batch).logits.float()
                probabilities[chosen] = torch.sigmoid(logits).cpu().numpy()
        return probabilities


def _adapt(model: PreTrainedModel, settings: SequenceClassifierSettings) -> Any:
    """Decide which weights are trained: all, those above the frozen layers, adapters and head, or the head."""
    if settings.adaptation in ("lora", "qlora"):
        from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training

        if settings.adaptation == "qlora":
            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=settings.gradient_checkpointing)
        targets = settings.lora.targets
        adapters = LoraConfig(
            task_type=TaskType.SEQ_CLS,  # keeps the head trainable and saves it with the adapters
            r=settings.lora.r,
            lora_alpha=settings.lora.alpha,
            lora_dropout=settings.lora.dropout,
            target_modules=targets if isinstance(targets, str) else list(targets),
            exclude_modules=rf".*\b({'|'.join(HEADS)})\b.*",  # trained as a whole, without adapters
            bias=settings.lora.bias,
        )
        return get_peft_model(model, adapters)
    base = getattr(model, model.base_model_prefix)
    if settings.adaptation == "frozen":
        base.requires_grad_(False)
    elif settings.frozen_layers:
        _freeze_lowest(base, settings.frozen_layers)
    return model


def _freeze_lowest(base: Any, count: int) -> None:
    """Freeze the embeddings and the `count` lowest layers of an encoder or decoder."""
    embeddings = base.get_input_embeddings() if not hasattr(base, "embeddings") else base.embeddings
    embeddings.requires_grad_(False)
    stack = next(
        module for module in base.modules() if isinstance(module, torch.nn.ModuleList) and len(module) >= count
    )
    for layer in stack[:count]:
        layer.requires_grad_(False)


def _arguments(settings: SequenceClassifierSettings, seed: int, scratch: Path) -> TrainingArguments:
    micro = settings.micro_batch_size or settings.batch_size
    return TrainingArguments(
        output_dir=str(scratch / "trainer"),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=min(micro, settings.batch_size),
        gradient_accumulation_steps=max(1, settings.batch_size // micro),
        per_device_eval_batch_size=settings.eval_batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,  # a share of the steps, being less than 1
        lr_scheduler_type=_SCHEDULERS[settings.scheduler],
        max_grad_norm=settings.max_grad_norm,
        use_cpu=not torch.cuda.is_available(),
        bf16=_trains_in_bfloat16(settings.precision),
        train_sampling_strategy="group_by_length",  # a batch of like lengths wastes little on padding
        length_column_name="length",
        remove_unused_columns=False,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",  # the best epoch is kept in memory
        metric_for_best_model="eval_loss",
        report_to="none",
        disable_tqdm=True,
        seed=seed % 2**31,
        data_seed=seed % 2**31,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _trains_in_bfloat16(precision: str) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Emulated in software, bfloat16 is slower than float32.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _rows(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], labels: NDArray[np.int8] | None, max_length: int
) -> list[Row]:
    """Token ids of every text, cut at `max_length`, never empty; with labels where they are known."""
    limit = min(max_length, tokenizer.model_max_length)
    # An empty text of a tokenizer without special tokens has no token at all: a blank stands in for it.
    encoded = tokenizer([text or " " for text in texts], truncation=True, max_length=limit)["input_ids"]
    rows: list[Row] = [{"input_ids": ids or [tokenizer.pad_token_id], "length": len(ids)} for ids in encoded]
    if labels is not None:
        for row, target in zip(rows, labels.astype(np.float32), strict=True):
            row["labels"] = target
    return rows


class _Dataset(torch.utils.data.Dataset[Row]):
    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Row:
        return self.rows[row]


class _Collator:
    """Pads a batch to its longest text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        padded = self.tokenizer.pad({"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt")
        batch = {"input_ids": padded["input_ids"], "attention_mask": padded["attention_mask"]}
        if "labels" in rows[0]:
            batch["labels"] = torch.from_numpy(np.stack([row["labels"] for row in rows]))
        return batch


class _ClassifierTrainer(Trainer):
    """The Trainer with one of compete's losses."""

    def __init__(self, loss: Loss, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.loss = loss
        self.model_accepts_loss_kwargs = False  # our loss is a mean, which accumulation has to divide

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        inputs = dict(inputs)
        targets = inputs.pop("labels")
        outputs = model(**inputs)
        loss = self.loss(outputs.logits.float(), targets)
        return (loss, outputs) if return_outputs else loss


class _BestEpoch(TrainerCallback):
    """Keeps the trained weights of the epoch with the lowest inner loss, and the curves of all epochs."""

    def __init__(self, context: FitContext, patience: int | None) -> None:
        self.context = context
        self.patience = patience
        self.best_loss = float("inf")
        self.best_epoch = 0
        self.weights: dict[str, Tensor] = {}
        self.train_loss = float("nan")
        self.rate = float("nan")

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.max_steps and state.global_step % 10 == 0:
            self.context.progress(state.global_step / state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" in logs:
            self.train_loss, self.rate = float(logs["loss"]), float(logs.get("learning_rate", "nan"))

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: TrainerControl,
        metrics: Any = None,
        model: Any = None,
        **_: Any,
    ) -> None:
        inner_loss, epoch = float(metrics["eval_loss"]), round(state.epoch)
        losses = {"train_loss": self.train_loss, "inner_loss": inner_loss, "learning_rate": self.rate}
        self.context.curves.append({"epoch": epoch, **losses})
        if inner_loss < self.best_loss:
            self.best_loss, self.best_epoch = inner_loss, epoch
            trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
            self.weights = {name: copy.deepcopy(weight.detach()) for name, weight in trained.items()}
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            control.should_training_stop = True

    def restore(self, model: Any) -> None:
        """Put the best epoch's weights back; without any finite inner loss the last ones stay."""
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in self.weights:
                    weight.copy_(self.weights[name])
