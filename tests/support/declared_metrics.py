"""The metrics that a competition.toml may name."""

from __future__ import annotations

from typing import get_args

from compete.competition.declaration import MetricName
from compete.competition.metrics import METRICS, Metric

DECLARED_METRICS: dict[str, Metric] = {name: METRICS[name] for name in get_args(MetricName)}
