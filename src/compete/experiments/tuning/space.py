"""What is searched: [tune] of a recipe, or its family's default, read against the family's own settings.

A space is refused where it could not be searched (an empty range, the logarithm of zero) and where what it could give
is no recipe: its ends and choices, and their combinations, go through the family's validation before anything trains.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from compete.base_models.recipes import FIXED, Recipe
from compete.declarations import Problem, refuse, unknown_name
from compete.printable import shown

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Params = Mapping[str, Any]
"""A value per setting, by its dotted name, as Optuna stores them: a choice is its JSON."""
TABLE = "tune"
_KEYS = frozenset({"low", "high", "log", "step", "choices"})
_DIGITS = 4  # of a number that is tried: as many as are written into the recipe
_STEPS = 1_000_000  # in a range
_COMBINATIONS = 200  # of ends and choices that are validated; of more, so many by chance


@dataclass(frozen=True)
class Numbers:
    """A range of numbers, its ends among them."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def encoded(self, value: Any) -> Any:
        return value

    def settled(self, suggested: Any) -> Any:
        """What Optuna suggests, with few digits, so that what is tried can be written down."""
        value = suggested
        if self.whole or self.step is not None:
            return value
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    def decoded(self, stored: Any) -> Any:
        return stored

    def holds(self, value: Any) -> bool:
        """Whether a setting's value can be tried as it is."""
        if not isinstance(value, int | float) or isinstance(value, bool) or (self.whole and not isinstance(value, int)):
            return False
        return self.low <= value <= self.high and (self.step is None or _is_whole((value - self.low) / self.step))

    @property
    def count(self) -> float:
        """Of the values that there are."""
        step = 1 if self.whole and self.step is None else self.step
        return math.inf if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    @property
    def samples(self) -> list[Any]:
        """Values that are validated before anything is tried."""
        return [self.low, self.high]

    @property
    def text(self) -> str:
        how = ", log" if self.log else f", by {self.step:g}" if self.step is not None else ""
        return f"{self.low:g} to {self.high:g}{how}"


@dataclass(frozen=True)
class Choices:
    """Some values, in no order."""

    values: tuple[Any, ...]

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([json.dumps(value) for value in self.values])

    def encoded(self, value: Any) -> Any:
        """Its JSON: a list of layers is no value that Optuna knows."""
        return json.dumps(value)

    def settled(self, suggested: Any) -> Any:
        return suggested

    @property
    def _stored(self) -> set[str]:
        return {json.dumps(value) for value in self.values}

    def decoded(self, stored: Any) -> Any:
        return json.loads(stored)

    def holds(self, value: Any) -> bool:
        return json.dumps(value) in self._stored

    @property
    def count(self) -> float:
        return len(self.values)

    @property
    def samples(self) -> list[Any]:
        return list(self.values)

    @property
    def text(self) -> str:
        return "one of " + ", ".join(json.dumps(value, ensure_ascii=False) for value in self.values)


Dimension = Numbers | Choices


@dataclass(frozen=True)
class Space:
    """Every setting that is searched, by its dotted name."""

    dimensions: dict[str, Dimension]

    def distributions(self) -> dict[str, BaseDistribution]:
        return {name: dimension.distribution() for name, dimension in self.dimensions.items()}

    def settled(self, suggested: Params) -> dict[str, Any]:
        """What Optuna suggests, as it is stored and tried."""
        return {name: self.dimensions[name].settled(value) for name, value in suggested.items()}

    def values(self, params: Params) -> dict[str, Any]:
        """A value per setting, by its dotted name."""
        return {name: dimension.decoded(params[name]) for name, dimension in self.dimensions.items()}

    def is_used_up(self, tried: Sequence[Params]) -> bool:
        """Whether every combination of its values was tried; never of a range without steps."""
        count = math.prod(dimension.count for dimension in self.dimensions.values())
        return len({json.dumps(params, sort_keys=True) for params in map(dict, tried)}) >= count

    def change(self, params: Params) -> dict[str, Any]:
        """The same as a table of a recipe has it."""
        return nested(self.values(params))

    def as_shipped(self, recipe: Recipe) -> dict[str, Any] | None:
        """The recipe's own settings as the first trial; None where one of them lies outside of the space."""
        settings = recipe.settings.model_dump(mode="json")
        found = {name: _inside(settings, name.split(".")) for name in self.dimensions}
        if not all(self.dimensions[name].holds(value) for name, value in found.items()):
            return None
        return {name: self.dimensions[name].encoded(value) for name, value in found.items()}

    def record(self) -> dict[str, str]:
        """By which two spaces are told apart, and what the written recipe says of it."""
        return {name: dimension.text for name, dimension in self.dimensions.items()}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as tables within tables."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *tables, key = name.split(".")
        inner = found
        for table in tables:
            inner = inner.setdefault(table, {})
        inner[key] = value
    return found


