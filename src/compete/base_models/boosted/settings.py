"""[settings] of a recipe of family `lightgbm`."""

from __future__ import annotations

from pydantic import Field, field_validator

from compete.declarations import Declaration


class TreeSettings(Declaration):
    """Settings of LightGBM's trees, whatever they are grown on."""

    learning_rate: float = Field(default=0.05, gt=0, description="what a tree adds, as a share of what it found")
    num_leaves: int = Field(default=15, ge=2, description="most leaves of a tree")
    min_data_in_leaf: int = Field(default=20, ge=1, description="fewest rows of a leaf")
    feature_fraction: float = Field(default=0.5, gt=0, le=1, description="share of the numbers that a tree may use")
    lambda_l2: float = Field(default=1.0, ge=0, description="L2 penalty on what a leaf adds")
    max_trees: int = Field(default=500, ge=1, description="fewer are taken where the validation rows say so")
    patience: int = Field(default=50, ge=1, description="trees without a lower validation loss that are borne")


class BoostedSettings(TreeSettings):
    """Settings of a recipe of trees. Words or characters are left out by `[]` for their n-grams."""

    word_ngrams: tuple[int, ...] = Field(default=(1, 2), description="shortest and longest word n-gram")
    char_ngrams: tuple[int, ...] = Field(default=(2, 5), description="the same of characters, inside words")
    min_df: int = Field(default=2, ge=1, description="an n-gram of fewer training texts than this is not known")
    max_ngrams: int = Field(default=30_000, ge=1, description="most n-grams of words, and of characters: the commonest")
    n_components: int = Field(
        default=64, ge=1, description="numbers that a text's TF-IDF is reduced to, by a truncated SVD"
    )
    validation_share: float = Field(
        default=0.1, gt=0, lt=1, description="share of the training rows to choose the number of trees on"
    )

    @field_validator("word_ngrams", "char_ngrams")
    @classmethod
    def _in_order(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if lengths and not (len(lengths) == 2 and 1 <= lengths[0] <= lengths[1]):
            raise ValueError("should be [shortest, longest] with 1 <= shortest <= longest, or []")
        return lengths
