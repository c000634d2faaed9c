"""A feed-forward net over embeddings learnt from scratch: the baseline every pretrained model has to beat.

A text is what the vectors of its tokens pool to, whatever their order. torch is imported when training
starts, so that reading a recipe stays quick; the net itself is in `ffnn_network`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from compete.base_models.families import FitContext
from compete.base_models.linear import tokenise
from compete.declarations import Declaration

if TYPE_CHECKING:
    from compete.base_models.ffnn_network import Network


_WEIGHTS, _VOCABULARY = "weights.safetensors", "vocabulary.json"


class FeedForwardSettings(Declaration):
    """Settings of a feed-forward recipe; rates, batches and epochs are by default those of the report."""

    embedding_size: int = Field(default=64, ge=1, description="length of a token's vector")
    min_df: int = Field(default=2, ge=1, description="a token of fewer training texts than this is not known")
    hidden: tuple[int, ...] = Field(default=(128, 64), min_length=1, description="sizes of the hidden layers")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="share of units dropped before every layer")
    token_dropout: float = Field(default=0.3, ge=0, lt=1, description="share of a text's tokens hidden in training")
    epochs: int = Field(default=10, ge=1, description="passes over the training rows")
    batch_size: int = Field(default=64, ge=2, description="rows per training step; an epoch's rest is spread over them")
    eval_batch_size: int = Field(default=128, ge=1, description="rows predicted at once")
    learning_rate: float = Field(default=0.005, gt=0, description="AdamW's rate at the start")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay")
    plateau_patience: int = Field(default=0, ge=0, description="epochs without a better inner loss that are borne")
    plateau_factor: float = Field(default=0.5, gt=0, lt=1, description="what the rate is then multiplied by")
    inner_share: float = Field(default=0.1, gt=0, lt=1, description="share of the training rows to judge epochs on")
    class_weights: Literal["none", "balanced", "sqrt"] = Field(
        default="none", description="weight of a label's positives: 1, negatives / positives, or its square root"
    )
    members: int = Field(default=1, ge=1, description="nets to average, each with its own seed and inner rows")


class FeedForward:
    """Embeddings, mean and maximum over the tokens, several hidden layers, one logit per label."""

    Settings: ClassVar[type[FeedForwardSettings]] = FeedForwardSettings
    version: ClassVar[int] = 1
    imports: ClassVar[tuple[str, ...]] = ("compete.base_models.ffnn_network",)

    def __init__(self, settings: FeedForwardSettings) -> None:
        self.settings = settings

    def fit(self, texts: Sequence[str], labels: NDArray[np.int8], context: FitContext) -> FittedFeedForward:
        """Train on `texts` and their 0/1 `labels`, shape (len(texts), n_labels), at least three rows."""
        from compete.base_models.ffnn_network import train

        vocabulary = Vocabulary.learn(texts, self.settings.min_df)
        networks = train(self.settings, texts, vocabulary.encode(texts), len(vocabulary.ids), labels, context)
        return FittedFeedForward(vocabulary, networks, self.settings.eval_batch_size, labels.shape[1])

    def load(self, folder: Path, context: FitContext) -> FittedFeedForward:
        """What `save` of a fitted model wrote into `folder`."""
        from compete.base_models.ffnn_network import read_networks

        terms = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
        vocabulary = Vocabulary({term: number for number, term in enumerate(terms, start=1)})
        n_labels = len(context.labels)
        networks = read_networks(self.settings, folder / _WEIGHTS, len(terms), n_labels, context.threads)
        return FittedFeedForward(vocabulary, networks, self.settings.eval_batch_size, n_labels)


@dataclass(frozen=True)
class FittedFeedForward:
    """The vocabulary of the training texts and the trained nets."""

    vocabulary: Vocabulary
    networks: list[Network]
    batch_size: int
    n_labels: int

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Mean probabilities of the nets, shape (len(texts), n_labels)."""
        from compete.base_models.ffnn_network import probabilities

        if not texts:
            return np.zeros((0, self.n_labels), dtype=np.float32)
        return probabilities(self.networks, self.vocabulary.encode(texts), self.batch_size)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """The vocabulary as JSON, the nets' weights as safetensors; small enough to be kept always."""
        from compete.base_models.ffnn_network import write_networks

        write_networks(self.networks, folder / _WEIGHTS)
        (folder / _VOCABULARY).write_text(json.dumps(list(self.vocabulary.ids), ensure_ascii=False), encoding="utf-8")
        return True


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by number, from 1: 0 stands for a token that is hidden."""

    ids: dict[str, int]

    @classmethod
    def learn(cls, texts: Sequence[str], min_df: int) -> Vocabulary:
        """The tokens of at least `min_df` of the texts."""
        document_frequency = Counter(token for text in texts for token in set(tokenise(text)))
        # Sorted, because the order of a set of strings differs from process to process.
        known = sorted(token for token, count in document_frequency.items() if count >= min_df)
        return cls({token: number for number, token in enumerate(known, start=1)})

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """The numbers of each text's known tokens; a text without any gives an empty array."""
        return [
            np.array([self.ids[token] for token in tokenise(text) if token in self.ids], dtype=np.int64)
            for text in texts
        ]
