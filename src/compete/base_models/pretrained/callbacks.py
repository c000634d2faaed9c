"""What watches a training: how it goes, which epoch was best, and what an interrupted training goes on from."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from compete.base_models.families import FitContext
from compete.base_models.pretrained.batching import LikeLengths
from compete.base_models.pretrained.resuming import Kept, put_back_weights, write_state
from compete.base_models.pretrained.weight_average import WeightAverage

# Often enough for who looks on, and rarely enough that a GPU hardly has to wait: a loss is read off it each time.
_TOLD_STEPS, _TOLD_SECONDS = 10, 5.0


class Course(TrainerCallback):
    """Tells how far a training is, its loss lately, and how many rows it takes in a second."""

    def __init__(self, context: FitContext, rows: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.context = context
        self.rows = rows
        """Of an optimiser step."""
        self.clock = clock
        self.log: Callable[[dict[str, float]], None] | None = None
        """Tells trackers; the Trainer's own logs are one an epoch, which is where the curves come from."""
        self._begin()

    def _begin(self) -> None:
        self.since, self.steps, self.losses = self.clock(), 0, list[Tensor]()

    def see(self, loss: Tensor) -> None:
        """The loss of some rows of a step."""
        self.losses.append(loss.detach())

    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._begin()  # the validation rows took their time, too

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, optimizer: Any = None, **_: Any
    ) -> None:
        self.steps += 1
        seconds = self.clock() - self.since
        if state.max_steps and (state.global_step % _TOLD_STEPS == 0 or seconds >= _TOLD_SECONDS):
            loss, pace = float(torch.stack(self.losses).mean()), self.steps * self.rows / max(seconds, 1e-9)
            self.context.progress(state.global_step / state.max_steps, f"loss {loss:.3f}, {_rows(pace)} rows/s")
            if self.log is not None:
                rate = float(optimizer.param_groups[0]["lr"])
                self.log({"recent_loss": loss, "learning_rate": rate, "rows_per_second": pace})
            self._begin()


def _rows(pace: float) -> str:
    return f"{pace:.2g}" if pace < 10 else f"{pace:,.0f}"


class BestEpoch(TrainerCallback):
    """Keeps the trained weights of the epoch with the lowest validation loss, and the curves of all epochs."""

    def __init__(self, context: FitContext, patience: int | None) -> None:
        self.context = context
        self.patience = patience
        self.best_loss = float("inf")
        self.best_epoch = 0
        self.weights: dict[str, Tensor] = {}
        self.train_loss = float("nan")
        self.rate = float("nan")

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


class GoingOn(TrainerCallback):
    """Says when a state is to be written, and what of it is not the Trainer's."""

    def __init__(
        self,
        context: FitContext,
        order: LikeLengths,
        best: BestEpoch,
        batches: Sequence[int],
        kept: Kept | None,
        average: WeightAverage | None,
    ) -> None:
        self.context = context
        self.order = order
        self.best = best
        self.batches = batches
        self.kept = kept
        self.average = average

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        every, ends_epoch = self.context.state_every, float(state.epoch or 0).is_integer()
        # At the end of an epoch it is written once the validation rows have been looked at.
        if self.context.state is not None and every and state.global_step % every == 0 and not ends_epoch:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        control.should_save = self.context.state is not None and state.global_step < state.max_steps

    def write(self, trainer: Trainer) -> None:
        if self.context.state is None or trainer.control.should_training_stop:
            return
        best = self.best
        more = {
            "batches": list(self.batches),
            "order": self.order.began,
            "best": [best.best_loss, best.best_epoch, best.train_loss, best.rate],
            "curves": self.context.curves,
            "warnings": self.context.warnings,
        }
        if float(trainer.state.epoch or 0).is_integer():  # the next epoch begins with what is there now
            more["order"] = dict(self.order.random.bit_generator.state)
        average = {} if self.average is None else self.average.weights
        write_state(self.context.state, trainer, more, {"best": best.weights, "average": average})

    def put_back(self, model: Any) -> None:
        assert self.kept is not None
        plain = self.kept.plain
        put_back_weights(self.kept, model)
        self.order.random.bit_generator.state = plain["order"]
        best = self.best
        best.best_loss, best.best_epoch, best.train_loss, best.rate = plain["best"]
        device = next(model.parameters()).device
        best.weights = {name: weight.to(device) for name, weight in self.kept.part("best").items()}
        if self.average is not None:
            self.average.put_back(self.kept.part("average"))
        self.context.curves[:] = plain["curves"]
        self.context.warnings[:] = plain["warnings"]
