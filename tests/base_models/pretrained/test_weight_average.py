"""An average of the trained weights: its numbers, and that it is what is validated and kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_post_hook

from compete.base_models.families import FitContext
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.fine_tuning import Task, fine_tune
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.pretrained.weight_average import WeightAverage


def averaged(decay: float, values: list[float]) -> float:
    """The average after steps to each of these values, from the first."""
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(values[0])
    average = WeightAverage(net, decay)
    for step, value in enumerate(values[1:], start=1):
        net.weight.data.fill_(value)
        average.on_step_end(None, SimpleNamespace(global_step=step), None, model=net)
    return float(average.weights["weight"])


def test_its_numbers() -> None:
    # d = 1/2 after the first step whatever the decay, then the decay: 0.5 * 0 + 0.5 * 1, 0.5 * 0.5 + 0.5 * 3.
    assert averaged(0.5, [0, 1]) == 0.5
    assert averaged(0.5, [0, 1, 3]) == 1.75
    # A long memory begins as the mean of all weights so far.
    assert averaged(0.9, [0, 1, 3, 8]) == pytest.approx(3)
    ten = [0.0] + [1.0] * 10
    assert averaged(0.8, ten) == pytest.approx(1 - 0.8**6 / 5)  # 4 steps of a mean, then 0.8 of the rest, six times
    assert averaged(0.0, [0, 1, 3]) == 3


def test_it_stands_in_for_a_while_and_frozen_weights_are_left_alone() -> None:
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    average = WeightAverage(net, 0.9)
    assert average.weights.keys() == {"weight"}
    before = net.weight.detach().clone()
    average.weights["weight"].fill_(7)
    with average.in_place(net):
        assert net.weight.eq(7).all()
    assert net.weight.equal(before)
    assert average.weights["weight"].eq(7).all()


class Small:
    """Two dozen rows and a linear net, whose weights are recorded after every step."""

    def __init__(self, **more: Any) -> None:
        chosen = {"batch_size": 8, "learning_rate": 0.1, "precision": "float32", "scheduler": "constant", **more}
        self.settings = TransformerSettings(checkpoint="none", **chosen)
        values = np.random.default_rng(2).normal(size=(32, 3)).astype(np.float32)
        self.rows: list[Row] = [{"length": 1, "x": x, "y": np.float32(x.sum() > 0)} for x in values]
        self.path: list[Tensor] = []
        self.seen: list[Tensor] = []

    def fit(self) -> tuple[Tensor, FitContext]:
        nets: list[nn.Linear] = []

        def build() -> nn.Module:
            nets.append(nn.Linear(3, 1, bias=False))
            self.path.append(nets[-1].weight.detach().clone())
            return nets[-1]

        def loss(model: Any, batch: Batch) -> Tensor:
            if not model.training:
                self.seen.append(model.weight.detach().clone())
            return functional.binary_cross_entropy_with_logits(model(batch["x"])[:, 0], batch["y"])

        context = FitContext(labels=("joy",), seed=3)
        hook = register_optimizer_step_post_hook(lambda *_: self.path.append(nets[-1].weight.detach().clone()))
        try:
            fine_tune(Task(build, self.rows, collate, loss), self.settings, np.arange(24), np.arange(24, 32), context)
        finally:
            hook.remove()
        return nets[-1].weight.detach(), context

    def expected(self, decay: float, steps: int) -> Tensor:
        average = self.path[0]
        for step in range(1, steps + 1):
            keep = min(decay, step / (step + 1))
            average = keep * average + (1 - keep) * self.path[step]
        return average


def collate(rows: Any) -> Batch:
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in ("x", "y")}


def test_it_is_what_is_validated_and_kept() -> None:
    small = Small(epochs=3, ema=0.6)
    weights, context = small.fit()
    assert len(small.path) == 10
    for seen, steps in zip(small.seen, (3, 6, 9), strict=True):
        torch.testing.assert_close(seen, small.expected(0.6, steps))
    best = int(np.argmin([row["validation_loss"] for row in context.curves]))
    torch.testing.assert_close(weights, small.expected(0.6, 3 * (best + 1)))
    assert not torch.allclose(weights, small.path[3 * (best + 1)])


def test_the_steps_are_those_without_and_no_decay_is_none() -> None:
    plain, averaged = Small(epochs=2), Small(epochs=2, ema=0.9)
    weights, _ = plain.fit()
    averaged.fit()
    for one, other in zip(plain.path, averaged.path, strict=True):
        assert one.equal(other)
    torch.testing.assert_close(Small(epochs=2, ema=1e-9).fit()[0], weights)
