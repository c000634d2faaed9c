"""What the optional methods of a training cost, by its settings; light, since `compete plan` asks too."""

from __future__ import annotations

from compete.base_models.pretrained.settings import TransformerSettings


def passes_at_once(settings: TransformerSettings) -> int:
    """Passes forward whose activations are there at the same time."""
    return 2 if settings.r_drop else 1


def training_passes(settings: TransformerSettings) -> float:
    """Passes forward and back that a row takes in training, on average over the epochs."""
    plain = settings.epochs
    if settings.adversarial is not None:
        plain += max(settings.epochs - settings.adversarial_from_epoch + 1, 0)
    return passes_at_once(settings) * plain / settings.epochs


def weight_copies(settings: TransformerSettings) -> int:
    """Copies of the trained weights beside those, their gradients, the optimiser's moments and the best epoch's."""
    return bool(settings.ema) + (settings.adversarial == "awp")
