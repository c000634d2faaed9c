"""Which settings mean something in which tasks: said beside a setting, refused elsewhere, shown in the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from compete.competition.task import KINDS, Kind, TaskName
from compete.declarations import Problem

_KEY = "kinds"
_LATER = "later"


def only_for(*kinds: Kind) -> dict[str, Any]:
    """For a field's `json_schema_extra`: the setting means nothing where an output is something else."""
    return {_KEY: list(kinds)}


def added_later(*kinds: Kind) -> dict[str, Any]:
    """For a field's `json_schema_extra`: results were stored before there was the setting, for outputs of these kinds
    (of every kind where none is named). Its default, which is what they were made with, is no part of an identity.
    """
    return {_LATER: list(kinds or dict.fromkeys(KINDS.values()))}


def tasks_of(field: FieldInfo) -> list[TaskName]:
    """The tasks in which a setting means something; all of them where nothing is said."""
    kinds = _extra(field).get(_KEY)
    return [task for task, kind in KINDS.items() if kinds is None or kind in kinds]


def idle_settings(model: type[BaseModel], task: TaskName) -> frozenset[str]:
    """Names of the settings that mean nothing in the task: no result depends on them."""
    return frozenset(name for name, field in model.model_fields.items() if task not in tasks_of(field))


def left_out_of_identity(settings: BaseModel, task: TaskName) -> frozenset[str]:
    """Names of the settings that are no part of a result's identity: idle ones, and later ones at their default."""
    model = type(settings)
    later = {
        name
        for name, field in model.model_fields.items()
        if KINDS[task] in _extra(field).get(_LATER, ())
        and getattr(settings, name) == field.get_default(call_default_factory=True)
    }
    return idle_settings(model, task) | later


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


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
