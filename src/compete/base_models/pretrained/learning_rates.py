"""Learning rates by depth: lower layers, which know more of language and less of the task, move less.

Howard and Ruder (2018, section 3.2, "discriminative fine-tuning"); Sun et al. (2019), "How to fine-tune BERT for text
classification?", "layer-wise decreasing layer rate": the top layer has the learning rate, each one below it that of the
layer above times the decay, and the embeddings, with whatever else all layers read, come below the lowest. A head that
is new may have a rate of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from torch import nn

from compete.base_models.pretrained.adaptation import layers_of, lower_parameters


@dataclass(frozen=True)
class LearningRates:
    """The rates of one training, at their highest."""

    top: float
    """Of the top layer and what lies behind the layers."""
    layer_decay: float
    head: float
    """Of what no layer reads or gives: the classification head, or an output layer with weights of its own."""

    def by_name(self, model: Any) -> dict[str, float]:
        """The rate of every trained weight, by its name in the model."""
        plain: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        base = plain.base_model
        below = _below(base)
        body = {id(weight) for weight in base.parameters()}
        return {
            name: self.top * self.layer_decay ** below.get(id(weight), 0) if id(weight) in body else self.head
            for name, weight in model.named_parameters()
            if weight.requires_grad
        }

    def groups(self, model: Any, decayed: Collection[str], weight_decay: float) -> list[dict[str, Any]]:
        """An optimiser's groups of parameters, those with the rate of the top layer first.

        decayed: names of the weights that weight decay is for.
        """
        weights = dict(model.named_parameters())
        found: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, rate in self.by_name(model).items():
            key = (rate, weight_decay if name in decayed else 0.0)
            found.setdefault(key, []).append(weights[name])
        # The first group's rate is the one that curves show.
        order = sorted(found, key=lambda key: (key[0] != self.top, -key[0], -key[1]))
        return [{"params": found[key], "lr": key[0], "weight_decay": key[1]} for key in order]


def _below(base: nn.Module) -> dict[int, int]:
    """How many layers below the top one a weight lies, by the weight's identity; what is not in it lies behind them."""
    layers = layers_of(base)
    depths = {id(weight): len(layers) for weight in lower_parameters(base, 0).values()}
    for number, layer in enumerate(layers):
        depths |= {id(weight): len(layers) - 1 - number for weight in layer.parameters()}
    return depths
