"""The code that the miniature of Stella brings along, as the real repository brings its own: loaded by
transformers as remote code, never imported by compete. A Qwen2 that attends in both directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2ForSequenceClassification as CausalClassifier
from transformers import Qwen2Model as CausalModel


class Qwen2Model(CausalModel):
    """Every token sees every token that is no padding."""

    def forward(self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **options: Any) -> Any:
        tokens = input_ids if input_ids is not None else options["inputs_embeds"]
        if attention_mask is None:
            attention_mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        count, length = attention_mask.shape
        mask = attention_mask.bool()[:, None, None, :].expand(count, 1, length, length)
        if self.config._attn_implementation != "sdpa":  # which takes what is seen; the others add the mask to scores
            mask = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, torch.finfo(torch.float32).min)
        return super().forward(input_ids=input_ids, attention_mask=mask, **options)


class Qwen2ForSequenceClassification(CausalClassifier):
    """The classification head over this model; it reads the last token that is no padding."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[no-untyped-call]
        self.model = Qwen2Model(config)
        self.post_init()  # type: ignore[no-untyped-call]
