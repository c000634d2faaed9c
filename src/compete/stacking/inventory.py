"""The inventory of a workspace: which results it holds, what they are worth, and why the others are missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from compete.base_models.recipes import Recipe
from compete.competition.names import checked_name, is_name
from compete.competition.planned import Planned
from compete.competition.row_fingerprints import without_features
from compete.declarations import unknown_name
from compete.errors import CompeteError, StoreError, UserError
from compete.fingerprints import differences, digest
from compete.oof import store
from compete.oof.honest_scores import VERSION, score_from
from compete.oof.results import Missing, Reason, Result, missing_base_model
from compete.oof.state import ModelState, State, every_model_state, recipes_in_force
from compete.stacking.choosing import remembered_choice
from compete.stacking.ensemble.decision_rules import decision_from, default_rule
from compete.stacking.scoring import base_model_score
from compete.stacking.stack_recipes import StackRecipe, load_stack_recipe, load_with_parts, parts_of, stack_names


class Inventory:
    """Everything in oof/ under one plan, looked at when it is asked for.

    states: of the base models, where they are known already.
    """

    def __init__(self, planned: Planned, states: Mapping[str, ModelState] | None = None) -> None:
        self.planned = planned
        self._states = states
        self._found: dict[str, Result | Missing] = {}

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        return recipes_in_force(self.planned.workspace)

    @cached_property
    def states(self) -> Mapping[str, ModelState]:
        """Of every base model that has a recipe or lies in oof/."""
        if self._states is not None:
            return self._states
        planned = self.planned
        return every_model_state(planned.workspace, self.recipes, planned.identity, planned.plan.k)

    @cached_property
    def stack_names(self) -> list[str]:
        return stack_names(self.planned.workspace)

    def base_model(self, name: str) -> Result | Missing:
        """A base model that has a recipe or lies in oof/; raises KeyError for another name."""
        return self._once(f"base model {name}", lambda: self._base_model(self.states[name]))

    def stack(self, name: str) -> Result | Missing:
        """What a stack recipe gave."""
        return self._once(f"stack {name}", lambda: self._stack(name))

    def find(self, name: str) -> Result:
        """The stack or base model of that name; raises UserError, which says why it is missing."""
        if name in self.stack_names:
            return present(self.stack(name))
        if name not in self.states:
            checked_name(name, "stack or model")
            known = [*self.stack_names, *self.states]
            raise UserError(f"no stack or base model is called {name!r}; {unknown_name(name, known)}")
        return present(self.base_model(name))

    def flattery(self, result: Result) -> list[str]:
        """What to say of a base model's score, or of those of a stack's members, that promise too much."""
        names = [str(name) for name in result.record["models"]] if result.is_stack else [result.name]
        return [self.states[name].flattery for name in names if name in self.states and self.states[name].flattery]

    def to_submit(self) -> Result:
        """The stack that was chosen last; of several, none of which was chosen, the best. Raises UserError."""
        workspace = self.planned.workspace
        named = [name for name in self.stack_names if is_name(name)]
        built = [name for name in named if workspace.stack(name).record.is_file()]
        if not built:
            models = ", ".join(name for name, state in self.states.items() if state.state is State.FRESH)
            hint = f", or name a base model: {models}" if models else ""
            raise UserError(f"no stack was built yet: `compete stack` builds one{hint}")
        chosen = remembered_choice(workspace)
        if chosen in built:
            return present(self.stack(chosen))
        sign = self.planned.competition.metric.sign
        return max((present(self.stack(name)) for name in built), key=lambda result: sign * result.score.honest)

    def _once(self, title: str, look: Callable[[], Result | Missing]) -> Result | Missing:
        if title not in self._found:
            self._found[title] = look()
        return self._found[title]

    def _base_model(self, state: ModelState) -> Result | Missing:
        if state.state is not State.FRESH:
            return missing_base_model(state)
        recipe = self.recipes.get(state.name)
        return Result(
            kind="base model",
            name=state.name,
            method=recipe.declaration.family if recipe else state.kind,
            folder=self.planned.workspace.base_model(state.name),
            score=base_model_score(self.planned, state.name),
            rule=default_rule(self.planned.competition.metric),
            record=state.whole.record,
            seconds=state.seconds,
        )

    def _stack(self, name: str) -> Result | Missing:
        try:
            folder = self.planned.workspace.stack(name)
            recipe = load_stack_recipe(self.planned.workspace, name)
            rule = recipe.rule(self.planned.competition.metric)
        except CompeteError as error:
            return Missing("stack", Reason.RECIPE_WRONG, str(error), error)
        if store.was_interrupted(folder) or not folder.record.is_file():
            return not_built(name)
        try:
            record = store.read_record(folder)
            store.check_hashes(folder, record)
        except StoreError as error:
            return Missing("stack", Reason.DAMAGED, str(error), error)
        if record.get("kind") != "stack":
            foreign = StoreError(f"{folder.record} is no stack's: `compete stack {name}` builds the stack again")
            return Missing("stack", Reason.DAMAGED, str(foreign), foreign)
        try:
            score = score_from(record["score"])
            decision_from(score.decision)
            stale = self._why_stale(recipe, record["models"], record["identity"])
        except (KeyError, TypeError, ValueError, AttributeError):
            unreadable = StoreError(f"{folder.record} is no stack's: `compete stack {name}` builds the stack again")
            return Missing("stack", Reason.DAMAGED, str(unreadable), unreadable)
        except CompeteError as error:  # a part's recipe, or a base model that is damaged or gone
            return Missing("stack", Reason.STALE, str(error), error)
        if stale:
            return Missing("stack", Reason.STALE, stale, StoreError(stale))
        return Result("stack", name, recipe.declaration.method, folder, score, rule, record)

    def _why_stale(self, recipe: StackRecipe, members: Sequence[str], identity: Mapping[str, str]) -> str:
        """What a stack was made of that is another by now, and what to do; empty if it is as it was."""
        recipes = {each.name: each for each in load_with_parts(self.planned.workspace, [recipe.name])}
        changes = differences(identity, stack_identity(self.planned, recipe, members, recipes))
        again = f"`compete stack {recipe.name}`"
        if changes:
            return f"the stack {recipe.name!r} is stale: {'; '.join(changes)}. Build it again: {again}"
        for name in members:  # its files are those of the stack, but its recipe may be another by now
            if name in self.states and self.states[name].state is State.STALE:
                why = "; ".join(self.states[name].reasons)
                return (
                    f"the stack {recipe.name!r} is stale: its base model {name} is stale ({why}). "
                    f"First `compete train-base {name}`, then {again}"
                )
        return ""


def not_built(name: str) -> Missing:
    """A stack that has a recipe and nothing else."""
    ask = StoreError(f"the stack {name!r} was not built yet: `compete stack {name}` builds it")
    return Missing("stack", Reason.NOT_BUILT, Reason.NOT_BUILT.value, ask)


def present(found: Result | Missing) -> Result:
    """The result; raises what is wrong where there is none."""
    if isinstance(found, Missing):
        raise found.error
    return found


def stack_identity(
    planned: Planned,
    recipe: StackRecipe,
    members: Sequence[str],
    recipes: Mapping[str, StackRecipe],
) -> dict[str, str]:
    """What a stack depends on, by name: rows, recipes, metric, its base models' probabilities.

    recipes: by name, those of the stacks it is made of among them.
    """
    models = {}
    for name in members:
        folder = planned.workspace.base_model(name)
        record = store.read_record(folder)
        models[f"base model {name}"] = digest([store.hash_of(record, file) for file in (folder.oof, folder.test)])
    parts = {
        f"stack {part}: {key}": value
        for part in parts_of(recipe, recipes)
        for key, value in recipes[part].identity().items()
    }
    versions = {"metric": planned.competition.metric.name, "stacking version": str(VERSION)}
    source = planned.competition.metric_source
    versions |= {"metric source": source} if source else {}
    looking = any(recipes[part].declaration.features for part in parts_of(recipe, recipes))
    looking = looking or recipe.declaration.features
    rows = planned.identity if looking else without_features(planned.identity)
    return {**rows, **recipe.identity(), **versions, **parts, **models}
