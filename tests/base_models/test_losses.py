from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compete.base_models.class_weights import weights_of_classes
from compete.base_models.losses import classes_loss, make_loss, numbers_loss, positive_weights

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


def test_smoothed_labels_are_learnt_as_almost_certain() -> None:
    # Of a tenth, half goes to either side: 0.95 in the place of 1, 0.05 in the place of 0.
    p = torch.sigmoid(LOGITS)
    soft = torch.tensor([[0.95, 0.05], [0.05, 0.95], [0.95, 0.05]])
    expected = -(3 * soft * torch.log(p) + (1 - soft) * torch.log(1 - p)).mean()
    assert float(make_loss("bce", 3 * ONE, 0.1)(LOGITS, TARGETS)) == pytest.approx(float(expected))
    assert make_loss("bce", ONE, 0.0)(LOGITS, TARGETS) == make_loss("bce", ONE)(LOGITS, TARGETS)


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric"])
def test_a_cell_counts_as_much_as_its_weight(name: str) -> None:
    loss = make_loss(name, 2 * ONE)
    weights = torch.tensor([[0.5, 1.0], [0.0, 1.0], [1.0, 0.25]])
    alone = make_loss(name, 2 * ONE[:1])
    rows, columns = range(3), range(2)
    cells = [[float(alone(LOGITS[i, j].view(1, 1), TARGETS[i, j].view(1, 1))) for j in columns] for i in rows]
    expected = (weights * torch.tensor(cells)).sum() / 6
    assert float(loss(LOGITS, TARGETS, weights)) == pytest.approx(float(expected), rel=1e-5)
    assert float(loss(LOGITS, TARGETS, torch.ones(3, 2))) == pytest.approx(float(loss(LOGITS, TARGETS)))


# Classes

THREE = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 0.5, 0.0], [0.0, -4.0, 1.0], [1.0, 1.0, 1.0]])
CLASS = torch.tensor([0, 1, 2, 2])
ONE_HOT = functional.one_hot(CLASS, 3).float()
WEIGHTS = torch.tensor([1.0, 2.0, 0.5])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [torch.ones(3), WEIGHTS])
def test_cross_entropy_of_classes_is_the_weighted_mean_of_the_rows(smoothing: float, weights: Tensor) -> None:
    cells = functional.cross_entropy(THREE, CLASS, label_smoothing=smoothing, reduction="none")
    expected = (weights[CLASS] * cells).sum() / weights[CLASS].sum()
    assert float(classes_loss("cross_entropy", weights, smoothing)(THREE, ONE_HOT)) == pytest.approx(float(expected))


def test_without_smoothing_it_is_the_weighted_cross_entropy_of_torch() -> None:
    expected = functional.cross_entropy(THREE, CLASS, weight=WEIGHTS)
    assert float(classes_loss("cross_entropy", WEIGHTS, 0.0)(THREE, ONE_HOT)) == pytest.approx(float(expected))


def test_focal_loss_of_classes_passes_over_rows_that_are_right_already() -> None:
    p = torch.softmax(THREE, dim=1)[torch.arange(4), CLASS]
    expected = (-((1 - p) ** 2) * torch.log(p)).mean()
    assert float(classes_loss("focal", torch.ones(3), 0.0)(THREE, ONE_HOT)) == pytest.approx(float(expected))


def test_weights_of_classes_are_those_of_scikit_learn_and_their_root() -> None:
    rows = np.eye(3, dtype=np.int8)[[0, 0, 0, 0, 1, 1]]
    assert weights_of_classes(rows, "none").tolist() == [1, 1, 1]
    assert weights_of_classes(rows, "balanced").tolist() == [0.5, 1.0, 2.0]  # the class without a row as if it had one
    assert weights_of_classes(rows, "sqrt").tolist() == pytest.approx([0.5**0.5, 1.0, 2**0.5])


def test_a_row_of_a_class_counts_as_much_as_its_weight() -> None:
    cells = functional.cross_entropy(THREE, CLASS, reduction="none")
    of_rows = torch.tensor([1.0, 0.5, 0.0, 1.0])
    expected = (of_rows * WEIGHTS[CLASS] * cells).sum() / WEIGHTS[CLASS].sum()
    found = classes_loss("cross_entropy", WEIGHTS, 0.0)(THREE, ONE_HOT, of_rows[:, None].expand(4, 3))
    assert float(found) == pytest.approx(float(expected))


# Numbers

FOUND = torch.tensor([[0.1, 3.0], [0.4, -1.0], [0.2, 0.5], [0.9, 2.0]])
TRUE = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.5], [2.0, 0.8]])


def test_pearson_loss_is_least_where_least_squares_would_be_and_then_one_minus_the_correlation() -> None:
    loss = numbers_loss("pearson")
    r = np.array([np.corrcoef(FOUND[:, j], TRUE[:, j])[0, 1] for j in range(2)])
    slopes = torch.tensor(r * (TRUE.std(dim=0) / FOUND.std(dim=0)).numpy(), dtype=torch.float32)
    fitted = TRUE.mean(dim=0) + slopes * (FOUND - FOUND.mean(dim=0))
    assert float(loss(fitted, TRUE)) == pytest.approx(1 - r.mean(), abs=1e-4)
    assert float(loss(fitted + 0.1, TRUE)) > float(loss(fitted, TRUE)) < float(loss(2 * fitted, TRUE))


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "pearson"])
@pytest.mark.parametrize("rows", [1, 4])
def test_losses_of_numbers_are_finite_for_rows_that_are_alike(name: str, rows: int) -> None:
    found = torch.zeros(rows, 2, requires_grad=True)
    loss = numbers_loss(name)(found, torch.ones(rows, 2))
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient_of(loss, found)).all()


@pytest.mark.parametrize(("name", "low", "high"), [("bce", 0.94, 0.96), ("focal", 0.6, 0.96), ("asymmetric", 0.9, 1.0)])
def test_a_label_that_teachers_believe_in_is_learnt_as_likely(name: str, low: float, high: float) -> None:
    """Of a target of 0.95 the probability with the lowest loss lies with yes, whatever the loss."""
    probabilities = torch.linspace(0.005, 0.995, 199)
    loss = make_loss(name, torch.ones(1))
    target = torch.full((1, 1), 0.95)
    losses = [float(loss(torch.logit(p)[None, None], target)) for p in probabilities]
    assert low <= float(probabilities[int(np.argmin(losses))]) <= high
