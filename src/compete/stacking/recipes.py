"""Stack recipes: one TOML file in stacking/ per stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from compete.competition.workspace import Workspace
from compete.declarations import Declaration, Problem, read_toml, refuse, unknown_name, validate
from compete.errors import UserError
from compete.stacking.meta_learners import Logistic, Mean, MetaLearner


class StackDeclaration(Declaration):
    """stacking/NAME.toml."""

    method: Literal["logistic", "mean"] = Field(description="how base models are combined")
    description: str = ""
    models: list[str] | None = Field(
        default=None, min_length=1, description="base models to stack; default: every one that is trained"
    )
    C: float = Field(default=0.05, gt=0, description="logistic: inverse strength of the L2 penalty")


@dataclass(frozen=True)
class StackRecipe:
    """A stack that can be fitted."""

    name: str
    declaration: StackDeclaration

    def build(self) -> MetaLearner:
        if self.declaration.method == "mean":
            return Mean()
        return Logistic(self.declaration.C)

    def identity(self) -> dict[str, str]:
        """Everything in the recipe that the stack depends on, by name."""
        return {f"recipe.{key}": str(value) for key, value in self.declaration.model_dump(mode="json").items()}


def stack_names(workspace: Workspace) -> list[str]:
    """Names of all stack recipes, sorted."""
    return sorted(path.stem for path in workspace.stack_recipes.glob("*.toml"))


def load_stack_recipe(workspace: Workspace, name: str) -> StackRecipe:
    """Read stacking/NAME.toml; raises DeclarationError that lists every problem of the file."""
    path = workspace.stack_recipes / f"{name}.toml"
    if not path.is_file():
        raise UserError(f"no recipe stacking/{name}.toml; {unknown_name(name, stack_names(workspace))}")
    raw = read_toml(path)
    declaration, problems = validate(StackDeclaration, raw)
    if raw.get("method") == "mean" and "C" in raw:
        problems = [*problems, Problem("C", 'has no meaning for method = "mean"')]
    refuse(Path(workspace.shown(path)), problems)
    assert declaration is not None
    return StackRecipe(name, declaration)
