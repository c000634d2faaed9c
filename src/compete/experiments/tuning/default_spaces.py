"""What is searched of a recipe without [tune]: a few settings of its family that mean something in the task.

Every default holds what the recipe says, so that its own settings can be the first trial. Rates are searched around
the recipe's: what suits a checkpoint is known from there. What would have a checkpoint read the texts again for every
trial (layers, pooling, length) is left to a [tune] of one's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compete.base_models.boosted.settings import BoostedSettings, TreeSettings
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.ffnn.settings import FeedForwardSettings
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.linear.settings import LinearSettings
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.recipes import Recipe
from compete.base_models.task_settings import idle_settings
from compete.competition.task import TaskName
from compete.errors import UserError

Table = dict[str, Any]
"""As [tune] has it: what is said of a setting, by its dotted name."""


# What puts probabilities on another scale. A threshold is fitted on the other folds and decides this one: where folds
# differ in these, it is a threshold of something else.
SCALES = frozenset({"class_weights", "loss", "label_smoothing", "head"})


def default_space(recipe: Recipe, *, is_nested: bool = False) -> Table:
    """As a [tune] table; raises UserError for a family that has no default.

    is_nested: every fold has settings of its own, without those that put probabilities on another scale.
    """
    make = _SPACES.get(recipe.declaration.family)
    if make is None:
        raise UserError(
            f"{recipe.shown}: family {recipe.declaration.family} has no space of its own to search: write a table "
            "[tune], as `smoothing = { low = 0.1, high = 10.0, log = true }`"
        )
    table: Table = make(recipe.settings)
    idle = _idle(recipe.settings, recipe.task) | (SCALES if is_nested else frozenset())
    return {name: entry for name, entry in table.items() if name.split(".")[0] not in idle}


def _idle(settings: Any, task: TaskName) -> frozenset[str]:
    return idle_settings(type(settings), task)


def _linear(settings: LinearSettings) -> Table:
    nbsvm = settings.weighting == "nbsvm"
    return {
        "C": _around(settings.C, 30),
        "min_df": _choices(settings.min_df, 1, 2, 3, 5),
        "word_ngrams": _choices(list(settings.word_ngrams), [1, 1], [1, 2], [1, 3]),
        "char_ngrams": _choices(list(settings.char_ngrams), [2, 4], [2, 5], [2, 6], [3, 5]),
        "sublinear_tf": _choices(settings.sublinear_tf, True, False),
        "class_weights": _choices(settings.class_weights, "none", "sqrt", "balanced"),
        **({"alpha": _around(settings.alpha, 10)} if nbsvm else {}),
    }


def _trees(settings: TreeSettings, before: str = "") -> Table:
    return {
        f"{before}learning_rate": _within(settings.learning_rate, 0.01, 0.2, log=True),
        f"{before}num_leaves": _within(settings.num_leaves, 4, 63, log=True),
        f"{before}min_data_in_leaf": _within(settings.min_data_in_leaf, 5, 100, log=True),
        f"{before}feature_fraction": _within(settings.feature_fraction, 0.1, 1.0),
        f"{before}lambda_l2": _within(settings.lambda_l2, 0.01, 30.0, log=settings.lambda_l2 > 0),
    }


def _boosted(settings: BoostedSettings) -> Table:
    return {**_trees(settings), "n_components": _choices(settings.n_components, 32, 64, 128)}


def _ffnn(settings: FeedForwardSettings) -> Table:
    return {
        "learning_rate": _around(settings.learning_rate, 5),
        "weight_decay": _within(settings.weight_decay, 0.001, 0.3, log=settings.weight_decay > 0),
        "dropout": _within(settings.dropout, 0.1, 0.7),
        "token_dropout": _within(settings.token_dropout, 0.0, 0.5),
        "embedding_size": _choices(settings.embedding_size, 32, 64, 128),
        "hidden": _choices(list(settings.hidden), [64], [128, 64], [256, 128]),
        "batch_size": _choices(settings.batch_size, 32, 64, 128),
    }


def _transformer(settings: TransformerSettings, adaptation: str) -> Table:
    lora = adaptation in ("lora", "qlora")
    return {
        "learning_rate": _around(settings.learning_rate, 4),
        "weight_decay": _within(settings.weight_decay, 0.0, 0.1),
        "warmup": _within(settings.warmup, 0.0, 0.2),
        "epochs": {"low": max(1, settings.epochs - 1), "high": settings.epochs + 1},
        "batch_size": _choices(settings.batch_size, max(1, settings.batch_size // 2), settings.batch_size * 2),
        "class_weights": _choices(settings.class_weights, "none", "sqrt"),
        **({"lora.r": _choices(settings.lora.r, 8, 16, 32)} if lora else {}),
        **({"lora.dropout": _within(settings.lora.dropout, 0.0, 0.2)} if lora else {}),
    }


def _classifier(settings: SequenceClassifierSettings) -> Table:
    return _transformer(settings, settings.adaptation)


def _generator(settings: LabelGeneratorSettings) -> Table:
    return _transformer(settings, settings.adaptation)


def _embeddings(settings: EmbeddingsSettings) -> Table:
    if settings.head == "lightgbm":
        return _trees(settings.trees, "trees.")
    if settings.head == "knn":
        return {"neighbours": _within(settings.neighbours, 5, 300, log=True)}
    strengths = [[C] for C in (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)]
    heads = ("linear", "svm")
    return {"C": _choices(list(settings.C), *strengths), "head": _choices(settings.head, *heads)}


_SPACES: dict[str, Callable[[Any], Table]] = {
    "linear": _linear,
    "lightgbm": _boosted,
    "ffnn": _ffnn,
    "sequence_classifier": _classifier,
    "embeddings": _embeddings,
    "label_generator": _generator,
}


def _around(value: float, factor: float) -> Table:
    """A factor to each side of what the recipe says."""
    return {"low": float(f"{value / factor:.3g}"), "high": float(f"{value * factor:.3g}"), "log": True}


def _within(value: float, low: float, high: float, *, log: bool = False) -> Table:
    """A range, wider where the recipe's own value lies outside."""
    return {"low": min(low, value), "high": max(high, value), "log": log}


def _choices(value: Any, *others: Any) -> Table:
    """The recipe's own value, then the others."""
    return {"choices": [value, *(other for other in others if other != value)]}
