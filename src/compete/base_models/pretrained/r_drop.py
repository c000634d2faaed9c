"""R-drop: two passes of a row, with other dropout, should say the same (Liang et al. 2021, "R-drop: regularized dropout
for neural networks").

The paper adds the two losses up, and here they are averaged: its weight is twice the one here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from compete.competition.task import Kind


def r_drop(compute: Callable[[], Tensor], loss: Callable[[Tensor], Tensor], kind: Kind, weight: float) -> Tensor:
    """The mean of the losses of two passes, and `weight` times their symmetric divergence.

    compute: raw outputs (n_rows, ..., n_outputs) of a pass; loss: of such.
    """
    one, other = compute(), compute()
    return (loss(one) + loss(other)) / 2 + weight * symmetric_divergence(one, other, kind)


def symmetric_divergence(one: Tensor, other: Tensor, kind: Kind) -> Tensor:
    """(KL(p | q) + KL(q | p)) / 2 of the probabilities p and q behind raw outputs (n_rows, ..., n_outputs).

    Of classes the mean over rows, of labels over rows and labels, each a choice of two, as their losses are means.
    """
    if kind == "classes":
        log_p, log_q = functional.log_softmax(one, dim=-1), functional.log_softmax(other, dim=-1)
        return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1).mean() / 2
    # Of yes and no together, (p - q)(log p - log q) + (q - p)(log(1 - p) - log(1 - q)) = (p - q) * (logit p - logit q).
    return ((torch.sigmoid(one) - torch.sigmoid(other)) * (one - other)).mean() / 2
