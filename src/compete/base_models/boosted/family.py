"""Gradient-boosted trees on a text's numbers and on the columns beside it: the family that reads a whole row.

scikit-learn and LightGBM are imported when training starts, so that reading a recipe stays quick.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.base_models.boosted.settings import BoostedSettings
from compete.base_models.boosted.text_numbers import TextNumbers
from compete.base_models.boosted.trees import Design, Trees, grow
from compete.base_models.families import FamilyDefaults, FitContext, Needs
from compete.competition.feature_columns import FeatureColumns
from compete.competition.shape import Targets
from compete.competition.text_columns import as_one, split_features

_COLUMNS = "columns.json"


class Boosted(FamilyDefaults):
    """LightGBM on counts, reduced TF-IDF, and the declared features."""

    Settings: ClassVar[type[BoostedSettings]] = BoostedSettings
    version: ClassVar[int] = 1
    imports: ClassVar[tuple[str, ...]] = ("lightgbm", "sklearn.feature_extraction.text", "sklearn.decomposition")

    def __init__(self, settings: BoostedSettings) -> None:
        self.settings = settings

    @classmethod
    def needs(cls, settings: BoostedSettings) -> Needs:
        """The columns, where there are any."""
        return Needs(features=True)

    def fit(self, texts: Sequence[str], labels: Targets, context: FitContext) -> FittedBoosted:
        """Train on `texts`, cells behind them, and what is true of them, shape (len(texts), n_outputs)."""
        from compete.base_models.validation_split import strata_of, validation_split

        alone, cells = _apart(texts)
        columns = FeatureColumns.fit(cells)
        text_numbers = TextNumbers.fit(self.settings, alone, context.seed % 2**32)
        context.progress(0.2)
        design = _design(text_numbers, columns, alone, cells)
        rows = validation_split(alone, strata_of(labels, context), self.settings.validation_share, context.seed)
        return FittedBoosted(text_numbers, columns, grow(self.settings, design, labels, rows, context))

    def load(self, folder: Path, context: FitContext) -> FittedBoosted:
        """What `save` of a fitted model wrote into `folder`."""
        known = json.loads((folder / _COLUMNS).read_text(encoding="utf-8"))
        columns = FeatureColumns(tuple(None if values is None else tuple(values) for values in known))
        return FittedBoosted(TextNumbers.load(self.settings, folder), columns, Trees.load(folder, context))


@dataclass(frozen=True)
class FittedBoosted:
    """How texts and cells become numbers, and the trees."""

    text_numbers: TextNumbers
    columns: FeatureColumns
    trees: Trees

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Predictions, shape (len(texts), n_outputs): see `competition/task.py`."""
        if not texts:
            return np.zeros((0, len(self.trees.starts)), dtype=np.float32)
        design = _design(self.text_numbers, self.columns, *_apart(texts))
        return self.trees.predict(design.numbers).astype(np.float32)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Trees as text, vocabularies and categories as JSON, the rest as safetensors; small enough to be kept."""
        self.text_numbers.save(folder)
        self.trees.save(folder)
        (folder / _COLUMNS).write_text(json.dumps(self.columns.categories, ensure_ascii=False), encoding="utf-8")
        return True


def _apart(texts: Sequence[str]) -> tuple[list[str], list[tuple[str, ...]]]:
    """The texts alone, pairs as one, and the cells behind them, column by column."""
    rows = [split_features(text) for text in texts]
    return [as_one(text) for text, _ in rows], list(zip(*(cells for _, cells in rows), strict=True))


def _design(
    text_numbers: TextNumbers, columns: FeatureColumns, texts: Sequence[str], cells: Sequence[Sequence[str]]
) -> Design:
    of_texts, of_columns = text_numbers.of(texts), columns.encode(cells, len(texts))
    places = [of_texts.shape[1] + place for place in columns.of_categories]
    return Design(np.hstack([of_texts, of_columns]), places)
