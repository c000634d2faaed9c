"""An output layer of two rows: answers are read from yes and no alone, not from a vocabulary of 152,000 tokens.

What an architecture does to its logits behind the layer (Gemma 2 caps them, Granite and Cohere scale them) it does to
each on its own, so that two of them come out as they do among all others.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional


class AnswerHead(nn.Module):
    """The rows `answers` of an output layer: logits (..., len(answers)).

    A layer that is trained keeps its weights whole, under the names they have, so that a tied layer goes on training
    the embeddings and a model is written as it was read; only the products are fewer. Of one that is not, the rows
    are copied, and the rest goes with it.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(self, head: nn.Linear, answers: tuple[int, ...]) -> None:
        super().__init__()
        rows = torch.tensor(answers, device=head.weight.device)
        trained = any(weight.requires_grad for weight in head.parameters())
        self.register_buffer("rows", rows if trained else None, persistent=False)
        for name in ("weight", "bias"):
            values: nn.Parameter | None = getattr(head, name)
            if values is not None and not trained:
                values = nn.Parameter(values.detach()[rows], requires_grad=False)
            self.register_parameter(name, values)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits of the answers. Where layers lie on several GPUs, the last may lie on another than this."""
        weight, bias, rows = self.weight, self.bias, self.rows
        if isinstance(rows, Tensor):
            return functional.linear(hidden.to(weight.device), weight[rows], None if bias is None else bias[rows])
        return functional.linear(hidden.to(weight.device), weight, bias)


def keep_answers(model: Any, answers: tuple[int, ...]) -> None:
    """Put the rows `answers` in the place of the model's output layer.

    To be called when adapters are on: a layer that these change, or one in 4 bits, is no plain linear layer, and stays
    whole; so does one whose weights lie outside of the GPU and are fetched when it computes.
    """
    plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    head = plain.get_output_embeddings()
    fetched = getattr(getattr(head, "_hf_hook", None), "offload", False)
    if type(head) is nn.Linear and not fetched:
        plain.set_output_embeddings(AnswerHead(head, answers))
