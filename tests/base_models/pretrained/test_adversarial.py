"""Attacks: how far they go, which way, and that nothing of them stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import RobertaConfig, RobertaForSequenceClassification

from compete.base_models.pretrained.adversarial import EmbeddingAttack, WeightAttack
from compete.errors import UserError
from support.small_classifier import fit

TOKENS = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]])
MASK = (TOKENS != 1).long()
TARGETS = torch.tensor([[1.0, 0.0], [0.0, 1.0]])


SIZES: dict[str, Any] = {
    "vocab_size": 12,
    "num_labels": 2,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "max_position_embeddings": 12,
    "pad_token_id": 1,
    "initializer_range": 0.5,
}


def model() -> Any:
    torch.manual_seed(4)
    return RobertaForSequenceClassification(RobertaConfig(**SIZES)).eval()  # without dropout


def back(net: Any) -> Tensor:
    """The loss of a pass forward and back."""
    logits = net(input_ids=TOKENS, attention_mask=MASK).logits
    loss = nn.functional.binary_cross_entropy_with_logits(logits, TARGETS)
    torch.autograd.backward(loss)
    return loss.detach()


def gradients(net: Any) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in net.named_parameters() if weight.grad is not None}


def test_every_row_is_moved_by_epsilon_against_its_own_gradient() -> None:
    gradient = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0, -1e-30], [0.0, 0.0]]])
    added = EmbeddingAttack(0.5).perturbation(gradient)
    torch.testing.assert_close(added[0], torch.tensor([[0.3, 0.0], [0.0, 0.4]]))
    assert added[1].eq(0).all()
    torch.testing.assert_close(added[2], torch.tensor([[0.0, -0.5], [0.0, 0.0]]))
    assert EmbeddingAttack(0.5).perturbation(torch.full((1, 2, 2), float("inf"))).eq(0).all()


def test_a_matrix_is_moved_by_a_share_of_its_length() -> None:
    weight, gradient = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, -2e-30]])
    torch.testing.assert_close(WeightAttack(0.1).perturbation(weight, gradient), torch.tensor([[0.0, -0.5]]))
    assert WeightAttack(0.1).perturbation(weight, torch.zeros(1, 2)).eq(0).all()
    assert WeightAttack(0.1).perturbation(weight, torch.full((1, 2), float("nan"))).eq(0).all()


@pytest.mark.parametrize("attack", [EmbeddingAttack(0.3), WeightAttack(0.05)])
def test_the_loss_is_higher_there_and_weights_and_embeddings_are_the_same_after(attack: Any) -> None:
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with attack.watching(net):
        plain = back(net)
    with attack.perturbing(net):
        assert back(net) > plain + 1e-3
    for name, value in net.state_dict().items():
        assert value.equal(before[name])
    net.zero_grad()
    assert back(net) == plain  # no hook is left


@pytest.mark.parametrize("attack", [EmbeddingAttack(1e-9), WeightAttack(1e-9)])
def test_next_to_no_distance_is_the_same_gradient_once_more(attack: Any) -> None:
    net = model()
    back(net)
    once = gradients(net)
    net.zero_grad()
    with attack.watching(net):
        back(net)
    with attack.perturbing(net):
        back(net)
    for name, gradient in gradients(net).items():
        torch.testing.assert_close(gradient, 2 * once[name], rtol=1e-3, atol=1e-6)


def test_a_row_is_moved_alone_as_among_others_and_embeddings_may_be_frozen() -> None:
    net = model()
    net.roberta.embeddings.requires_grad_(False)
    attack = EmbeddingAttack(1.0)
    with attack.watching(net):
        back(net)
    (embedded,) = attack.seen
    assert embedded.grad is not None
    together = attack.perturbation(embedded.grad)
    assert together.norm(dim=(1, 2)).tolist() == pytest.approx([1, 1])
    assert together[1, 3].eq(0).all()  # padding, which nothing sees
    with attack.watching(net):
        logits = net(input_ids=TOKENS[:1], attention_mask=MASK[:1]).logits
        torch.autograd.backward(nn.functional.binary_cross_entropy_with_logits(logits, TARGETS[:1]))
    alone = attack.seen[0].grad
    assert alone is not None
    torch.testing.assert_close(attack.perturbation(alone)[0], together[0], atol=1e-5, rtol=1e-4)


def test_without_embeddings_there_is_nothing_to_perturb() -> None:
    with pytest.raises(UserError, match="nothing to perturb"), EmbeddingAttack(1.0).watching(nn.Linear(2, 2)):
        pass


def test_weights_move_that_are_trained_and_have_two_dimensions() -> None:
    net = model()
    net.roberta.embeddings.requires_grad_(False)
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    back(net)
    moved = set()
    with WeightAttack(0.1).perturbing(net):
        for name, value in net.named_parameters():
            if not value.equal(before[name]):
                moved.add(name)
                assert float((value.detach() - before[name]).norm() / before[name].norm()) == pytest.approx(
                    0.1, rel=1e-4
                )
    assert moved and not any("embeddings" in name or name.endswith("bias") or "LayerNorm" in name for name in moved)


@pytest.mark.slow
@pytest.mark.parametrize("adaptation", ["full", "lora"])
@pytest.mark.parametrize("kind", ["fgm", "awp"])
def test_an_attack_begins_with_its_epoch(kind: str, adaptation: str) -> None:
    small: dict[str, Any] = {"epochs": 2, "adaptation": adaptation, "warmup": 0.0}
    _, plain = fit("miniature:distilbert", **small)
    model, late = fit("miniature:distilbert", adversarial=kind, adversarial_from_epoch=2, **small)
    assert late.curves[0] == plain.curves[0]
    assert late.curves[1]["validation_loss"] != plain.curves[1]["validation_loss"]
    assert np.isfinite(model.predict_proba(["sunny day"])).all()
    _, early = fit("miniature:distilbert", adversarial=kind, **small)
    assert early.curves[0]["validation_loss"] != plain.curves[0]["validation_loss"]
