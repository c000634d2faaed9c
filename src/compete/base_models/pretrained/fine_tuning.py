"""Fine-tuning with transformers' Trainer: any model, our losses, the best epoch, batches that fit into memory."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from compete import atomic
from compete.base_models.families import FitContext
from compete.base_models.pretrained.batching import LikeLengths, by_length, micro_batches
from compete.base_models.pretrained.settings import TransformerSettings
from compete.errors import CompeteError, UserError

Row = dict[str, Any]
Batch = dict[str, Any]
Collate = Callable[[Sequence[Row]], Batch]
_SCHEDULERS = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "plateau": "reduce_lr_on_plateau",
}


class OutOfMemoryError(CompeteError):
    """Not even one row at a time fits."""


@dataclass(frozen=True)
class Task:
    """What is to be fine-tuned."""

    build: Callable[[], Any]
    """Opens the model afresh, ready to train; called again when a smaller batch has to be tried."""
    rows: Sequence[Row]
    """Token ids, targets and "length" of every training row."""
    collate: Collate
    loss: Callable[[Any, Batch], Tensor]
    """Mean over a batch of the model's loss."""


class Batches(NamedTuple):
    """How many rows are computed together."""

    micro: int
    """Rows at once in training."""
    accumulated: int
    """How many of those make a step."""
    evaluated: int
    """Rows at once in evaluation."""


def fine_tune(
    task: Task,
    settings: TransformerSettings,
    fitted: NDArray[np.int64],
    validation: NDArray[np.int64],
    context: FitContext,
) -> Any:
    """Train on the rows `fitted`; the epoch with the lowest loss on the rows `validation` is kept.

    Out of memory, the rows that are computed at once are halved and more of them accumulated, so that an optimiser
    step still sees `batch_size` rows.
    """
    torch.set_num_threads(context.threads)
    micro = min(settings.micro_batch_size or settings.batch_size, settings.batch_size)
    evaluated = settings.eval_batch_size
    while True:
        micro, accumulated = micro_batches(settings.batch_size, micro)
        try:
            return _train(task, settings, Batches(micro, accumulated, evaluated), fitted, validation, context)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler, whose traceback would keep the tensors of the failed attempt alive.
        _free_memory()
        if micro == evaluated == 1:
            raise OutOfMemoryError(
                "out of memory with a single row at a time: `compete plan` says what this model needs"
            )
        # Training or the validation rows may have been too much: both are halved.
        what, rows = (f"{micro} rows at once", micro) if micro > 1 else (f"{evaluated} rows in evaluation", evaluated)
        context.warnings.append(f"out of memory with {what}: tried again with {rows // 2}")
        context.curves.clear()
        micro, evaluated = max(1, micro // 2), max(1, evaluated // 2)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU or the processor's allocator had no memory left."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def predict(
    rows: Sequence[Row], batch_size: int, collate: Collate, compute: Callable[[Batch], Tensor], width: int
) -> NDArray[np.float32]:
    """`compute` of every row, float32 (len(rows), width); a batch that is out of memory is halved."""
    values = np.empty((len(rows), width), dtype=np.float32)
    order, done, at_once = by_length([row["length"] for row in rows]), 0, batch_size
    with torch.inference_mode():
        while done < len(rows):
            chosen = order[done : done + at_once]
            try:
                values[chosen] = compute(collate([rows[row] for row in chosen])).float().cpu().numpy()
                done += len(chosen)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or len(chosen) == 1:
                    raise
            # Outside of the handler, as in `fine_tune`.
            _free_memory()
            at_once = len(chosen) // 2
    return values


def training_precision(precision: str) -> str:
    """ "float32", "bfloat16" or "float16"; raises UserError if the GPU cannot compute what was asked for."""
    if torch.cuda.is_available():
        native = bool(torch.cuda.is_bf16_supported(including_emulation=False))
        if precision == "bfloat16" and not native:
            raise UserError(
                f'precision = "bfloat16": {torch.cuda.get_device_name()} does not compute it; '
                'use "auto", which takes float16 on such a GPU, or "float32"'
            )
        return precision if precision != "auto" else "bfloat16" if native else "float16"
    if precision == "float16":
        raise UserError('precision = "float16" needs a GPU; use "auto"')
    if precision != "auto":
        return precision
    # Emulated in software, bfloat16 is slower than float32.
    return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"


