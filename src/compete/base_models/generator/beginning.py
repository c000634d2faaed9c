"""What all prompts begin with, instruction and list of labels, is read once; batches are handed its keys and values."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

LEAST = 8  # tokens; fewer are not worth a pass of their own
_ATTENTION = {"full_attention", "sliding_attention"}
_BY_LENGTH = ("dynamic", "longrope")  # positions that are turned by angles that depend on how long the whole text is


class _Fixed(DynamicLayer):
    """Keys and values that stand before those of any batch: nothing is added to them, and no row copies them."""

    @classmethod
    def of(cls, keys: Tensor, values: Tensor) -> _Fixed:
        """With what a layer has read."""
        layer = cls()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        return layer

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Those of the batch behind those of the beginning."""
        known: tuple[Any, Any] = (self.keys, self.values)
        keys, values = (part.expand(len(key_states), -1, -1, -1) for part in known)
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)


@dataclass(frozen=True)
class Beginning:
    """The first tokens of every prompt, as a model has read them."""

    length: int
    """Tokens."""
    options: dict[str, Any]
    """For the model's forward pass over what follows."""


def read_beginning(model: Any, tokens: Sequence[int]) -> Beginning | None:
    """A pass over `tokens`; None where they are few, or where an architecture keeps other things than keys and values.

    What follows has to be masked by positions, as windows are not cut from what is kept.
    """
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    named = inspect.signature(plain.forward).parameters
    name = next((name for name in ("cache", "past_key_values") if name in named), None)
    if len(tokens) < LEAST or name is None or not _keeps_keys(model.config):
        return None
    read: Any = DynamicCache()
    ids = torch.tensor([list(tokens)], device=next(model.parameters()).device)
    places = torch.arange(len(tokens), device=ids.device)[None]
    model(input_ids=ids, position_ids=places, use_cache=True, logits_to_keep=1, **{name: read})
    if len(read.layers) != model.config.num_hidden_layers or not all(_whole(layer, ids) for layer in read.layers):
        return None
    kept = DynamicCache()
    kept.layers = [_Fixed.of(layer.keys, layer.values) for layer in read.layers]
    return Beginning(len(tokens), {name: kept, "use_cache": True})


def _keeps_keys(config: Any) -> bool:
    kinds = set(getattr(config, "layer_types", None) or ())
    turned = str(getattr(config, "rope_parameters", None))
    return kinds <= _ATTENTION and not any(word in turned for word in _BY_LENGTH)


def _whole(layer: Any, ids: Tensor) -> bool:
    """Whether a layer kept keys and values of all these tokens, and nothing else."""
    return type(layer) is DynamicLayer and all(
        isinstance(part, Tensor) and part.dim() == 4 and (part.shape[0], part.shape[-2]) == ids.shape
        for part in (layer.keys, layer.values)
    )
