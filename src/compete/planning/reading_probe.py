"""The probe of a checkpoint that is read once for all folds: texts of a few lengths, and a head of the real size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from compete.base_models.embeddings.encoder import Encoder
from compete.base_models.embeddings.heads import fit_head
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FitContext
from compete.base_models.pretrained.batching import Row
from compete.base_models.pretrained.checkpoints import source_of
from compete.base_models.validation_split import strata_of, validation_split
from compete.competition.shape import Targets
from compete.progress import Report

_TIMED = 6  # lengths of texts


class Measured(NamedTuple):
    """Seconds."""

    opening: float
    """For opening the checkpoint and saying what it is."""
    read: float
    """For reading a text, the mean of all."""
    head: float
    """For fitting one fold's head and predicting with it."""


def measure(
    settings: EmbeddingsSettings,
    train_texts: Sequence[str],
    test_texts: Sequence[str],
    targets: Targets,
    folds: int,
    context: FitContext,
    report: Report,
) -> Measured:
    """context: without a cache, with the threads of one job."""
    torch.set_num_threads(context.threads)
    start = time.monotonic()
    encoder = Encoder.open(source_of(settings, train_texts, context.seed))
    assert encoder.identity
    opening = time.monotonic() - start
    report(0.3)
    read = _seconds_to_read(encoder, encoder.rows([*train_texts, *test_texts]), settings.eval_batch_size)
    report(0.6)
    held_out = len(train_texts) // folds + len(test_texts)
    head = _seconds_of_head(settings, encoder.width, train_texts, targets, folds, held_out, context)
    return Measured(opening, read, head)


def _seconds_to_read(encoder: Encoder, rows: Sequence[Row], at_once: int) -> float:
    """Mean over all rows: batches of some lengths are timed, those between lie between them."""
    lengths = np.array([row["length"] for row in rows])
    # At even shares of the tokens, which most of the time goes into.
    order = np.argsort(lengths, kind="stable")
    shares = np.cumsum(lengths[order]) / lengths.sum()
    places = np.searchsorted(shares, (np.arange(_TIMED) + 0.5) / _TIMED)
    chosen = np.unique(lengths[order][np.minimum(places, len(order) - 1)])
    seconds: list[float] = []
    for length in chosen:
        batch = [rows[number] for number in np.flatnonzero(lengths == length)[:at_once]]
        if not seconds:
            encoder.numbers(batch)  # the first pays for kernels that are chosen then
        start = time.monotonic()
        encoder.numbers(batch)
        seconds.append((time.monotonic() - start) / len(batch))
    # Beyond the lengths that were timed, by the token.
    known = np.interp(lengths, chosen, seconds)
    known[lengths > chosen[-1]] = seconds[-1] * lengths[lengths > chosen[-1]] / chosen[-1]
    return float(known.mean())


def _seconds_of_head(
    settings: EmbeddingsSettings,
    width: int,
    texts: Sequence[str],
    targets: Targets,
    folds: int,
    held_out: int,
    context: FitContext,
) -> float:
    """On numbers of the real size, drawn by chance; what is true of the rows is what is true of them."""
    n_fitted = max(len(texts) * (folds - 1) // folds, 3)
    chance = np.random.default_rng(0)
    numbers = chance.standard_normal((n_fitted, width), dtype=np.float32)
    fitted = targets[:n_fitted]
    start = time.monotonic()
    rows = validation_split(texts[:n_fitted], strata_of(fitted, context), settings.validation_share, context.seed)
    head = fit_head(settings, numbers, fitted, rows, replace(context, curves=[]))
    head.predict(chance.standard_normal((held_out, width), dtype=np.float32))
    return time.monotonic() - start
