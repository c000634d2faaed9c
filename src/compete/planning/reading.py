"""What a checkpoint takes that stays as it is and is read once for all folds: memory, disk, hours on a GPU.

Heads learn on a processor, whatever the checkpoint is read on: little beside it, and not counted in a GPU's hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.planning.cards import LAUNCH, UTILISATION, Card
from compete.planning.footprint import (
    FLOAT,
    GPU_CONTEXT,
    GPU_SLACK,
    HALF,
    LIBRARIES,
    SLACK,
    Anatomy,
    BatchSize,
    Footprint,
    numbers_read,
    prediction_bytes,
)
from compete.planning.longest_rows import Length
from compete.planning.model_plan import Rows
from compete.planning.schedule import Work

_COPIES = 4  # of a fold's numbers: as they are read, standardised, without the rows that choose, and within a fit


def reading_footprint(
    shape: Anatomy,
    settings: EmbeddingsSettings,
    batch: BatchSize,
    n_texts: int,
    *,
    half: bool,
    gpu: bool,
    bfloat16: bool,
    files: int,
) -> Footprint:
    """Bytes of a fold. n_texts: that it fits; the rest as in `footprint.footprint`."""
    layers = HALF * shape.layers * shape.layer.weights
    kept_half = half and bfloat16 and not settings.model_parallel
    states = FLOAT * batch.predicted * batch.tokens * shape.layer.hidden * (shape.layers + 1)
    slack = GPU_SLACK if gpu else SLACK
    read = round(slack * (prediction_bytes(shape, batch, gpu=gpu) + states))
    numbers = 0 if gpu else FLOAT * n_texts * numbers_read(shape, settings)
    return Footprint(
        runtime=GPU_CONTEXT if gpu else LIBRARIES,
        weights=FLOAT * shape.parameters - (layers if kept_half else 0),
        copies=layers if half and not kept_half else 0,
        gradients=0,
        optimiser=0,
        best_epoch=0,
        activations=read + numbers,
        prediction=_COPIES * numbers,
        retained=0,
        mapped=0 if gpu else files,
        opening=layers if kept_half else 0,
    )


def numbers_bytes(shape: Anatomy, settings: EmbeddingsSettings, n_texts: int) -> int:
    """What is kept of so many texts for all folds."""
    return FLOAT * n_texts * numbers_read(shape, settings)


def head_bytes(shape: Anatomy, settings: EmbeddingsSettings, n_texts: int) -> int:
    """What one fold leaves in oof/: neighbours are the rows themselves, sums are in float64, trees are not counted."""
    if settings.head == "knn":
        return numbers_bytes(shape, settings, n_texts)
    return 2 * FLOAT * shape.trained


def fewer_at_once(settings: EmbeddingsSettings) -> Iterator[dict[str, Any]]:
    """No change, then ever fewer texts at once."""
    yield {}
    rows = settings.eval_batch_size
    while rows > 1:
        rows //= 2
        yield {"eval_batch_size": rows}


def reading_work(
    shape: Anatomy,
    settings: EmbeddingsSettings,
    length: Length,
    rows: Rows,
    card: Card,
    gpus: int,
    folds: int,
    *,
    half: bool,
) -> Work:
    """Hours of reading all texts once, shared by the jobs on so many GPUs; the folds take none of a GPU's."""
    per_second = 1e12 * UTILISATION * (card.half if half else card.float32)
    operations = 2 * length.mean * shape.layers * shape.layer.weights
    row = max(operations / per_second, LAUNCH * shape.layers / settings.eval_batch_size)
    shared = 1 if settings.model_parallel else gpus
    return Work(0.0, folds, (rows.n_train + rows.n_test) * row / shared / 3600, takes_all=settings.model_parallel)
