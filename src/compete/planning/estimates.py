"""Hours of a training on a GPU, reckoned from its data sheet: operations over operations per second.

Nothing here was measured: no GPU was there to measure on. Operations are counted as Kaplan et al. (2020, section 2.1)
count them, 2 per weight and token that is multiplied with it, and twice that for a full backward pass. Attention
between tokens is left out: less than a tenth of it all for texts of some hundred tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.pretrained.batching import micro_batches
from compete.base_models.pretrained.costs import training_passes
from compete.planning.cards import FOUR_BIT_UTILISATION, LAUNCH, UTILISATION, Card, card_of
from compete.planning.footprint import Adapted, Anatomy, Planned
from compete.planning.longest_rows import Length
from compete.planning.model_plan import Estimate, Hardware, Machine, Rows
from compete.planning.reading import reading_work
from compete.planning.schedule import Work, schedule


@dataclass(frozen=True)
class Operations:
    """What a row costs, and a batch whatever its size."""

    trained: float
    """Floating point operations per row."""
    predicted: float
    """Forward alone; as many for a row that is validated."""
    once: float
    """Of layers that are computed once for all folds."""
    passes_trained: float
    """Layers that a batch goes through, forward or backward, on average over the epochs."""
    passes_predicted: int


def operations(shape: Anatomy, settings: Adapted, length: Length, n_labels: int) -> Operations:
    """What one row costs, by what is trained."""
    tokens, kept = length.mean, length.kept
    if isinstance(settings, LabelGeneratorSettings) and settings.decoding == "slots" and not settings.shared_prefix:
        tokens, kept = tokens * n_labels, kept * n_labels  # a prompt per label
    frozen = settings.frozen_layers if isinstance(settings, SequenceClassifierSettings) else 0
    layers = max(shape.layers - frozen, 0)
    # Embeddings are looked up, not multiplied; an output over the vocabulary is computed at few places.
    weights = tokens * layers * shape.layer.weights
    weights += kept * shape.output
    adapters = tokens * shape.adapters
    body_moves = settings.adaptation != "frozen"
    again = 1 if settings.gradient_checkpointing and body_moves else 0
    # Forward, then backward to what lies below, and to a weight itself if it is trained.
    passes = {"full": 3, "frozen": 1}.get(settings.adaptation, 2) + again
    more = training_passes(settings)  # of optional methods
    return Operations(
        trained=more * (2 * passes * weights + 2 * (3 + again) * adapters),
        predicted=2 * (weights + adapters),
        once=2 * tokens * min(frozen, shape.layers) * shape.layer.weights,
        passes_trained=more * layers * passes,
        passes_predicted=layers,
    )


def fold_work(found: Operations, settings: Adapted, card: Card, rows: Rows, folds: int, *, half: bool) -> Work:
    """Hours of the folds of one model. half: training and predictions are in half precision."""
    share = FOUR_BIT_UTILISATION if settings.adaptation == "qlora" else UTILISATION
    per_second = 1e12 * share * (card.half if half else card.float32)
    micro = micro_batches(settings.batch_size, settings.micro_batch_size or settings.batch_size)[0]
    trained_row = max(found.trained / per_second, LAUNCH * found.passes_trained / micro)
    predicted_row = max(found.predicted / per_second, LAUNCH * found.passes_predicted / settings.eval_batch_size)
    others = rows.n_train * (folds - 1) / folds
    held_out = others * settings.validation_share
    trained = settings.epochs * ((others - held_out) * trained_row + held_out * predicted_row)
    predicted = (rows.n_train / folds + rows.n_test) * predicted_row
    once = (rows.n_train + rows.n_test) * found.once / per_second
    return Work((trained + predicted) / 3600, folds, once / 3600, takes_all=settings.model_parallel)


def estimate(
    shape: Anatomy,
    settings: Planned,
    length: Length,
    rows: Rows,
    device: Hardware,
    machine: Machine,
    *,
    half: bool,
) -> Estimate | None:
    """Of a model that fits on the device with these settings; None where nothing tells."""
    card = card_of(device.name, device.memory) if device.kind == "gpu" else None
    # A written answer is read token by token, at the speed of the memory.
    written = isinstance(settings, LabelGeneratorSettings) and settings.decoding == "generate"
    if card is None or not length.mean or written:
        return None
    alike = alike_gpus(device, machine.devices)
    if isinstance(settings, EmbeddingsSettings):
        work = reading_work(shape, settings, length, rows, card, alike, machine.folds, half=half)
    else:
        found = operations(shape, settings, length, len(rows.asked))
        work = fold_work(found, settings, card, rows, machine.folds, half=half)
    return Estimate(work, alike, schedule([work], alike, machine.session))


def alike_gpus(device: Hardware, devices: Sequence[Hardware]) -> int:
    """How many of the devices are such a GPU."""
    card = card_of(device.name, device.memory)
    return sum(other.kind == "gpu" and card_of(other.name, other.memory) == card for other in devices)
