"""The competition's metric: what it scores, which direction is better, and how its scores scatter over rows."""

from __future__ import annotations

from compete.competition.metric_names import places_of
from compete.competition.metrics.metric import (
    Floats,
    Labels,
    Metric,
    Numbers,
    Predicted,
    Probabilities,
    Truth,
)
from compete.competition.metrics.of_grades import METRICS_OF_GRADES
from compete.competition.metrics.of_labels import (
    METRICS_OF_LABELS,
    f1_of_sums,
    f1_per_label,
    f1_sums,
    precision_recall_per_label,
)
from compete.competition.metrics.of_numbers import METRICS_OF_NUMBERS
from compete.competition.metrics.of_probabilities import METRICS_OF_PROBABILITIES, auc_values, both_classes, map_at
from compete.competition.metrics.own import own_metric
from compete.declarations import unknown_name
from compete.errors import UserError

__all__ = [
    "METRICS",
    "Floats",
    "Labels",
    "Metric",
    "Numbers",
    "Predicted",
    "Probabilities",
    "Truth",
    "auc_values",
    "both_classes",
    "f1_of_sums",
    "f1_per_label",
    "f1_sums",
    "find_metric",
    "own_metric",
    "precision_recall_per_label",
]

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (*METRICS_OF_LABELS, *METRICS_OF_PROBABILITIES, *METRICS_OF_NUMBERS, *METRICS_OF_GRADES)
}


def find_metric(name: str) -> Metric:
    """The metric of that name, map_at_K among them; raises UserError for a name that there is none of."""
    k = places_of(name)
    if k is not None:
        return map_at(k)
    if name not in METRICS:
        raise UserError(f"no metric {name!r}; {unknown_name(name, [*METRICS, 'map_at_K'])}")
    return METRICS[name]
