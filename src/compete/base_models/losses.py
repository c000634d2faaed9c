"""Losses, from raw outputs and targets of shape (n_rows, n_outputs) to a scalar.

Targets are 0/1 of labels, one-hot rows of classes (or what teachers believe of either), or standardised numbers; raw
outputs are logits or such numbers. Rows may count less (`row_weights`), by weights (n_rows, n_outputs): a cell's part
of the mean, or a row's, is multiplied by its weight, and what it is divided by stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from compete.base_models.class_weights import ClassWeights, positive_weight


class Loss(Protocol):
    """What is minimised."""

    def __call__(self, raw: Tensor, targets: Tensor, weights: Tensor | None = None, /) -> Tensor:
        """The loss of some rows, a scalar."""
        ...


FOCAL_GAMMA = 2.0
ASYMMETRIC_GAMMA, ASYMMETRIC_MARGIN = 4.0, 0.05
_TINY = 1e-6  # a batch of one row has no spread


def positive_weights(labels: NDArray[np.int8] | NDArray[np.float32], how: ClassWeights) -> Tensor:
    """Weight of each label's positives (n_labels,): 1, negatives / positives ("balanced"), or its root ("sqrt").

    A label of one class counts as if it had one row of the other.
    """
    positives = np.maximum(labels.sum(axis=0, dtype=np.float64), 1)
    negatives = np.maximum((1 - labels).sum(axis=0, dtype=np.float64), 1)
    weights = [positive_weight(*counts, how) for counts in zip(positives, negatives, strict=True)]
    return torch.tensor(weights, dtype=torch.float32)


def make_loss(name: str, weights: Tensor, smoothing: float = 0.0) -> Loss:
    """The named loss of labels, with the weights of the positives applied.

    smoothing: bce alone; share of a cell that is spread over yes and no (Szegedy et al. 2016, with two classes): what
    is learnt is 1 - smoothing / 2 in the place of 1, and smoothing / 2 in the place of 0.
    """
    if name == "bce":
        return _cross_entropy(weights, smoothing)
    return {"focal": _focal, "asymmetric": _asymmetric}[name](weights)


def _cross_entropy(weights: Tensor, smoothing: float) -> Loss:
    def loss(logits: Tensor, targets: Tensor, cell_weights: Tensor | None = None, /) -> Tensor:
        if smoothing:
            targets = (1 - smoothing) * targets + smoothing / 2
        return functional.binary_cross_entropy_with_logits(
            logits, targets, weight=cell_weights, pos_weight=weights.to(logits.device)
        )

    return loss


def _mean(cells: Tensor, cell_weights: Tensor | None) -> Tensor:
    return cells.mean() if cell_weights is None else (cell_weights * cells).mean()


def _between(targets: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Losses of yes and of no, each as much as it is true: targets may be what teachers believe."""
    return targets * positive + (1 - targets) * negative


def _focal(weights: Tensor) -> Loss:
    """Lin et al. 2017: cells that are right already count less, by (1 - p_t) ** gamma."""

    def loss(logits: Tensor, targets: Tensor, cell_weights: Tensor | None = None, /) -> Tensor:
        p = torch.sigmoid(logits)

        def cells(truth: Tensor, wrong: Tensor) -> Tensor:
            plain = functional.binary_cross_entropy_with_logits(
                logits, truth, pos_weight=weights.to(logits.device), reduction="none"
            )
            return wrong**FOCAL_GAMMA * plain

        positive, negative = cells(torch.ones_like(p), 1 - p), cells(torch.zeros_like(p), p)
        return _mean(_between(targets, positive, negative), cell_weights)

    return loss


def _asymmetric(weights: Tensor) -> Loss:
    """Ridnik et al. 2021: negatives are focused and shifted by a margin, so that easy ones count nothing."""

    def loss(logits: Tensor, targets: Tensor, cell_weights: Tensor | None = None, /) -> Tensor:
        p = torch.sigmoid(logits)
        shifted = (p - ASYMMETRIC_MARGIN).clamp(min=0)
        # Positives are not focused (the paper's gamma+ is 0 here): the rare ones keep all of their gradient.
        positive = -weights.to(logits.device) * functional.logsigmoid(logits)
        negative = -(shifted**ASYMMETRIC_GAMMA) * torch.log((1 - shifted).clamp(min=1e-8))
        return _mean(_between(targets, positive, negative), cell_weights)

    return loss


def classes_loss(name: str, weights: Tensor, smoothing: float) -> Loss:
    """Cross-entropy of the softmax over classes, each class's rows weighted (n_classes,): the weighted mean of a batch.

    smoothing: share of a row that is spread over all classes (Szegedy et al. 2016). "focal": rows that are right
    already count less, by (1 - p_t) ** gamma (Lin et al. 2017).
    """
    focused = FOCAL_GAMMA if name == "focal" else 0.0

    def loss(logits: Tensor, targets: Tensor, cell_weights: Tensor | None = None, /) -> Tensor:
        row_weights = (targets * weights.to(logits.device)).sum(dim=1)
        log_p = functional.log_softmax(logits, dim=1)
        soft = (1 - smoothing) * targets + smoothing / targets.shape[1]
        cells = -(soft * log_p).sum(dim=1)
        if focused:
            cells = (1 - (targets * log_p.exp()).sum(dim=1)) ** focused * cells
        if cell_weights is not None:
            cells = cell_weights[:, 0] * cells  # a row's, the same for every class
        return (row_weights * cells).sum() / row_weights.sum()

    return loss


def numbers_loss(name: str) -> Loss:
    """The named loss of standardised numbers."""
    if name == "pearson":
        return _unweighted(_pearson)
    measures: dict[str, Callable[..., Tensor]] = {
        "mse": functional.mse_loss,
        "mae": functional.l1_loss,
        "huber": functional.huber_loss,
    }
    measure = measures[name]

    def loss(raw: Tensor, targets: Tensor, cell_weights: Tensor | None = None, /) -> Tensor:
        if cell_weights is None:
            return measure(raw, targets)
        return _mean(measure(raw, targets, reduction="none"), cell_weights)

    return loss


def _unweighted(measure: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """A loss of a whole batch, in which every row counts the same."""

    def loss(raw: Tensor, targets: Tensor, cell_weights: Tensor | None = None, /) -> Tensor:
        return measure(raw, targets)

    return loss


def _pearson(found: Tensor, targets: Tensor) -> Tensor:
    """1 - Pearson's correlation over the rows of the batch, the mean over the targets.

    A correlation leaves mean and spread open, and predictions have to be numbers like the targets: so the distance of
    the mean, and of the spread from what least squares would give it (the correlation times the targets'), are added.
    """
    mean, wanted_mean = found.mean(dim=0), targets.mean(dim=0)
    spread = (found.var(dim=0, correction=0) + _TINY).sqrt()
    wanted_spread = (targets.var(dim=0, correction=0) + _TINY).sqrt()
    r = ((found - mean) * (targets - wanted_mean)).mean(dim=0) / (spread * wanted_spread)
    off = (mean - wanted_mean) ** 2 + (spread - r.detach().clamp(min=0) * wanted_spread) ** 2
    return (1 - r + off).mean()
