"""A look over everything in oof/ that reads no rows: what `compete status` shows."""

from __future__ import annotations

from dataclasses import dataclass

from compete.competition.declaration import CompetitionDeclaration, read_declaration
from compete.competition.folds import made_from, rows_identity, stored_plan
from compete.competition.row_fingerprints import row_fingerprints
from compete.competition.workspace import Workspace
from compete.fingerprints import differences
from compete.oof.state import ModelState, every_model_state, recipes_in_force


@dataclass(frozen=True)
class Survey:
    """What lies in oof/, told without its rows."""

    declaration: CompetitionDeclaration
    states: dict[str, ModelState]
    """Of every recipe, and of every model in oof/."""
    families: dict[str, str]
    plan_changes: list[str]
    """Edits since the fold plan was made."""

    @property
    def metric_title(self) -> str:
        return self.declaration.metric_info.title


def survey(workspace: Workspace) -> Survey:
    """State of every base model, from hashes and manifests alone."""
    declaration = read_declaration(workspace)
    recipes = recipes_in_force(workspace)
    fingerprints = row_fingerprints(workspace, declaration)
    origin = made_from(fingerprints, declaration.folds)
    plan = stored_plan(workspace)
    rows = rows_identity(fingerprints, plan.fingerprint if plan else "none", origin)
    states = every_model_state(workspace, recipes, rows, plan.k if plan else declaration.folds.k)
    families = {name: recipe.declaration.family for name, recipe in recipes.items()}
    changes = differences(plan.made_from, origin) if plan else []
    return Survey(declaration, states, families, changes)
