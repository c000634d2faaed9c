"""Fine-tuning with transformers' Trainer: any model, our losses, the best epoch, batches that fit into memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import TrainingArguments

from compete import atomic
from compete.base_models.families import FitContext
from compete.base_models.memory import is_out_of_memory, release
from compete.base_models.pretrained.batching import Batch, Collate, LikeLengths, Row, by_length, micro_batches
from compete.base_models.pretrained.callbacks import BestEpoch, Course, GoingOn
from compete.base_models.pretrained.computing import computing_in, in_float32, products_in_tf32
from compete.base_models.pretrained.costs import weight_copies
from compete.base_models.pretrained.device import Precision, device, trained_in
from compete.base_models.pretrained.methods import Methods
from compete.base_models.pretrained.resuming import Kept, read_state
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.pretrained.tracking import forgive, reporting, told
from compete.base_models.pretrained.trainer import OwnTrainer, Rows
from compete.errors import CompeteError

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
    """Opens the model afresh, on its device and ready to train; called again where training ran out of memory."""
    rows: Sequence[Row]
    """Token ids, targets and "length" of every training row."""
    collate: Collate
    loss: Callable[[Any, Batch], Tensor]
    """Mean over a batch of the model's loss."""
    head_rate: float | None = None
    """Learning rate of the head alone, where it has one of its own."""


