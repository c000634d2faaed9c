"""Which settings a study varies, as they are typed and as the family takes them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any, Literal, get_args

from pydantic import BaseModel

from compete.base_models.recipes import FIXED, Recipe, varied
from compete.declarations import unknown_name
from compete.errors import DeclarationError, UserError
from compete.experiments.studies.trials import Arm
from compete.fingerprints import digest
from compete.printable import shown

# What a study of that name varies.
SHORT = {"schedulers": "scheduler", "loss": "loss", "class_weights": "class_weights", "length": "max_length"}
_TABLE = "study"  # what messages call a varied setting


def values_from(text: str) -> list[Any]:
    """ "linear,constant" or "0.1,1" or "[1, 1],[1, 2]": TOML's values where they are some, else text."""
    try:
        return list(tomllib.loads(f"x = [{text}]")["x"])
    except tomllib.TOMLDecodeError:
        return [_value(each.strip()) for each in text.split(",") if each.strip()]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def arms_of(recipe: Recipe, setting: str, values: Sequence[Any]) -> list[Arm]:
    """An arm per value; raises UserError for a setting that the family has not, DeclarationError for a value that it
    refuses.

    Without values: of a setting with a few choices all of them, of max_length half and twice as well.
    """
    setting = setting.removeprefix("settings.")
    settings = recipe.ready().settings
    _refuse_unknown(recipe, settings, setting)
    usual = [] if values else _usual(settings, setting)  # of these those that the family takes in this task
    taken = [value for value in usual if _is_taken(recipe, setting, value)]
    # As the family has them: 1 and 1.0 are one value, and that of the recipe is told by it.
    arms = [_arm(setting, _validated(recipe, setting, value)) for value in list(values) or taken]
    if len({arm.name for arm in arms}) < len(arms):
        raise UserError(f"{setting}: a value is there twice")
    if len(arms) < 2:
        raise UserError(f"{setting}: one value alone compares with nothing; name two or more, as {setting}=A,B")
    return arms


def _arm(setting: str, value: Any) -> Arm:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return Arm(f"v{digest([setting, text])}", title_of(value), change=_change(setting, value))


def _change(setting: str, value: Any) -> dict[str, Any]:
    change: dict[str, Any] = {}
    *tables, last = setting.split(".")
    inner = change
    for table in tables:
        inner = inner.setdefault(table, {})
    inner[last] = value
    return change


def _validated(recipe: Recipe, setting: str, value: Any) -> Any:
    """The value as the family has it; raises DeclarationError for one that it refuses."""
    found = current(varied(recipe, _TABLE, _change(setting, value)), setting)
    return value if isinstance(found, BaseModel) else found


def _is_taken(recipe: Recipe, setting: str, value: Any) -> bool:
    try:
        _validated(recipe, setting, value)
    except DeclarationError:
        return False
    return True


def current(recipe: Recipe, setting: str) -> Any:
    """The value that the recipe has."""
    found: Any = recipe.ready().settings
    for part in setting.removeprefix("settings.").split("."):
        found = getattr(found, part)
    return found


def title_of(value: Any) -> str:
    """A value as tables show it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _refuse_unknown(recipe: Recipe, settings: BaseModel, setting: str) -> None:
    inner: Any = settings
    for part in setting.split("."):
        fields = type(inner).model_fields if isinstance(inner, BaseModel) else {}
        if part not in fields:
            family = recipe.declaration.family
            raise UserError(
                f"{shown(setting)} is no setting of base_models/{recipe.path.name}, whose family is {family}; "
                f"{unknown_name(part, fields)}"
            )
        inner = getattr(inner, part)
    if setting in FIXED:
        raise UserError("another checkpoint is another model: write a recipe for it, and compare the two")


def _usual(settings: BaseModel, setting: str) -> list[Any]:
    if setting == "max_length":
        length = int(getattr(settings, setting))
        return [max(4, length // 2), length, 2 * length]
    field = type(settings).model_fields.get(setting)
    choices = [] if field is None else _choices(field.annotation)
    if len(choices) < 2:
        raise UserError(f"{setting}: which values? As {setting}=A,B")
    return choices


def _choices(annotation: Any) -> list[Any]:
    """The values of a Literal, also inside a union."""
    if getattr(annotation, "__origin__", None) is Literal:
        return list(get_args(annotation))
    return [choice for inner in get_args(annotation) for choice in _choices(inner)]
