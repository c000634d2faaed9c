"""What an encoder's head reads of a text: the first token, as the checkpoint was made, or the mean of all tokens.

Encoders that were trained as sentence encoders (all-MiniLM, all-mpnet) have learnt to say what a text means in the mean
of its tokens; their first token means little. transformers' classification heads read the first token all the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compete.errors import UserError


def pool_by_mean(model: Any, checkpoint: str) -> None:
    """Have the classification head of an encoder read the mean of the text's tokens, padding left out.

    Raises UserError for a model whose head reads another token than the first: a decoder.
    """
    base = model.base_model
    if getattr(model, "score", None) is not None:
        raise UserError(f'pooling = "mean" is for encoders, and the checkpoint {checkpoint!r} is a decoder')
    mean = _Mean()
    base.register_forward_pre_hook(mean.look_at_mask, with_kwargs=True)
    if getattr(base, "pooler", None) is not None:
        base.pooler = mean  # in place of the first token's layer, which sentence encoders never trained
    else:
        base.register_forward_hook(mean.put_first)


class _Mean(nn.Module):
    """The mean over the tokens of hidden states (rows, tokens, width), told by the mask of the pass."""

    def __init__(self) -> None:
        super().__init__()
        self.mask: Tensor | None = None

    def look_at_mask(self, base: nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        self.mask = named["attention_mask"]

    def forward(self, hidden: Tensor) -> Tensor:
        assert self.mask is not None
        weights = self.mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)

    def put_first(self, base: nn.Module, arguments: Any, output: Any) -> Any:
        """The mean in the place of the first token, which is the one that heads read."""
        hidden = output[0]
        pooled = torch.cat([self(hidden).unsqueeze(1), hidden[:, 1:]], dim=1)
        if isinstance(output, tuple):
            return (pooled, *output[1:])
        output.last_hidden_state = pooled
        return output
