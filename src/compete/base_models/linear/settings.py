"""[settings] of a recipe of family `linear`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from compete.base_models.class_weights import ClassWeights
from compete.base_models.noisy_rows import NOISY_ROWS
from compete.base_models.task_settings import only_for
from compete.declarations import Declaration


class LinearSettings(Declaration):
    """Settings of a linear recipe. Words or characters are left out by `[]` for their n-grams."""

    word_ngrams: tuple[int, ...] = Field(default=(1, 2), description="shortest and longest word n-gram")
    char_ngrams: tuple[int, ...] = Field(default=(2, 5), description="the same of characters")
    char_analyzer: Literal["char_wb", "char"] = Field(
        default="char_wb", description="char_wb: character n-grams end at the borders of words; char: they cross them"
    )
    min_df: int = Field(default=2, ge=1, description="an n-gram of fewer training texts than this is not known")
    sublinear_tf: bool = Field(default=True, description="count an n-gram as 1 + log(its occurrences in the text)")
    C: float = Field(default=1.0, gt=0, description="inverse strength of the L2 penalty")
    class_weights: ClassWeights = Field(
        default="none",
        description="weight of the positives of a label or class: 1, negatives / positives, or its square root",
        json_schema_extra=only_for("labels", "classes"),
    )
    weighting: Literal["tfidf", "nbsvm"] = Field(
        default="tfidf",
        description="nbsvm: TF-IDF features times the naive Bayes log-count ratio of the label or class, or of what is "
        "above the target's mean",
    )
    alpha: float = Field(default=1.0, gt=0, description="nbsvm only: count added to every n-gram")
    noisy_rows: float = NOISY_ROWS

    @field_validator("word_ngrams", "char_ngrams")
    @classmethod
    def _in_order(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if lengths and not (len(lengths) == 2 and 1 <= lengths[0] <= lengths[1]):
            raise ValueError("should be [shortest, longest] with 1 <= shortest <= longest, or []")
        return lengths

    @model_validator(mode="after")
    def _some_features(self) -> LinearSettings:
        if not self.word_ngrams and not self.char_ngrams:
            raise ValueError("word_ngrams and char_ngrams are both empty, so there is nothing to learn from")
        return self
