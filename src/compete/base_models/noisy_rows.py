"""The setting `noisy_rows`, the same in every family that has it; light, so that reading a recipe stays quick."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from compete.base_models.task_settings import added_later, only_for

NOISY_ROWS: Any = Field(
    default=1.0,
    ge=0,
    le=1,
    description="weight in training of rows whose label or class is likely wrong by confident learning (Northcutt et "
    "al. 2021), of several labels for that label alone; 1: none is looked for",
    json_schema_extra={**only_for("labels", "classes"), **added_later()},
)
