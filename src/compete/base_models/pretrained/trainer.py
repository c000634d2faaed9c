"""transformers' Trainer with the loss, the batches and the states of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from compete.base_models.pretrained.batching import Batch, LikeLengths, Row
from compete.base_models.pretrained.callbacks import Course, GoingOn
from compete.base_models.pretrained.methods import Methods
from compete.base_models.pretrained.resuming import put_back_optimizer, put_back_random
from compete.errors import CompeteError

# In float16 a single batch may overflow, which the scaling of the loss gets over.
_NOT_FINITE = 3


class DivergedError(CompeteError):
    """The loss has become infinite, or no number."""


class Rows(torch.utils.data.Dataset[Row]):
    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Row:
        return self.rows[row]


class OwnTrainer(Trainer):
    """The Trainer with a loss of its own, in training and for the validation rows, and batches of like lengths."""

    def __init__(
        self,
        loss: Callable[[Any, Batch], Tensor],
        order: LikeLengths,
        course: Course,
        going_on: GoingOn,
        methods: Methods,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.loss = loss
        self.order = order
        self.course = course
        self.going_on = going_on
        self.methods = methods
        self.not_finite = 0
        self.perturbed = False
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
        self._check_finite(loss)
        if not self.perturbed:
            self.course.see(loss)
        return (loss, {}) if return_outputs else loss

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Forward and back, and once more on what an attack perturbs; the loss is that of the first."""
        attack = self.methods.attack_at(self.state.epoch)
        if attack is None:
            return super().training_step(model, inputs, num_items_in_batch)
        with attack.watching(self.model):
            loss = super().training_step(model, inputs, num_items_in_batch)
        self.perturbed = True
        with attack.perturbing(self.model):
            super().training_step(model, inputs, num_items_in_batch)
        self.perturbed = False
        return loss

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        rates = self.methods.rates
        if rates is not None and self.optimizer is None:
            own: Any = self.model
            kind, more = self.get_optimizer_cls_and_kwargs(self.args, own)
            groups = rates.groups(own, self.get_decay_parameter_names(own), self.args.weight_decay)
            self.optimizer = kind(groups, **more)
        return super().create_optimizer(model)

    def evaluate(self, *inputs: Any, **named: Any) -> dict[str, float]:
        """The validation loss of the model as it would be kept; callbacks look at that one, too."""
        with self.methods.evaluated(self.model):
            return super().evaluate(*inputs, **named)

    # The Trainer's own checkpoints are pickles; these are the places where it writes and reads them.

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.going_on.write(self)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.going_on.put_back(self.model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self.going_on.kept is not None:
            put_back_optimizer(self.going_on.kept, self)

    def _load_scaler(self, checkpoint: str | None) -> None:
        """With the optimiser."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if self.going_on.kept is not None:
            put_back_random(self.going_on.kept, self)

    def _check_finite(self, loss: Tensor) -> None:
        self.not_finite = 0 if torch.isfinite(loss) else self.not_finite + 1
        if self.not_finite == _NOT_FINITE:
            step, args = self.state.global_step + 1, self.args
            precision = "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"
            more = "" if precision == "float32" else ', or precision = "float32"'
            raise DivergedError(
                f"the loss is no number any more at step {step} (computed in {precision}): a lower learning_rate{more} "
                "may help"
            )

    def prediction_step(
        self, model: Any, inputs: dict[str, Tensor | Any], *_: Any, **__: Any
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The loss alone: nothing else of the validation rows is looked at."""
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.loss(model, dict(self._prepare_inputs(inputs))).detach(), None, None
