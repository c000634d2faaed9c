"""The metrics that a competition.toml of several labels may name."""

from __future__ import annotations

from compete.competition.metric_names import metric_names
from compete.competition.metrics import METRICS, Metric

DECLARED_METRICS: dict[str, Metric] = {name: METRICS[name] for name in metric_names("multilabel") if name != "map_at_K"}
