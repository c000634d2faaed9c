"""Multi-sample dropout (Inoue 2019): several masks over what the head reads, whose losses are averaged.

The layer that gives the logits computes them once per mask in training, side by side; the rest of the model, which is
nearly all of it, runs once. Nothing changes in predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from compete.base_models.pretrained.checkpoints import HEADS
from compete.errors import UserError


def add_head_dropouts(model: Any, count: int, rate: float, width: int) -> None:
    """Have the last layer give `count` times `width` logits in training, (..., count * width), one set per mask.

    The head's own dropout, which would be one mask in front of all, is switched off. Raises UserError for a head that
    is not known.
    """
    plain: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
    body = {id(module) for module in plain.base_model.modules()}
    for module in plain.modules():
        if isinstance(module, nn.Dropout) and id(module) not in body:
            module.p = 0.0

    def sampled(layer: Any, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        if not layer.training:
            return logits
        masked = (functional.dropout(inputs[0], rate) for _ in range(count))
        return torch.cat([functional.linear(each, layer.weight, layer.bias) for each in masked], dim=-1)

    _last_layer(plain, width).register_forward_hook(sampled)


def _last_layer(plain: Any, width: int) -> nn.Linear:
    """The head's layer of logits: the last linear one; peft keeps a frozen copy beside the one that it trains."""
    heads = [getattr(plain, name, None) for name in HEADS if name != "pre_classifier"]
    found = [
        module
        for head in heads
        if isinstance(head, nn.Module)
        for module in head.modules()
        if isinstance(module, nn.Linear) and module.out_features == width and module.weight.requires_grad
    ]
    if not found:
        raise UserError(f"head_dropouts: the head of {type(plain).__name__} is not one that is known. Leave it out")
    return found[-1]


def mean_loss(raw: Tensor, width: int, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean over the masks of the loss; raw: (n_rows, masks * width), of a single mask in evaluation."""
    return torch.stack([loss(sample) for sample in torch.split(raw, width, dim=-1)]).mean()
