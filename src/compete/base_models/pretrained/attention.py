"""Attention in both directions, for text encoders made of a decoder: every token sees all that is no padding.

Stella is a Qwen2 that was trained on without the causal mask. transformers has a word for that, `is_causal = False`,
which 5.0 did not know yet. A mask of four dimensions is taken as it is by all versions, eager or fused; whether a layer
calls itself causal is then not asked.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from compete.errors import UserError

TRIED = ("qwen2",)


def attend_in_both_directions(model: Any, checkpoint: str) -> None:
    """Have every token of a decoder see every token of its text.

    Raises UserError for an architecture it was not tried with.
    """
    kind = model.config.model_type
    if kind not in TRIED:
        raise UserError(
            f'attention = "bidirectional" is for text encoders made of a decoder ({", ".join(TRIED)}), and the '
            f"checkpoint {checkpoint!r} is of the architecture {kind}: leave `attention` out"
        )
    model.config.is_causal = False  # written down with a model that is trained as a whole
    model.base_model.register_forward_pre_hook(_see_all, with_kwargs=True)


def is_bidirectional(model: Any) -> bool:
    """Whether a model's tokens see those behind them, against the habit of its architecture.

    EmbeddingGemma says so itself, in its configuration.
    """
    return getattr(model.config, "is_causal", True) is False or bool(
        getattr(model.config, "use_bidirectional_attention", False)
    )


def _see_all(base: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return arguments, {**named, "attention_mask": _full_mask(named["attention_mask"], base.config._attn_implementation)}


def _full_mask(mask: Tensor, implementation: str) -> Tensor:
    """What each token (rows, 1, tokens, tokens) sees, of a mask (rows, tokens) that is 0 at padding."""
    count, length = mask.shape
    seen = mask.bool()[:, None, None, :]
    if implementation != "sdpa":
        # The plain products add the mask to their scores; the fused ones take what is seen.
        lowest = torch.finfo(torch.float32).min
        seen = torch.zeros(seen.shape, device=mask.device).masked_fill(~seen, lowest)
    return seen.expand(count, 1, length, length)
