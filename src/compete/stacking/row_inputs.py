"""What the trees of a stack may look at besides the base models: counts in the texts, and the declared features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compete.base_models.row_features import row_features
from compete.competition.data import Competition
from compete.competition.feature_columns import FeatureColumns
from compete.errors import UserError
from compete.stacking.ensemble.meta_learners import RowFeatures
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe

_LARGEST = 1e38  # float32 holds three times that


@dataclass(frozen=True)
class RowInputs:
    """What is known of some rows; None where no recipe wants it."""

    counted: RowFeatures | None = None
    """In their texts, (n_rows, n_counts)."""
    declared: RowFeatures | None = None
    """Their cells of [data] features, (n_rows, n_columns)."""

    def wanted_by(self, declared: StackDeclaration) -> RowFeatures | None:
        """Side by side what a recipe wants, (n_rows, n_features)."""
        pairs = ((declared.row_features, self.counted), (declared.features, self.declared))
        wanted = [numbers for wants, numbers in pairs if wants and numbers is not None]
        return np.hstack(wanted) if wanted else None


NOTHING = RowInputs()


def row_inputs(
    competition: Competition,
    recipes: Sequence[StackRecipe],
    texts: Sequence[str],
    columns: Mapping[str, Sequence[str]] | None,
) -> tuple[RowInputs, RowInputs]:
    """Of the training rows, and of others with these texts and cells by column.

    A category's code is its place among those that the training rows have: no label has a part in it. Raises UserError
    where a recipe wants features and none are declared, or the other rows have none.
    """
    counts = any(recipe.declaration.row_features for recipe in recipes)
    counted = [row_features(of) if counts else None for of in (competition.train_texts, texts)]
    wanting = [recipe.name for recipe in recipes if recipe.declaration.features]
    if not wanting:
        return RowInputs(counted[0]), RowInputs(counted[1])
    names = sorted(competition.declaration.data.features)
    if not names:
        raise UserError(
            f"stacking/{wanting[0]}.toml: features = true, but competition.toml declares none: name the columns there, "
            'as [data] features = ["column"]'
        )
    train, others = competition.train_features, competition.new_features(columns)
    learnt = FeatureColumns.fit([train[name] for name in names])
    declared = [
        declared_features(learnt, names, cells, len(of))
        for cells, of in ((train, competition.train_texts), (others, texts))
    ]
    return RowInputs(counted[0], declared[0]), RowInputs(counted[1], declared[1])


def declared_features(
    learnt: FeatureColumns, names: Sequence[str], cells: Mapping[str, Sequence[str]], n_rows: int
) -> RowFeatures:
    """Cells of the declared columns as numbers, float32 (n_rows, n_columns)."""
    encoded = learnt.encode([cells[name] for name in names], n_rows)
    return np.asarray(np.clip(encoded, -_LARGEST, _LARGEST), dtype=np.float32)
