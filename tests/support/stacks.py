"""Stacks of the tiny workspace's models: written, built and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compete.competition.data import Competition
from compete.execution.inline import InlineExecutor
from compete.oof.fold_plan import with_plan
from compete.oof.honest_scores import Score
from compete.oof.results import Result
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.building import Built, Stacking, build, open_stacking
from compete.stacking.inventory import Inventory, present
from compete.stacking.stack_recipes import load_with_parts

BOTH = ["words", "words_smooth"]
SECOND_LEVEL = {"plain": 'method = "mean"', "top": 'method = "blend"\nstacks = ["plain", "logistic"]'}


def train_models(competition: Competition, names: Sequence[str] = (), folds: Sequence[int] = ()) -> None:
    train(find_work(competition, choose_recipes(competition, names), folds), InlineExecutor())


def write_recipe(competition: Competition, name: str, smoothing: float) -> None:
    recipe = f'family = "families.py:Words"\n[settings]\nsmoothing = {smoothing}\n'
    (competition.workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")


def write_stack_recipes(competition: Competition, recipes: Mapping[str, str]) -> None:
    for name, text in recipes.items():
        (competition.workspace.stack_recipes / f"{name}.toml").write_text(text + "\n", encoding="utf-8")


def write_stack_recipe(competition: Competition, text: str) -> None:
    write_stack_recipes(competition, {"logistic": text})


def opened(competition: Competition, names: Sequence[str] = ("logistic",), members: Sequence[str] = BOTH) -> Stacking:
    recipes = load_with_parts(competition.workspace, names)
    return open_stacking(with_plan(competition), recipes, members)


def build_stack(competition: Competition, name: str = "logistic", members: Sequence[str] = BOTH) -> Built:
    """Builds a stack; where it is one of stacks, these first."""
    stacking = opened(competition, [name], members)
    return [build(stacking, part) for part in stacking.bench.recipes][-1]


def check(competition: Competition, name: str = "logistic") -> Score:
    return present(Inventory(with_plan(competition)).stack(name)).score


def chosen(competition: Competition, what: str | None = None) -> Result:
    results = Inventory(with_plan(competition))
    return results.to_submit() if what is None else results.find(what)


def built_beside(stacked: Competition) -> dict[str, Built]:
    """Two stacks, the best first, of which none is remembered."""
    (stacked.workspace.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    built = [build_stack(stacked), build_stack(stacked, "plain")]
    assert built[0].score.honest > built[1].score.honest
    return {each.recipe.name: each for each in built}
