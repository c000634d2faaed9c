"""Training and loading of a head on an encoder that stays as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.embeddings.encoder import Encoder
from compete.base_models.embeddings.heads import Head, fit_head, load_head
from compete.base_models.embeddings.kept_numbers import numbers_of
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FitContext
from compete.base_models.pretrained.adaptation import keep_beside
from compete.base_models.pretrained.checkpoints import kept_source, source_of
from compete.base_models.pretrained.device import Precision
from compete.base_models.validation_split import strata_of, validation_split
from compete.competition.shape import Targets

_READING = "reading.json"


def train(
    settings: EmbeddingsSettings, texts: Sequence[str], targets: Targets, context: FitContext
) -> FittedEmbeddings:
    """Fit the head on all rows, with what is chosen (penalty, number of trees) chosen on some of them."""
    torch.set_num_threads(context.threads)
    encoder = Encoder.open(source_of(settings, texts, context.seed))
    context.facts.update(precision=encoder.precision, prompt=encoder.prompt)
    numbers = numbers_of(encoder, texts, context)
    rows = validation_split(texts, strata_of(targets, context), settings.validation_share, context.seed)
    soft = None if context.soft is None else (numbers_of(encoder, context.soft.texts, context), context.soft)
    head = fit_head(settings, numbers, targets, rows, context, soft)
    context.progress(1.0)
    return FittedEmbeddings(encoder, head, targets.shape[1], context)


def load(settings: EmbeddingsSettings, folder: Path, context: FitContext) -> FittedEmbeddings:
    """What was kept in `folder`."""
    torch.set_num_threads(context.threads)
    prompt = json.loads((folder / _READING).read_text(encoding="utf-8"))["prompt"]
    encoder = Encoder.open(kept_source(settings, folder), prompt)
    return FittedEmbeddings(encoder, load_head(settings, folder, context), len(context.labels), context)


@dataclass
class FittedEmbeddings:
    """A checkpoint and what was learnt on top of it."""

    encoder: Encoder
    head: Head
    n_outputs: int
    context: FitContext

    @property
    def precision(self) -> Precision:
        """Of its reading."""
        return self.encoder.precision

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Predictions (len(texts), n_outputs): see `competition/task.py`."""
        if not texts:
            return np.zeros((0, self.n_outputs), dtype=np.float32)
        numbers = numbers_of(self.encoder, texts, self.context)
        return self.head.predict(numbers).astype(np.float32)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """The head, the tokenizer, the prompt, and a miniature, which no other place has."""
        self.head.save(folder)
        atomic.write_json(folder / _READING, {"prompt": self.encoder.prompt})
        keep_beside(self.encoder.source, self.encoder.tokenizer, folder)
        return True
