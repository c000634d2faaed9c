"""The metrics by name: what they are called, which tasks they score, and what they look at.

Kept apart from what computes them (`metrics`), so that a declaration is read and a table printed without numpy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from compete.competition.task import TaskName

Wants = Literal["decisions", "probabilities", "numbers"]


@dataclass(frozen=True)
class MetricInfo:
    """What a table or a declaration has to know of a metric."""

    title: str
    tasks: tuple[TaskName, ...]
    wants: Wants
    """What it scores: decisions (0 or 1, a class, a grade), probabilities, or numbers."""
    greater_is_better: bool = True
    least: float | None = None
    """The least number that it is defined for; None where any will do."""

    @property
    def sign(self) -> int:
        """Scores times this are better the greater they are."""
        return 1 if self.greater_is_better else -1


_INFO: dict[str, MetricInfo] = {
    "f1_macro": MetricInfo("macro-F1", ("multilabel", "multiclass"), "decisions"),
    "f1_micro": MetricInfo("micro-F1", ("multilabel", "multiclass"), "decisions"),
    "f1_weighted": MetricInfo("weighted F1", ("multilabel", "multiclass"), "decisions"),
    "f1_samples": MetricInfo("samples-F1", ("multilabel",), "decisions"),
    "f1": MetricInfo("F1", ("binary",), "decisions"),
    "jaccard_samples": MetricInfo("samples-Jaccard", ("multilabel",), "decisions"),
    "accuracy": MetricInfo("accuracy", ("multilabel", "binary", "multiclass", "ordinal"), "decisions"),
    "balanced_accuracy": MetricInfo("balanced accuracy", ("binary",), "decisions"),
    "recall_macro": MetricInfo("macro recall", ("multiclass",), "decisions"),
    "matthews": MetricInfo("Matthews correlation", ("binary", "multiclass"), "decisions"),
    "roc_auc": MetricInfo("AUC", ("binary",), "probabilities"),
    "roc_auc_macro": MetricInfo("macro-AUC", ("multilabel", "multiclass"), "probabilities"),
    "roc_auc_weighted": MetricInfo("weighted AUC", ("multilabel", "multiclass"), "probabilities"),
    "average_precision": MetricInfo("average precision", ("binary",), "probabilities"),
    "average_precision_macro": MetricInfo("macro average precision", ("multilabel", "multiclass"), "probabilities"),
    "log_loss": MetricInfo("log loss", ("multilabel", "binary"), "probabilities", greater_is_better=False),
    "multiclass_log_loss": MetricInfo("multiclass log loss", ("multiclass",), "probabilities", greater_is_better=False),
    "rmse": MetricInfo("RMSE", ("regression", "ordinal"), "numbers", greater_is_better=False),
    "mcrmse": MetricInfo("MCRMSE", ("regression", "ordinal"), "numbers", greater_is_better=False),
    "mae": MetricInfo("MAE", ("regression", "ordinal"), "numbers", greater_is_better=False),
    "rmsle": MetricInfo("RMSLE", ("regression",), "numbers", greater_is_better=False, least=0.0),
    "r2": MetricInfo("R2", ("regression", "ordinal"), "numbers"),
    "pearson": MetricInfo("Pearson correlation", ("regression", "ordinal"), "numbers"),
    "spearman": MetricInfo("Spearman correlation", ("regression", "ordinal"), "numbers"),
    "quadratic_weighted_kappa": MetricInfo("quadratic weighted kappa", ("ordinal",), "decisions"),
}
DEFAULT_METRICS: dict[TaskName, str] = {
    "multilabel": "f1_macro",
    "binary": "roc_auc",
    "multiclass": "f1_macro",
    "regression": "rmse",
    "ordinal": "quadratic_weighted_kappa",
}
_MAP = re.compile(r"map_at_([1-9][0-9]?)")
_OWN = re.compile(r"([^:]+\.py):([A-Za-z_]\w*)")


def metric_info(name: str) -> MetricInfo | None:
    """What is known of a metric; None for a name that there is none of."""
    k = places_of(name)
    if k is not None:
        return MetricInfo(f"MAP@{k}", ("multilabel", "multiclass"), "probabilities")
    return _INFO.get(name)


def every_metric() -> list[str]:
    """All names; map_at_K stands for every K."""
    return [*_INFO, "map_at_K"]


def places_of(name: str) -> int | None:
    """The K of map_at_K, None of another name."""
    found = _MAP.fullmatch(name)
    return int(found[1]) if found else None


def is_own(name: str) -> bool:
    """Whether it names a function in a file of the workspace: "my_metric.py:score"."""
    return _OWN.fullmatch(name) is not None


def metric_names(task: TaskName) -> list[str]:
    """The metrics of a task, its default first; map_at_K stands for every K."""
    named = [name for name, info in _INFO.items() if task in info.tasks]
    named.sort(key=lambda name: name != DEFAULT_METRICS[task])
    return [*named, "map_at_K"] if task in ("multilabel", "multiclass") else named
