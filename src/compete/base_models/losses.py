"""Losses of multilabel classification, from logits and 0/1 targets of shape (n_rows, n_labels) to a scalar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from compete.base_models.class_weights import ClassWeights, positive_weight

Loss = Callable[[Tensor, Tensor], Tensor]

FOCAL_GAMMA = 2.0
ASYMMETRIC_GAMMA, ASYMMETRIC_MARGIN = 4.0, 0.05


def positive_weights(labels: NDArray[np.int8] | NDArray[np.float32], how: ClassWeights) -> Tensor:
    """Weight of each label's positives (n_labels,): 1, negatives / positives ("balanced"), or its root ("sqrt").

    A label of one class counts as if it had one row of the other.
    """
    positives = np.maximum(labels.sum(axis=0, dtype=np.float64), 1)
    negatives = np.maximum((1 - labels).sum(axis=0, dtype=np.float64), 1)
    weights = [positive_weight(*counts, how) for counts in zip(positives, negatives, strict=True)]
    return torch.tensor(weights, dtype=torch.float32)


def make_loss(name: str, weights: Tensor) -> Loss:
    """The named loss, with the weights of the positives applied."""
    return {"bce": _cross_entropy, "focal": _focal, "asymmetric": _asymmetric}[name](weights)


def _cross_entropy(weights: Tensor) -> Loss:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights.to(logits.device))

    return loss


def _focal(weights: Tensor) -> Loss:
    """Lin et al. 2017: cells that are right already count less, by (1 - p_t) ** gamma."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        cells = functional.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=weights.to(logits.device), reduction="none"
        )
        p = torch.sigmoid(logits)
        wrong = torch.where(targets == 1, 1 - p, p)
        return (wrong**FOCAL_GAMMA * cells).mean()

    return loss


def _asymmetric(weights: Tensor) -> Loss:
    """Ridnik et al. 2021: negatives are focused and shifted by a margin, so that easy ones count nothing."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        p = torch.sigmoid(logits)
        shifted = (p - ASYMMETRIC_MARGIN).clamp(min=0)
        # Positives are not focused (the paper's gamma+ is 0 here): the rare ones keep all of their gradient.
        positive = -weights.to(logits.device) * functional.logsigmoid(logits)
        negative = -(shifted**ASYMMETRIC_GAMMA) * torch.log((1 - shifted).clamp(min=1e-8))
        return torch.where(targets == 1, positive, negative).mean()

    return loss
