"""compete stack"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import SizeOption

if TYPE_CHECKING:
    from rich.console import Console

    from compete.competition.data import Competition
    from compete.competition.folds import FoldPlan
    from compete.competition.workspace import Workspace
    from compete.stacking.building import Built, Stacking
    from compete.stacking.recipes import StackRecipe


def command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Recipes in stacking/; default: all, to choose one.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Base model to leave out; may be repeated.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Base model to stack in spite of an alarm; may be repeated.")
    ] = None,
    worth: Annotated[bool, typer.Option("--worth", help="What each base model is worth to the chosen stack.")] = False,
    size: SizeOption = None,
) -> None:
    """Stack the base models: meta-learners, thresholds, and an honest score beside the naive one."""
    from compete.cli.opening import console, exclusively, here, load
    from compete.oof.train import current_plan
    from compete.stacking.building import build, choose, remember_choice

    workspace = here(size)
    recipes = _recipes(workspace, names or [])
    with exclusively(workspace):
        competition = load(workspace)
        plan = current_plan(competition)
        out = console()
        stacking = _open(competition, plan, recipes, without or [], allow or [])
        built = []
        for number, recipe in enumerate(recipes):
            with out.status(recipe.name) as status:

                def show(fraction: float, title: str = f"{number + 1}/{len(recipes)} {recipe.name}") -> None:
                    status.update(f"{title} {fraction:.0%}")

                built.append(build(stacking, recipe.name, show))
        contenders = [each for each in built if not names or each.recipe.name in names]
        chosen = choose(competition.metric, contenders)
        remember_choice(workspace, chosen)
        _show(out, stacking, built, chosen)
        _say_choice(out, stacking, contenders, chosen)
        if worth:
            _show_worth(out, stacking, chosen)


def _recipes(workspace: Workspace, names: list[str]) -> list[StackRecipe]:
    from compete.errors import UserError
    from compete.stacking.recipes import load_with_parts, stack_names

    recipes = load_with_parts(workspace, names or stack_names(workspace))
    if not recipes:
        raise UserError("stacking/ holds no recipe: `compete init DIR` makes a workspace with some to start from")
    return sorted(recipes, key=lambda recipe: recipe.simplicity())


def _open(
    competition: Competition, plan: FoldPlan, recipes: list[StackRecipe], without: list[str], allow: list[str]
) -> Stacking:
    from compete.cli.opening import say
    from compete.stacking.building import open_stacking
    from compete.stacking.stack import choose_members

    everything = any(not recipe.declaration.models and not recipe.declaration.stacks for recipe in recipes)
    files = {name: f"stacking/{recipe.name}.toml" for recipe in recipes for name in recipe.declaration.models or []}
    members = choose_members(competition, plan, list(files), without, everything=everything, named_in=files)
    for model, reason in members.left_out.items():
        say(f"{model}: {reason}, not stacked")
    return open_stacking(competition, plan, recipes, members.names, allow)


def _show(out: Console, stacking: Stacking, built: list[Built], chosen: Built) -> None:
    from compete.reporting.stack_tables import comparison_table, label_table, threshold_table
    from compete.stacking.building import references
    from compete.stacking.scores import base_model_score

    competition, metric = stacking.competition, stacking.competition.metric
    base = {name: base_model_score(competition, stacking.plan, name) for name in stacking.test}
    order = sorted(base.items(), key=lambda item: item[1].honest, reverse=metric.greater_is_better)
    stacks = [(f"stack {each.recipe.name}", each.score) for each in built]
    others = references(stacking, besides=[each.recipe.name for each in built]).items()
    out.print(comparison_table([*stacks, *others, *order], metric.title, f"stack {chosen.recipe.name}"))
    rates = dict(zip(competition.labels, competition.train_labels.mean(axis=0).tolist(), strict=True))
    expected = dict(zip(competition.labels, chosen.rates.tolist(), strict=True))
    errors = dict(zip(competition.labels, chosen.rate_errors.tolist(), strict=True))
    out.print(label_table(chosen.score, rates, expected, errors))
    if metric.thresholds:
        out.print(threshold_table(chosen.score))
    best_name, best = order[0]
    gain = (chosen.score.honest - best.honest) * (1 if metric.greater_is_better else -1)
    out.print(
        f"honest {metric.title} {chosen.score.honest:.4f} ({chosen.score.low:.4f} to {chosen.score.high:.4f}): "
        f"{abs(gain):.4f} {'worse' if gain < 0 else 'better'} than the best base model, {best_name}",
        soft_wrap=True,
    )
    if metric.better(best.honest, chosen.score.honest):
        out.print(f"the stack gains nothing here: `compete submit {best_name}` sends the best base model instead")


def _say_choice(out: Console, stacking: Stacking, contenders: list[Built], chosen: Built) -> None:
    from compete.stacking.building import best_of

    if len(contenders) == 1:
        return
    best = best_of(stacking.competition.metric, contenders)
    why = "the best"
    if best is not chosen:
        why = f"simpler than {best.recipe.name} ({best.score.honest:.4f}), which is not better by a standard error"
    out.print(f"chosen: {chosen.recipe.name}, {why}; `compete submit` sends it", soft_wrap=True)


def _show_worth(out: Console, stacking: Stacking, chosen: Built) -> None:
    from compete.oof.store import MANIFEST, read_record
    from compete.reporting.stack_tables import error_table, worth_table
    from compete.stacking.worth import error_correlation, worth_of_models

    competition, models = stacking.competition, chosen.fitted.members
    if len(models) < 2:
        return
    with out.status("what each base model is worth") as status:
        found = worth_of_models(
            stacking.bench,
            chosen.recipe.name,
            chosen.evaluation,
            lambda model: status.update(f"without {model}"),
        )
    oof = competition.workspace.oof
    seconds = {name: float(read_record(oof / name / MANIFEST).get("seconds", 0)) for name in models}
    out.print(worth_table(found, seconds))
    out.print(
        error_table(models, error_correlation(stacking.bench.materials.stacked(models), competition.train_labels))
    )
