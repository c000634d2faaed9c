"""Several trainings of one fold that differ in their seed alone: their mean is the model (`seeds` of a recipe)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compete.base_models.families import Family, FitContext, FittedModel, Keepable


@dataclass(frozen=True)
class Averaged:
    """The mean of several fitted models."""

    models: Sequence[FittedModel]
    spreads: list[float] = field(default_factory=list)
    """Of what was predicted so far: how far the models lie from one another, their standard deviation on average."""

    @property
    def precision(self) -> str:
        """What the first computes its predictions in, as all do."""
        return str(getattr(self.models[0], "precision", "float32"))

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), n_outputs)."""
        each = np.stack([model.predict_proba(texts) for model in self.models]).astype(np.float64)
        self.spreads.append(float(each.std(axis=0, ddof=1).mean()) if len(texts) else 0.0)
        return np.asarray(each.mean(axis=0), dtype=np.float32)


@dataclass(frozen=True)
class KeptAveraged(Averaged):
    """The same of models that can be written down."""

    def save(self, folder: Path, *, whole: bool) -> bool:
        """A folder for every model; returns whether all of them can predict."""
        stays = True
        for number, model in enumerate(self.models):
            assert isinstance(model, Keepable)
            _of(folder, number).mkdir(exist_ok=True)  # what does not stay is written once more, whole, for its check
            stays &= model.save(_of(folder, number), whole=whole)
        return stays


def averaged(models: Sequence[FittedModel]) -> FittedModel:
    """One model as it is, several as their mean."""
    if len(models) == 1:
        return models[0]
    return KeptAveraged(models) if all(isinstance(model, Keepable) for model in models) else Averaged(models)


def load_averaged(build: Callable[[], Family], folder: Path, context: FitContext, seeds: int) -> FittedModel:
    """What was kept of `seeds` trainings; each by a family of its own, which may return itself."""
    if seeds == 1:
        return build().load(folder, context)
    return KeptAveraged([build().load(_of(folder, number), context) for number in range(seeds)])


def _of(folder: Path, number: int) -> Path:
    return folder / f"seed_{number}"
