"""The fold plan in force: made once, then kept, and refused where models were trained under another competition."""

from __future__ import annotations

from collections.abc import Sequence

from compete import atomic
from compete.competition.data import Competition
from compete.competition.folds import made_from, make_plan, save_plan, stored_plan
from compete.competition.planned import Planned
from compete.competition.row_fingerprints import remember_sources
from compete.errors import StoreError
from compete.fingerprints import differences
from compete.oof.state import stored_models


def with_plan(competition: Competition, replace_stale: bool = False) -> Planned:
    """The competition under the plan in force: the stored one, or a new one where none is stored.

    Raises StoreError if the stored plan no longer fits the competition and models were trained under it,
    unless `replace_stale`.
    """
    with atomic.unless_read_only():
        remember_sources(competition)
    plan = stored_plan(competition.workspace)
    origin = made_from(competition.fingerprints, competition.declaration.folds)
    if plan is not None and plan.made_from == origin:
        return Planned(competition, plan)
    trained = stored_models(competition.workspace)
    if plan is not None and trained and not replace_stale:
        raise edited(differences(plan.made_from, origin), trained)
    new = make_plan(competition)
    save_plan(competition, new)
    return Planned(competition, new)


def under_stored_plan(competition: Competition) -> Planned:
    """The competition under the plan that is stored, whatever it was made from; raises StoreError if there is none."""
    plan = stored_plan(competition.workspace)
    if plan is None:
        raise StoreError(f"the fold plan in {competition.workspace.shown(competition.workspace.fold_plan)} is gone")
    return Planned(competition, plan)


def edited(changes: Sequence[str], models: Sequence[str]) -> StoreError:
    """What to say of models that were trained for another competition."""
    return StoreError(
        "the competition is no longer the one these models were trained for\n"
        + "\n".join(f"  {change}" for change in changes)
        + f"\nstale: {', '.join(models)}\n"
        "Undo the change in competition.toml or the data, or train them again with --replace-stale."
    )