class Batches(NamedTuple):
    """How many rows are computed together."""

    micro: int
    """Rows at once in training."""
    accumulated: int
    """How many of those make a step."""
    evaluated: int
    """Rows at once in evaluation."""

    @property
    def together(self) -> int:
        """Rows of an optimiser step."""
        return self.micro * self.accumulated

    def halved(self, context: FitContext) -> Batches:
        """Half as many rows at once, in training and evaluation: either may have been too much.

        Raises OutOfMemoryError where there is one row already.
        """
        if self.micro == self.evaluated == 1:
            raise OutOfMemoryError(
                "out of memory with a single row at a time: `compete plan` says what this model needs"
            )
        what, rows = (
            (f"{self.micro} rows at once", self.micro)
            if self.micro > 1
            else (f"{self.evaluated} rows in evaluation", self.evaluated)
        )
        context.warnings.append(f"out of memory with {what}: tried again with {rows // 2}")
        return Batches(*micro_batches(self.together, max(1, self.micro // 2)), max(1, self.evaluated // 2))


def fine_tune(
    task: Task,
    settings: TransformerSettings,
    fitted: NDArray[np.int64],
    validation: NDArray[np.int64],
    context: FitContext,
) -> Any:
    """Train on the rows `fitted`; the epoch with the lowest loss on the rows `validation` is kept.

    Out of memory, the rows that are computed at once are halved and more of them accumulated, so that an optimiser
    step still sees `batch_size` rows. On a GPU that is found out before the first step, with the longest rows, so that
    the model need not be opened again; a processor that lacks memory mostly ends the process.
    """
    torch.set_num_threads(context.threads)
    first = min(settings.micro_batch_size or settings.batch_size, settings.batch_size)
    batches = Batches(*micro_batches(settings.batch_size, first), settings.eval_batch_size)
    on_gpu = device().type == "cuda"
    kept = None if context.state is None else read_state(context.state)
    while True:
        torch.manual_seed(context.seed)
        model = _opened(task)
        precision = trained_in(model, settings.precision)
        context.facts["precision"] = precision
        if kept is not None:
            batches = Batches(*kept.plain["batches"])
        elif on_gpu:
            longest = Longest.of(task.rows, fitted, validation)
            batches = batches_that_fit(task, model, longest, batches, precision, context, weight_copies(settings))
        try:
            return _train(task, model, settings, batches, precision, fitted, validation, context, kept)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler, whose traceback would keep the tensors of the failed attempt alive.
        del model
        kept = None  # other rows at once add up to other sums
        release()
        batches = batches.halved(context)
        context.curves.clear()


def _opened(task: Task) -> Any:
    try:
        return task.build()
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):  # fewer rows at once would not help
            raise OutOfMemoryError(
                f"out of memory for the weights alone ({error}): `compete plan` says what this model needs"
            ) from error
        raise


class Longest(NamedTuple):
    """Rows from the longest to the shortest, which take the most memory."""

    fitted: list[Row]
    validation: list[Row]

    @classmethod
    def of(cls, rows: Sequence[Row], fitted: NDArray[np.int64], validation: NDArray[np.int64]) -> Longest:
        def ordered(numbers: NDArray[np.int64]) -> list[Row]:
            lengths = [rows[number]["length"] for number in numbers]
            return [rows[number] for number in numbers[by_length(lengths)[::-1]]]

        return cls(ordered(fitted), ordered(validation))


def batches_that_fit(
    task: Task,
    model: Any,
    longest: Longest,
    batches: Batches,
    precision: Precision,
    context: FitContext,
    copies: int = 0,
) -> Batches:
    """The most rows at once, not above `batches`, with which a step of the longest of them has room.

    copies: of the trained weights, which optional methods hold. The model is left as it was. Raises OutOfMemoryError if
    a single row has none.
    """
    while True:
        try:
            _try_step(task, model, longest, batches, precision, copies)
            return batches
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        finally:
            model.zero_grad(set_to_none=True)
        release()
        batches = batches.halved(context)


def _try_step(task: Task, model: Any, longest: Longest, batches: Batches, precision: Precision, copies: int) -> None:
    """What a step and an evaluation hold at once: gradients, the optimiser's two moments, the best epoch's weights."""
    where = next(model.parameters()).device
    on_gpus = [where] if where.type == "cuda" else []

    def collated(rows: Sequence[Row]) -> Batch:
        return {name: value.to(where) for name, value in task.collate(rows).items()}

    with torch.random.fork_rng(devices=on_gpus):
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        beside = [torch.empty_like(weight) for weight in trained for _ in range(3 + copies)]
        model.train()
        with computing_in(precision, where):
            loss = task.loss(model, collated(longest.fitted[: batches.micro]))
        torch.autograd.backward(loss)
        model.eval()
        with torch.no_grad(), computing_in(precision, where):
            task.loss(model, collated(longest.validation[: batches.evaluated]))
        del beside


def predict(
    rows: Sequence[Row], batch_size: int, collate: Collate, compute: Callable[[Batch], Tensor], width: int
) -> NDArray[np.float32]:
    """`compute` of every row, float32 (len(rows), width); a batch that is out of memory is halved.

    One that leaves the range of float16 is computed again in float32.
    """
    values = np.empty((len(rows), width), dtype=np.float32)
    order, done, at_once = by_length([row["length"] for row in rows]), 0, batch_size
    with torch.inference_mode():
        while done < len(rows):
            chosen = order[done : done + at_once]
            try:
                values[chosen] = _in_range(compute, collate([rows[row] for row in chosen])).numpy()
                done += len(chosen)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or len(chosen) == 1:
                    raise
            # Outside of the handler, as in `fine_tune`.
            release()
            at_once = len(chosen) // 2
    return values


def _in_range(compute: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    found = compute(batch).float().cpu()
    mixed = [kind for kind in ("cuda", "cpu") if torch.is_autocast_enabled(kind)]
    halved = any(torch.get_autocast_dtype(kind) is torch.float16 for kind in mixed)
    if halved and not torch.isfinite(found).all():
        with in_float32():
            found = compute(batch).float().cpu()
    return found


def _train(
    task: Task,
    model: Any,
    settings: TransformerSettings,
    batches: Batches,
    precision: Precision,
    fitted: NDArray[np.int64],
    validation: NDArray[np.int64],
    context: FitContext,
    kept: Kept | None,
) -> Any:
    order = LikeLengths([task.rows[row]["length"] for row in fitted], settings.batch_size, context.seed)
    course = Course(context, batches.together)
    best = BestEpoch(context, settings.patience)
    methods = Methods.of(model, settings, task.head_rate)
    going_on = GoingOn(context, order, best, batches, kept, methods.average)
    with atomic.scratch_folder() as scratch, told(context.tracked, anew=kept is None):
        trainer = OwnTrainer(
            task.loss,
            order,
            course,
            going_on,
            methods,
            model=model,
            args=_arguments(settings, batches, precision, context, str(scratch)),
            train_dataset=Rows([task.rows[row] for row in fitted]),
            eval_dataset=Rows([task.rows[row] for row in validation]),
            data_collator=task.collate,
            callbacks=[course, *methods.callbacks, best, going_on],
        )
        if context.tracked is not None:
            course.log = trainer.log
            forgive(trainer, context.warnings)
        with products_in_tf32() if precision == "tf32" else contextlib.nullcontext():
            trainer.train(resume_from_checkpoint=None if kept is None else str(kept.folder))
    # The Trainer leaves its mixed precision wrapped around the model; what predictions are made in is their affair.
    model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    best.restore(model)
    return model.eval()


class _OneDevice(TrainingArguments):
    """The Trainer lays copies of a model over all GPUs that it sees (DataParallel), each with a batch of its own."""

    @property
    def n_gpu(self) -> int:
        return min(1, int(super().n_gpu))


def _arguments(
    settings: TransformerSettings, batches: Batches, precision: Precision, context: FitContext, scratch: str
) -> TrainingArguments:
    return _OneDevice(
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
        save_strategy="no",  # the best epoch is kept in memory; when a state is written, GoingOn says
        metric_for_best_model="eval_loss",  # what the plateau scheduler goes by; the best epoch is BestEpoch's affair
        **reporting(context.tracked),
        disable_tqdm=True,
        seed=context.seed % 2**31,
        data_seed=context.seed % 2**31,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
