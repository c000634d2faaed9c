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
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.base_models.families import FamilyDefaults, FitContext, Needs
from compete.base_models.ffnn.settings import FeedForwardSettings
from compete.base_models.linear.tokens import tokenise
from compete.base_models.task_losses import refused_loss, settled_loss
from compete.base_models.task_settings import idle_settings, refused_settings
from compete.competition.shape import Targets
from compete.competition.task import TaskName
from compete.competition.text_columns import as_one
from compete.declarations import Problem

if TYPE_CHECKING:
    from compete.base_models.ffnn.network import Network
    from compete.base_models.objectives import Objective


_WEIGHTS, _VOCABULARY = "weights.safetensors", "vocabulary.json"


class FeedForward(FamilyDefaults):
    """Embeddings, mean and maximum over the tokens, several hidden layers, one logit per label or class, or a number
    per target."""

    Settings: ClassVar[type[FeedForwardSettings]] = FeedForwardSettings
    version: ClassVar[int] = 1
    # An optimiser's first step imports the second: more than a second in every job, if it is not there yet.
    imports: ClassVar[tuple[str, ...]] = ("compete.base_models.ffnn.network", "torch._dynamo")

    learns_soft_rows: ClassVar[bool] = True

    def __init__(self, settings: FeedForwardSettings) -> None:
        self.settings = settings

    @classmethod
    def needs(cls, settings: FeedForwardSettings) -> Needs:
        """Nothing: it starts from the texts alone."""
        return Needs()

    @classmethod
    def refused(cls, settings: FeedForwardSettings, task: TaskName) -> list[Problem]:
        """A loss of another task too."""
        return refused_settings(settings, task) or refused_loss(settings.loss, task)

    @classmethod
    def settled(cls, settings: FeedForwardSettings, task: TaskName) -> FeedForwardSettings:
        """The loss that is fitted, where it is a choice."""
        if "loss" in idle_settings(cls.Settings, task):
            return settings
        return settings.model_copy(update={"loss": settled_loss(settings.loss, task)})

    def fit(self, texts: Sequence[str], labels: Targets, context: FitContext) -> FittedFeedForward:
        """Train on `texts` and what is true of them, shape (len(texts), n_outputs), at least three rows."""
        from compete.base_models.ffnn.network import train
        from compete.base_models.objectives import Objective

        objective = Objective.of(self.settings.loss, labels, context)
        vocabulary = Vocabulary.learn(texts, self.settings.min_df)
        soft = [] if context.soft is None else vocabulary.encode(context.soft.texts)
        encoded = vocabulary.encode(texts) + soft
        networks = train(self.settings, texts, encoded, len(vocabulary.ids), labels, objective, context)
        return FittedFeedForward(vocabulary, networks, objective, self.settings.eval_batch_size)

    def load(self, folder: Path, context: FitContext) -> FittedFeedForward:
        """What `save` of a fitted model wrote into `folder`."""
        from compete.base_models.ffnn.network import read_networks
        from compete.base_models.objectives import Objective

        objective = Objective.read(self.settings.loss, folder, context)
        terms = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
        vocabulary = Vocabulary({term: number for number, term in enumerate(terms, start=1)})
        networks = read_networks(self.settings, folder / _WEIGHTS, len(terms), objective.width, context.threads)
        return FittedFeedForward(vocabulary, networks, objective, self.settings.eval_batch_size)


@dataclass(frozen=True)
class FittedFeedForward:
    """The vocabulary of the training texts and the trained nets."""

    vocabulary: Vocabulary
    networks: list[Network]
    objective: Objective
    batch_size: int

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Mean predictions of the nets, shape (len(texts), n_outputs)."""
        from compete.base_models.ffnn.network import predictions

        if not texts:
            return np.zeros((0, self.objective.n_outputs), dtype=np.float32)
        return predictions(self.networks, self.vocabulary.encode(texts), self.objective, self.batch_size)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """The vocabulary as JSON, the nets' weights as safetensors; small enough to be kept always."""
        from compete.base_models.ffnn.network import write_networks

        write_networks(self.networks, folder / _WEIGHTS)
        self.objective.save(folder)
        (folder / _VOCABULARY).write_text(json.dumps(list(self.vocabulary.ids), ensure_ascii=False), encoding="utf-8")
        return True


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by number, from 1: 0 stands for a token that is hidden."""

    ids: dict[str, int]

    @classmethod
    def learn(cls, texts: Sequence[str], min_df: int) -> Vocabulary:
        """The tokens of at least `min_df` of the texts."""
        document_frequency = Counter(token for text in texts for token in set(_tokens(text)))
        # Sorted, because the order of a set of strings differs from process to process.
        known = sorted(token for token, count in document_frequency.items() if count >= min_df)
        return cls({token: number for number, token in enumerate(known, start=1)})

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """The numbers of each text's known tokens; a text without any gives an empty array."""
        return [
            np.array([self.ids[token] for token in _tokens(text) if token in self.ids], dtype=np.int64)
            for text in texts
        ]


def _tokens(text: str) -> list[str]:
    return tokenise(as_one(text))