def _train(
    task: Task,
    settings: TransformerSettings,
    batches: Batches,
    fitted: NDArray[np.int64],
    validation: NDArray[np.int64],
    context: FitContext,
) -> Any:
    torch.manual_seed(context.seed)
    model = task.build()
    order = LikeLengths([task.rows[row]["length"] for row in fitted], settings.batch_size, context.seed)
    best = _BestEpoch(context, settings.patience)
    with atomic.scratch_folder() as scratch:
        trainer = _Trainer(
            task.loss,
            order,
            model=model,
            args=_arguments(settings, batches, context.seed, str(scratch)),
            train_dataset=_Dataset([task.rows[row] for row in fitted]),
            eval_dataset=_Dataset([task.rows[row] for row in validation]),
            data_collator=task.collate,
            callbacks=[best],
        )
        trainer.train()
    # The Trainer leaves its mixed precision wrapped around the model; predictions are made in float32.
    model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    best.restore(model)
    return model.eval()


def _arguments(settings: TransformerSettings, batches: Batches, seed: int, scratch: str) -> TrainingArguments:
    precision = training_precision(settings.precision)
    return TrainingArguments(
        output_dir=scratch,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=batches.micro,
        gradient_accumulation_steps=batches.accumulated,
        per_device_eval_batch_size=batches.evaluated,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,  # a share of the steps, being less than 1
        lr_scheduler_type=_SCHEDULERS[settings.scheduler],
        max_grad_norm=settings.max_grad_norm,
        use_cpu=not torch.cuda.is_available(),
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        remove_unused_columns=False,  # or the Trainer drops what of our rows the model does not name
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",  # the best epoch is kept in memory
        metric_for_best_model="eval_loss",  # what the plateau scheduler goes by; the best epoch is _BestEpoch's affair
        report_to="none",
        disable_tqdm=True,
        seed=seed % 2**31,
        data_seed=seed % 2**31,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class _Dataset(torch.utils.data.Dataset[Row]):
    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Row:
        return self.rows[row]


class _Trainer(Trainer):
    """The Trainer with a loss of its own, in training and for the validation rows, and batches of like lengths."""

    def __init__(self, loss: Callable[[Any, Batch], Tensor], order: LikeLengths, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.loss = loss
        self.order = order
        self.model_accepts_loss_kwargs = False  # our loss is a mean, which accumulation has to divide

    def _get_train_sampler(self, train_dataset: Any = None) -> LikeLengths:
        return self.order

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        # A copy, since a loss may take the targets out of its batch.
        loss = self.loss(model, dict(inputs))
        return (loss, {}) if return_outputs else loss

    def prediction_step(
        self, model: Any, inputs: dict[str, Tensor | Any], *_: Any, **__: Any
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The loss alone: nothing else of the validation rows is looked at."""
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.loss(model, dict(self._prepare_inputs(inputs))).detach(), None, None


class _BestEpoch(TrainerCallback):
    """Keeps the trained weights of the epoch with the lowest validation loss, and the curves of all epochs."""

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
        validation_loss, epoch = float(metrics["eval_loss"]), round(state.epoch)
        losses = {"train_loss": self.train_loss, "validation_loss": validation_loss, "learning_rate": self.rate}
        self.context.curves.append({"epoch": epoch, **losses})
        if validation_loss < self.best_loss:
            self.best_loss, self.best_epoch = validation_loss, epoch
            trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
            self.weights = {name: copy.deepcopy(weight.detach()) for name, weight in trained.items()}
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            control.should_training_stop = True

    def restore(self, model: Any) -> None:
        """Put the best epoch's weights back; without any finite validation loss the last ones stay."""
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in self.weights:
                    weight.copy_(self.weights[name])
