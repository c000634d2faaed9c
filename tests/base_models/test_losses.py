from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compete.base_models.losses import make_loss, positive_weights

LOGITS = torch.tensor([[2.0, -1.0], [-3.0, 0.5], [0.0, -4.0]])
TARGETS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
ONE = torch.ones(2)


def gradient_of(loss: Tensor, logits: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, logits)
    return gradient


def test_weights_are_negatives_over_positives_and_their_root() -> None:
    labels = np.array([[1, 1], [0, 1], [0, 1], [0, 0], [0, 1]], dtype=np.int8)
    assert positive_weights(labels, "none").tolist() == [1, 1]
    assert positive_weights(labels, "balanced").tolist() == [4, 0.25]
    assert positive_weights(labels, "sqrt").tolist() == [2, 0.5]


def test_a_label_of_one_class_has_a_finite_weight() -> None:
    labels = np.array([[0, 1], [0, 1], [0, 1]], dtype=np.int8)
    assert positive_weights(labels, "balanced").tolist() == [3, pytest.approx(1 / 3)]


def test_cross_entropy_is_the_plain_one_without_weights() -> None:
    expected = functional.binary_cross_entropy(torch.sigmoid(LOGITS), TARGETS)
    assert float(make_loss("bce", ONE)(LOGITS, TARGETS)) == pytest.approx(float(expected))


def test_focal_loss_passes_over_cells_that_are_right_already() -> None:
    p = torch.sigmoid(LOGITS)
    p_t = torch.where(TARGETS == 1, p, 1 - p)
    expected = (-((1 - p_t) ** 2) * torch.log(p_t)).mean()
    assert float(make_loss("focal", ONE)(LOGITS, TARGETS)) == pytest.approx(float(expected))


def test_asymmetric_loss_gives_easy_negatives_no_gradient() -> None:
    logits = torch.tensor([[-4.0, 1.0]], requires_grad=True)  # p = 0.018 is below the margin of 0.05
    gradient = gradient_of(make_loss("asymmetric", ONE)(logits, torch.zeros(1, 2)), logits)
    assert gradient[0, 0] == 0
    assert gradient[0, 1] > 0


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric"])
def test_weights_count_for_positives_only(name: str) -> None:
    heavy = torch.tensor([5.0, 5.0])
    all_negative = torch.zeros_like(TARGETS)
    assert make_loss(name, heavy)(LOGITS, all_negative) == make_loss(name, ONE)(LOGITS, all_negative)
    assert make_loss(name, heavy)(LOGITS, TARGETS) > make_loss(name, ONE)(LOGITS, TARGETS)


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric"])
def test_extreme_logits_stay_finite(name: str) -> None:
    logits = torch.tensor([[80.0, -80.0], [-80.0, 80.0]], requires_grad=True)
    loss = make_loss(name, ONE)(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient_of(loss, logits)).all()
