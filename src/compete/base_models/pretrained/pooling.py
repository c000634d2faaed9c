"""What a head reads of a text: the token that the architecture's own head reads, or the mean of all tokens.

Encoders that were trained as sentence encoders (all-MiniLM, all-mpnet, Stella) have learnt to say what a text means in
the mean of its tokens; any one of them means little. transformers' classification heads read an encoder's first token,
or a decoder's last, all the same. Of a causal decoder the mean is refused: its early tokens have not seen the text.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from compete.base_models.pretrained.attention import is_bidirectional
from compete.errors import UserError


def pool_by_mean(model: Any, checkpoint: str) -> None:
    """Have the classification head read the mean of the text's tokens, padding left out.

    Raises UserError for a decoder, unless its tokens see in both directions.
    """
    base = model.base_model
    if getattr(model, "score", None) is not None and not is_bidirectional(model):
        raise UserError(
            f'pooling = "mean" is for encoders, and the checkpoint {checkpoint!r} is a decoder, whose tokens see only '
            'those before them: leave `pooling` out; for a text encoder made of one add attention = "bidirectional"'
        )
    mean = _Mean()
    # Before attention in both directions puts a mask of its own in the place of this one.
    base.register_forward_pre_hook(mean.look_at_mask, with_kwargs=True, prepend=True)
    if getattr(base, "pooler", None) is not None:
        base.pooler = mean  # in place of the first token's layer, which sentence encoders never trained
    else:
        base.register_forward_hook(mean.put_everywhere)


class _Mean(nn.Module):
    """The mean over the tokens of hidden states (rows, tokens, width), told by the mask of the pass."""

    def __init__(self) -> None:
        super().__init__()
        self.mask: Tensor | None = None

    def look_at_mask(self, base: nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        self.mask = named["attention_mask"]

    def forward(self, hidden: Tensor) -> Tensor:
        assert self.mask is not None
        weights = self.mask.unsqueeze(-1).to(hidden)  # a model on several GPUs ends on another than it begins
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)

    def put_everywhere(self, base: nn.Module, arguments: Any, output: Any) -> Any:
        """The mean in the place of every token, whichever it is that the head reads."""
        hidden = output[0]
        pooled = self(hidden).unsqueeze(1).expand_as(hidden)
        if isinstance(output, tuple):
            return (pooled, *output[1:])
        output.last_hidden_state = pooled
        return output
