"""The optional methods of one training, as its settings ask for them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from compete.base_models.pretrained.adversarial import Attack, attack_of
from compete.base_models.pretrained.learning_rates import LearningRates
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.pretrained.weight_average import WeightAverage


@dataclass
class Methods:
    """None of them by default."""

    rates: LearningRates | None = None
    """Learning rates by depth; None: one for all."""
    average: WeightAverage | None = None
    """What is validated and kept in place of the weights."""
    attack: Attack | None = None
    attack_from: int = 1
    """The first epoch with an attack, from 1."""

    @classmethod
    def of(cls, model: Any, settings: TransformerSettings, head_rate: float | None) -> Methods:
        """head_rate: a learning rate for the head alone."""
        top, decay = settings.learning_rate, settings.layer_decay
        by_depth = decay != 1 or head_rate is not None
        return cls(
            rates=LearningRates(top, decay, head_rate or top) if by_depth else None,
            average=WeightAverage(model, settings.ema) if settings.ema else None,
            attack=attack_of(settings),
            attack_from=settings.adversarial_from_epoch,
        )

    @property
    def callbacks(self) -> list[WeightAverage]:
        """What has to see every step."""
        return [] if self.average is None else [self.average]

    def attack_at(self, epoch: float | None) -> Attack | None:
        """The attack of a step, if any. epoch: how many have been passed, with the share of this one."""
        begun = math.floor(epoch or 0) + 1 >= self.attack_from
        return self.attack if begun else None

    @contextmanager
    def evaluated(self, model: Any) -> Iterator[None]:
        """The model as it is validated and kept."""
        if self.average is None:
            yield
            return
        with self.average.in_place(model):
            yield
