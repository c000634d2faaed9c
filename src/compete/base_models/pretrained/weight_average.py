"""An exponential moving average of the trained weights (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).

After step t the average is d * average + (1 - d) * weights with d = min(decay, t / (t + 1)), as Tarvainen and Valpola
have it: at first the mean of all weights so far, so that a short training does not end near where it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback


class WeightAverage(TrainerCallback):
    """Follows the trained weights of a model, and stands in for them where they are looked at."""

    def __init__(self, model: Any, decay: float) -> None:
        self.decay = decay
        self.weights = {
            name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad
        }
        """The average, by the weights' names."""

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        steps = state.global_step
        share = 1 - min(self.decay, steps / (steps + 1))
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in self.weights:
                    self.weights[name].lerp_(weight.detach(), share)

    def put_back(self, weights: dict[str, Tensor]) -> None:
        """Go on from an average that was stored."""
        for name, value in weights.items():
            self.weights[name].copy_(value)

    @contextmanager
    def in_place(self, model: Any) -> Iterator[None]:
        """The model with the average for its weights, for a while: they change places, and nothing is copied."""
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    def _exchange(self, model: Any) -> None:
        for name, weight in model.named_parameters():
            if name in self.weights:
                weight.data, self.weights[name] = self.weights[name], weight.data
