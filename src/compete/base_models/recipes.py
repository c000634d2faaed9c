"""Recipes: one TOML file per base model, read into a validated family and its settings."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, Field

from compete import atomic
from compete.base_models.families import Family
from compete.competition.workspace import Workspace
from compete.declarations import Declaration, Problem, read_toml, refuse, unknown_name, validate
from compete.errors import DeclarationError, UserError

# A family's module is imported only when a recipe names it.
FAMILIES = {
    "linear": "compete.base_models.linear:Linear",
    "ffnn": "compete.base_models.ffnn:FeedForward",
    "sequence_classifier": "compete.base_models.sequence_classifier:SequenceClassifier",
}

# oof/stacks/ holds the stacks' probabilities, so no base model may be called so.
RESERVED_NAMES = frozenset({"stacks"})
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
NAME_RULE = "letters, digits, '_' and '-', and not 'stacks'"


class RecipeDeclaration(Declaration):
    """A recipe as it is written; `settings` is validated by the family."""

    family: str = Field(description='a built-in family, or "file.py:ClassName" in the workspace')
    description: str = ""
    seed: int = Field(default=42, ge=0, lt=2**32)
    outside_all: bool = Field(default=False, description="true: only trained when named, not by --all")
    settings: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A base model that can be trained: its name, its family and its resolved settings."""

    name: str
    path: Path
    declaration: RecipeDeclaration
    family: type[Family]
    settings: BaseModel
    source_sha256: str

    def build(self) -> Family:
        """The family with this recipe's settings."""
        return self.family(self.settings)  # type: ignore[call-arg]

    def identity(self) -> dict[str, str]:
        """Everything in the recipe that its probabilities depend on, by name; defaults are resolved."""
        settings = self.settings.model_dump(mode="json")
        return {
            "family": self.declaration.family,
            "family version": str(getattr(self.family, "version", 1)),
            "family source": self.source_sha256,
            "seed": str(self.declaration.seed),
            **{f"settings.{key}": str(value) for key, value in settings.items()},
        }


def recipe_names(workspace: Workspace) -> list[str]:
    """Names of all recipes in base_models/, sorted; hidden files, as editors and systems leave them, are none."""
    files = (path for path in workspace.recipes.glob("*.toml") if path.is_file())
    return sorted(path.stem for path in files if not path.name.startswith("."))


def load_recipe(workspace: Workspace, name: str) -> Recipe:
    """Read base_models/NAME.toml; raises DeclarationError that lists every problem of the file."""
    path = workspace.recipes / f"{name}.toml"
    shown = Path(workspace.shown(path))
    if not path.is_file():
        raise UserError(f"no recipe base_models/{name}.toml; {unknown_name(name, recipe_names(workspace))}")
    if name in RESERVED_NAMES or not NAME.fullmatch(name):
        raise DeclarationError(f"{shown}: {name!r} cannot be a model's name ({NAME_RULE}); rename the file")
    if (workspace.stack_recipes / path.name).is_file():
        raise DeclarationError(f"{shown}: stacking/{path.name} has the same name; rename one of them")
    raw = read_toml(path)
    declaration, problems = validate(RecipeDeclaration, raw)
    family, source_sha256 = None, ""
    if isinstance(raw.get("family"), str):
        family, source_sha256, family_problems = _find_family(workspace, raw["family"])
        problems += family_problems
    settings = None
    if family is not None and isinstance(raw.get("settings", {}), dict):
        settings, found = validate(family.Settings, raw.get("settings", {}), prefix="settings.")
        problems += found or _unread_settings(family.Settings, raw.get("settings", {}))
    refuse(shown, problems)
    assert declaration is not None and family is not None and settings is not None
    return Recipe(name, path, declaration, family, settings, source_sha256)


def load_recipes(workspace: Workspace, names: Sequence[str]) -> list[Recipe]:
    """Several recipes; the problems of all their files are reported together."""
    recipes, errors = [], []
    for name in names:
        try:
            recipes.append(load_recipe(workspace, name))
        except UserError as error:
            errors.append(str(error))
    if errors:
        raise DeclarationError("\n".join(errors))
    return recipes


def _find_family(workspace: Workspace, name: str) -> tuple[type[Family] | None, str, list[Problem]]:
    """The class a recipe names, a hash of its file if it is the user's, and what is wrong with it."""
    if name in FAMILIES:
        module, attribute = FAMILIES[name].split(":")
        return getattr(importlib.import_module(module), attribute), "", []
    file_name, separator, attribute = name.rpartition(":")
    if not separator or not file_name.endswith(".py"):
        known = unknown_name(name, FAMILIES)
        return None, "", [Problem("family", f'{name!r} is unknown; {known}, or your own class as "file.py:ClassName"')]
    path = workspace.root / file_name
    if not path.is_file():
        return None, "", [Problem("family", f"the file {file_name} does not exist in the workspace")]
    try:
        module_object = _import_file(path)
    except (Exception, SystemExit) as error:  # whatever the user's file raises is the user's to see
        return None, "", [Problem("family", f"{file_name} cannot be imported: {type(error).__name__}: {error}")]
    family = getattr(module_object, attribute, None)
    if not isinstance(family, type) or not callable(getattr(family, "fit", None)):
        return None, "", [Problem("family", f"{file_name} has no class {attribute!r} with a method `fit`")]
    settings = getattr(family, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        return None, "", [Problem("family", f"class {attribute!r} in {file_name} has no pydantic model `Settings`")]
    return family, atomic.sha256_file(path)[:16], []


def _unread_settings(model: type[BaseModel], raw: Mapping[str, Any]) -> list[Problem]:
    """Settings that a user's own model would pass over in silence, as pydantic does by default."""
    if model.model_config.get("extra") in ("allow", "forbid"):
        return []
    known = {name for key, field in model.model_fields.items() for name in (key, field.alias) if name}
    unread = [key for key in raw if key not in known]
    return [Problem(f"settings.{key}", f"unknown key; {unknown_name(key, known)}") for key in unread]


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"compete_workspace_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic and dataclasses look a class's module up by its name
    spec.loader.exec_module(module)
    return module
