"""What can be submitted: a stack, a base model, or a CSV that was made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compete.base_models.recipes import has_recipe
from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.declarations import unknown_name
from compete.errors import StoreError, SubmissionError, UserError
from compete.oof import store
from compete.oof.state import State, stored_models
from compete.stacking.building import remembered_choice
from compete.stacking.ensemble.decision_rules import RuleName, default_rule
from compete.stacking.recipes import load_stack_recipe, stack_names
from compete.stacking.scores import Score, base_model_score
from compete.stacking.stack import base_model_states, check_stack_fresh, stack_folder


@dataclass(frozen=True)
class Source:
    """A stack or base model. title: as the ledger names it; folder: in oof/; score: honest; rule: how it decides."""

    title: str
    name: str
    folder: Path
    score: Score
    rule: RuleName


@dataclass(frozen=True)
class CsvFile:
    """A CSV that was made elsewhere: nothing is known of it but what it says."""

    title: str
    name: str
    path: Path


def choose_source_or_file(competition: Competition, plan: FoldPlan, what: str | None) -> Source | CsvFile:
    """As `choose_source`, or the CSV of that path."""
    if what is None or not what.lower().endswith(".csv"):
        return choose_source(competition, plan, what)
    path = Path(what)
    if not path.is_file():
        raise SubmissionError(f"{path} does not exist")
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in path.stem)
    return CsvFile(f"file {path.name}", name, path)


def choose_source(competition: Competition, plan: FoldPlan, what: str | None) -> Source:
    """The named stack or base model; for no name the stack that `compete stack` chose."""
    stacks = stack_names(competition.workspace)
    if what is None:
        return _best_stack(competition, plan, stacks)
    if what in stacks:
        return _stack_source(competition, plan, what)
    states = base_model_states(competition, plan)
    if what not in states:
        raise UserError(f"no stack or base model is called {what!r}; {unknown_name(what, [*stacks, *states])}")
    state = states[what]
    if state.state is not State.FRESH:
        why = "; ".join(state.reasons) or f"{state.folds_done} of {plan.k} folds trained"
        raise StoreError(f"the base model {what!r} is {state.state}: {why}. First: `compete train-base {what}`")
    score = base_model_score(competition, plan, what)
    rule = default_rule(competition.metric)
    return Source(f"base model {what}", what, competition.workspace.oof / what, score, rule)


def _best_stack(competition: Competition, plan: FoldPlan, stacks: Sequence[str]) -> Source:
    built = [n for n in stacks if (stack_folder(competition.workspace, n) / store.MANIFEST).is_file()]
    if not built:
        models = ", ".join(n for n in stored_models(competition.workspace) if has_recipe(competition.workspace, n))
        hint = f", or name a base model: {models}" if models else ""
        raise UserError(f"no stack was built yet: `compete stack` builds one{hint}")
    chosen = remembered_choice(competition.workspace)
    if chosen in built:
        return _stack_source(competition, plan, chosen)
    sign = 1 if competition.metric.greater_is_better else -1
    sources = [_stack_source(competition, plan, name) for name in built]
    return max(sources, key=lambda source: sign * source.score.honest)


def _stack_source(competition: Competition, plan: FoldPlan, name: str) -> Source:
    recipe = load_stack_recipe(competition.workspace, name)
    _, score = check_stack_fresh(competition, plan, recipe)
    folder = stack_folder(competition.workspace, name)
    return Source(f"stack {name}", name, folder, score, recipe.rule(competition.metric))
