"""Which settings mean something in which tasks: said beside a setting, refused elsewhere, shown in the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from compete.competition.task import KINDS, Kind, TaskName
from compete.declarations import Problem

_KEY = "kinds"


def only_for(*kinds: Kind) -> dict[str, Any]:
    """For a field's `json_schema_extra`: the setting means nothing where an output is something else."""
    return {_KEY: list(kinds)}


def tasks_of(field: FieldInfo) -> list[TaskName]:
    """The tasks in which a setting means something; all of them where nothing is said."""
    extra = field.json_schema_extra
    kinds: Any = extra.get(_KEY) if isinstance(extra, dict) else None
    return [task for task, kind in KINDS.items() if kinds is None or kind in kinds]


def idle_settings(model: type[BaseModel], task: TaskName) -> frozenset[str]:
    """Names of the settings that mean nothing in the task: no result depends on them."""
    return frozenset(name for name, field in model.model_fields.items() if task not in tasks_of(field))


def refused_settings(settings: BaseModel, task: TaskName) -> list[Problem]:
    """Those of them that say something else than their default, by name. A default is nobody's wish."""
    model = type(settings)
    fields = [(name, model.model_fields[name]) for name in sorted(idle_settings(model, task))]
    return [
        Problem(name, f"means nothing in {task}; it is for {listed(tasks_of(field))}. Leave it out")
        for name, field in fields
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    ]


def listed(names: Sequence[str]) -> str:
    """'a, b and c'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
