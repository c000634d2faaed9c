"""A classifier of sentences on a miniature, trained in a moment on posts that tell their labels."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext

LABELS = ("joy", "anger")


def posts(count: int = 96) -> tuple[list[str], NDArray[np.int8]]:
    """Posts in which "sunny" means joy and "rotten" anger."""
    random = Random(5)
    texts, rows = [], []
    for _ in range(count):
        row = (int(random.random() < 0.5), int(random.random() < 0.3))
        cues = [cue for cue, is_on in zip(("sunny", "rotten"), row, strict=True) if is_on]
        texts.append(" ".join([*cues, "day", *(f"filler{random.randrange(30)}" for _ in range(random.randrange(6)))]))
        rows.append(row)
    return texts, np.array(rows, dtype=np.int8)


def settings(checkpoint: str, **more: Any) -> SequenceClassifierSettings:
    small = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "max_length": 32, "precision": "float32"}
    return SequenceClassifierSettings(checkpoint=checkpoint, **{**small, **more})


def fit(checkpoint: str, seed: int = 3, **more: Any) -> tuple[Any, FitContext]:
    context = FitContext(labels=LABELS, seed=seed)
    return SequenceClassifier(settings(checkpoint, **more)).fit(*posts(), context), context