def read_space(recipe: Recipe, declared: Mapping[str, Any]) -> Space:
    """The space that a [tune] table means for a recipe that is ready.

    Raises DeclarationError that lists every problem, each under its key.
    """
    where, problems = Path(recipe.path.parent.name, recipe.path.name), list[Problem]()
    dimensions: dict[str, Dimension] = {}
    for name, entry in _entries(declared):
        try:
            dimensions[name] = _dimension(type(recipe.settings), name, entry)
        except ValueError as error:
            problems.append(Problem(f"{TABLE}.{name}", str(error)))
    if not declared:
        problems.append(Problem(TABLE, "names no setting: there is nothing to search"))
    refuse(where, problems)
    space = Space(dimensions)
    for change in _combinations(space):
        recipe.changed(TABLE, change)
    return space


def _entries(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """What is said of every setting, by its dotted name; a table within is of a table of settings."""
    for key, value in table.items():
        is_inner = isinstance(value, dict) and bool(value) and not _KEYS & value.keys()
        if is_inner and all(isinstance(each, dict) for each in value.values()):
            yield from _entries(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _dimension(model: type[BaseModel], name: str, entry: Any) -> Dimension:
    kinds = _kinds(model, name.split("."))
    if name in FIXED:
        raise ValueError("is what is tuned, and cannot be searched: make a recipe of its own for another")
    if not isinstance(entry, dict):
        raise ValueError(f"should be a table with low and high, or with choices; found {shown(entry)}")
    if unknown := sorted(entry.keys() - _KEYS):
        raise ValueError(f"unknown key {unknown[0]!r}; {unknown_name(unknown[0], _KEYS)}")
    if "choices" in entry:
        return _choices(entry)
    return _numbers(entry, kinds)


def _choices(entry: Mapping[str, Any]) -> Choices:
    values = entry["choices"]
    if len(entry) > 1:
        raise ValueError("has choices and a range: take one of them")
    if not isinstance(values, list) or len(values) < 2:
        raise ValueError("choices should be a list of two values or more: of one there is nothing to search")
    if len({json.dumps(value, default=str) for value in values}) < len(values):
        raise ValueError("choices should be different values")
    return Choices(tuple(values))


def _numbers(entry: Mapping[str, Any], kinds: frozenset[type]) -> Numbers:
    if not kinds & {int, float}:
        raise ValueError("is no number: say what it may be with choices")
    if not {"low", "high"} <= entry.keys():
        raise ValueError("should have both low and high, or choices")
    low, high, log, step = entry["low"], entry["high"], entry.get("log", False), entry.get("step")
    whole = float not in kinds
    for key, value in {"low": low, "high": high, "step": step}.items():
        if value is None and key == "step":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{key} should be a number; found {shown(value)}")
        if whole and not isinstance(value, int):
            raise ValueError(f"{key} should be a whole number, as the setting is; found {value}")
    if not isinstance(log, bool):
        raise ValueError(f"log should be true or false; found {shown(log)}")
    if low >= high:
        raise ValueError(f"the range from {low} to {high} is empty: low should be less than high")
    if log and low <= 0:
        raise ValueError(f"low = {low} has no logarithm: with log = true it should be greater than 0")
    if step is not None and (step <= 0 or step > high - low or log):
        raise ValueError("step should be greater than 0, no longer than the range, and not together with log = true")
    if step is not None and (high - low) / step > _STEPS:
        raise ValueError(
            f"step = {step} makes more than {_STEPS:,} steps of the range: leave it out, or take a longer one"
        )
    return Numbers(low if whole else float(low), high if whole else float(high), log, step, whole)


def _is_whole(steps: float) -> bool:
    """0.3 / 0.1 is 2.9999999999999996."""
    return math.isclose(steps, round(steps), rel_tol=0.0, abs_tol=1e-9)


def _kinds(model: type[BaseModel], path: Sequence[str]) -> frozenset[type]:
    """The types that a setting may have; raises ValueError for a name that is none."""
    name, *rest = path
    field = model.model_fields.get(name)
    if field is None:
        if model.model_config.get("extra") == "allow":
            return frozenset({int, float})
        raise ValueError(f"is no setting of the family; {unknown_name(name, model.model_fields)}")
    kinds = frozenset(kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type))
    inner = [kind for kind in kinds if issubclass(kind, BaseModel)]
    if rest and inner:
        return _kinds(inner[0], rest)
    if rest:
        raise ValueError(f"{name} is no table of settings")
    if inner:
        raise ValueError(f"is a table: name its settings; {unknown_name('', inner[0].model_fields)}")
    return kinds


def _combinations(space: Space) -> Iterator[dict[str, Any]]:
    """Changes of every end and choice by itself, then together: all of them, or so many by chance."""
    for name, dimension in space.dimensions.items():
        for value in dimension.samples:
            yield nested({name: value})
    names, samples = list(space.dimensions), [dimension.samples for dimension in space.dimensions.values()]
    if math.prod(map(len, samples)) <= _COMBINATIONS:
        together: Iterator[Sequence[Any]] = itertools.product(*samples)
    else:
        random = Random(0)
        together = ([random.choice(each) for each in samples] for _ in range(_COMBINATIONS))
    for values in together:
        yield nested(dict(zip(names, values, strict=True)))


def _inside(settings: Any, path: Sequence[str]) -> Any:
    for key in path:
        settings = settings.get(key) if isinstance(settings, dict) else None
    return settings
