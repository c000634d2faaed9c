"""Adversarial training: every pass forward and back is followed by one on the worst that lies nearby.

The gradients of both add up. Near is measured around the embedded tokens ("fgm") or around the trained weights ("awp").
Weights and embeddings are the same again before the optimiser's step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from compete.base_models.pretrained.settings import TransformerSettings
from compete.errors import UserError

_EMBEDDED, _RELATIVE = 1.0, 0.005  # Miyato et al. and Wu et al. tune theirs from data set to data set


class Attack(Protocol):
    """One way to perturb a model."""

    def watching(self, model: Any) -> AbstractContextManager[None]:
        """For the pass forward and back that says where the loss rises."""
        ...

    def perturbing(self, model: Any) -> AbstractContextManager[None]:
        """For the pass forward and back on what is perturbed."""
        ...


def attack_of(settings: TransformerSettings) -> Attack | None:
    """The attack that the settings ask for, if any."""
    if settings.adversarial is None:
        return None
    if settings.adversarial == "fgm":
        return EmbeddingAttack(settings.adversarial_epsilon or _EMBEDDED)
    return WeightAttack(settings.adversarial_epsilon or _RELATIVE)


class EmbeddingAttack:
    """The fast gradient method (Miyato, Dai and Goodfellow 2017, "Adversarial training methods for semi-supervised text
    classification"): epsilon * g / |g| is added to the embedded tokens of a text, where g is the gradient
    of the loss by them and |g| its length over all of the text.

    It is added to what the embedding layer gives, not to its weights, so that every row has its own, no row depends on
    those it is batched with, and embeddings that are frozen below adapters are no obstacle. The paper's vectors are
    scaled to unit variance first; these are as the checkpoint has them.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon
        self.seen: list[Tensor] = []
        """Embedded tokens of every pass forward since it began to watch, (n_rows, n_tokens, width)."""

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        self.seen.clear()

        def keep(_: Any, __: Any, embedded: Tensor) -> None:
            if not embedded.requires_grad:
                embedded.requires_grad_()
            embedded.retain_grad()
            self.seen.append(embedded)

        yield from _hooked(model, keep)

    @contextmanager
    def perturbing(self, model: Any) -> Iterator[None]:
        added = [self.perturbation(embedded.grad) for embedded in self.seen if embedded.grad is not None]
        self.seen.clear()

        def add(_: Any, __: Any, embedded: Tensor) -> Tensor:
            return embedded + added.pop(0).to(embedded) if added else embedded

        yield from _hooked(model, add)

    def perturbation(self, gradient: Tensor) -> Tensor:
        """What is added, (n_rows, n_tokens, width), of length epsilon for each row; nothing where there is no slope."""
        gradient = gradient.float()
        # The largest value is taken out first: squares of a gradient in float16, which is scaled, may overflow.
        highest = gradient.abs().amax(dim=(1, 2), keepdim=True)
        unit = gradient / highest
        added = self.epsilon * unit / unit.square().sum(dim=(1, 2), keepdim=True).sqrt()
        return torch.where((highest > 0) & torch.isfinite(highest), added, 0.0)


def _hooked(model: Any, hook: Any) -> Iterator[None]:
    """With a hook behind the layer that embeds tokens; raises UserError where there is none."""
    embeddings = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    if embeddings is None:
        raise UserError(
            'adversarial = "fgm": this checkpoint has no layer that embeds tokens: there is nothing to perturb. '
            'Use "awp", or leave it out'
        )
    handle = embeddings.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class WeightAttack:
    """Adversarial weight perturbation (Wu, Xia and Wang 2020, "Adversarial weight perturbation helps robust
    generalization", one step): epsilon * |w| * g / |g| is added to every trained weight matrix w,
    where g is the gradient that the step has for it so far.

    Vectors (biases, norms) stay as they are. Adapters and heads are weights like any others.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        yield

    @contextmanager
    def perturbing(self, model: Any) -> Iterator[None]:
        before: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad and weight.grad is not None and weight.ndim > 1:
                    before.append((weight, weight.detach().clone()))
                    weight.add_(self.perturbation(weight, weight.grad))
        try:
            yield
        finally:
            # A copy, and no subtraction, which would leave a last digit behind.
            with torch.no_grad():
                for weight, value in before:
                    weight.copy_(value)

    def perturbation(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """What is added to a matrix, of length epsilon times the matrix's own; nothing where there is no slope."""
        highest = gradient.abs().max()
        unit = gradient / highest
        added = self.epsilon * weight.norm() * unit / unit.norm()
        return torch.where((highest > 0) & torch.isfinite(highest), added, 0.0)
