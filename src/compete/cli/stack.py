"""compete stack"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from rich.console import Console

    from compete.competition.data import Competition
    from compete.competition.folds import FoldPlan
    from compete.competition.workspace import Workspace
    from compete.stacking.building import Built, Stacking
    from compete.stacking.comparison import Comparison, Contributions
    from compete.stacking.recipes import StackRecipe


def command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Recipes in stacking/; default: all, to choose one.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Base model to leave out; may be repeated.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Base model to stack in spite of an alarm; may be repeated.")
    ] = None,
    worth: Annotated[
        bool,
        typer.Option(
            "--worth", help="What each base model is worth to the chosen stack, or to the best that is quick to fit."
        ),
    ] = False,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stack the base models: meta-learners, thresholds, and an honest score beside the naive one."""
    from compete.cli.opening import console, exclusively, here, load, print_json
    from compete.oof.train import current_plan
    from compete.reporting.records import stack_record
    from compete.stacking.building import choose, remember_choice
    from compete.stacking.comparison import compare, contributions

    workspace = here(size)
    recipes = _recipes(workspace, names or [])
    out = console()
    with exclusively(workspace):
        competition = load(workspace)
        plan = current_plan(competition)
        stacking, left_out = _open(competition, plan, recipes, without or [], allow or [])
        built = _build(out, stacking, recipes)
        contenders = [each for each in built if not names or each.recipe.name in names]
        chosen = choose(competition.metric, contenders)
        remember_choice(workspace, chosen)
        found, parts = compare(stacking, built, contenders, chosen, left_out), None
        if not as_json:
            _show(out, found)
        if worth:
            with out.status("what each base model is worth") as status:
                parts = contributions(stacking, found.told_by, lambda model: status.update(f"without {model}"))
    if as_json:
        print_json(stack_record(found, parts))
    elif parts is not None:
        _show_worth(out, parts, chosen.recipe.name)


def _recipes(workspace: Workspace, names: list[str]) -> list[StackRecipe]:
    from compete.errors import UserError
    from compete.stacking.recipes import load_with_parts, stack_names

    recipes = load_with_parts(workspace, names or stack_names(workspace))
    if not recipes:
        raise UserError("stacking/ holds no recipe: `compete init DIR` makes a workspace with some to start from")
    return sorted(recipes, key=lambda recipe: recipe.simplicity())


def _open(
    competition: Competition, plan: FoldPlan, recipes: list[StackRecipe], without: list[str], allow: list[str]
) -> tuple[Stacking, dict[str, str]]:
    """The base models, read; and those that were left out, with the reason."""
    from compete.cli.opening import say
    from compete.stacking.building import open_stacking
    from compete.stacking.stack import choose_members

    everything = any(not recipe.declaration.models and not recipe.declaration.stacks for recipe in recipes)
    files = {name: f"stacking/{recipe.name}.toml" for recipe in recipes for name in recipe.declaration.models or []}
    members = choose_members(competition, plan, list(files), without, everything=everything, named_in=files)
    for model, reason in members.left_out.items():
        say(f"{model}: {reason}, not stacked")
    stacking = open_stacking(competition, plan, recipes, members.names, allow)
    for alarm in stacking.warnings:
        say(f"warning: {alarm}")
    _say_limits(competition, plan)
    return stacking, members.left_out


def _say_limits(competition: Competition, plan: FoldPlan) -> None:
    """What the rows and their labels do not allow."""
    from compete.cli.opening import say
    from compete.oof.rare_labels import learnt_labels, rare_sentence
    from compete.stacking.ensemble.cross_fitting import MANY_ROWS
    from compete.stacking.ensemble.resampling import FEW_POSITIVES

    if len(competition.train_ids) > MANY_ROWS:
        say(f"more than {MANY_ROWS:,} rows: scored under one plan of folds, with the middle one of several C")
    learnt = learnt_labels(competition, plan.k)
    positives = competition.train_labels.sum(axis=0)[learnt.mask]
    if (positives < FEW_POSITIVES).mean() > 0.5:
        say(
            f"most labels have fewer than {FEW_POSITIVES} positive rows: the scores' intervals hold less often than "
            "95 times in 100 (82 were measured at 40 positive rows)"
        )
    if (rare := rare_sentence(learnt, plan.k)) is not None:
        say(rare)


def _build(out: Console, stacking: Stacking, recipes: list[StackRecipe]) -> list[Built]:
    from compete.stacking.building import build

    built = []
    for number, recipe in enumerate(recipes):
        with out.status(recipe.name) as status:

            def show(fraction: float, title: str = f"{number + 1}/{len(recipes)} {recipe.name}") -> None:
                status.update(f"{title} {fraction:.0%}")

            built.append(build(stacking, recipe.name, show))
    return built


def _show(out: Console, found: Comparison) -> None:
    from compete.reporting.terminal.stack_tables import comparison_table, label_table, threshold_table

    metric, chosen = found.metric, found.chosen
    stacks = [(f"stack {each.recipe.name}", each.score) for each in found.built]
    rows = [*stacks, *found.references.items(), *found.base_models.items()]
    out.print(comparison_table(rows, metric.title, f"stack {chosen.recipe.name}"), "")
    out.print(label_table(chosen.score, found.label_rates, found.test_rates), "")
    if metric.thresholds:
        out.print(threshold_table(chosen.score), "")
        _say_where_worth(out, found)
    out.print(
        f"honest {metric.title} {chosen.score.honest:.4f} ({chosen.score.low:.4f} to {chosen.score.high:.4f}): "
        f"{abs(found.gain):.4f} {'worse' if found.gain < 0 else 'better'} than the best base model, "
        f"{found.best_base_model}",
        soft_wrap=True,
    )
    if found.gain < 0:
        out.print(
            f"the stack gains nothing here: `compete submit {found.best_base_model}` sends the best base model instead"
        )
    _say_choice(out, found)


def _say_where_worth(out: Console, found: Comparison) -> None:
    if found.where_worth is None:
        return
    gain = found.where_worth - found.chosen.score.honest
    out.print(
        f"with 0.5 for the labels not worth tuning (told in every fold from the others): honest {found.metric.title} "
        f"{found.where_worth:.4f} ({gain:+.4f}); stacking/{found.chosen.recipe.name}.toml decides so with "
        'thresholds = "where_worth"\n',
        soft_wrap=True,
        highlight=False,
    )


def _say_choice(out: Console, found: Comparison) -> None:
    if len(found.contenders) == 1:
        return
    best, chosen = found.best, found.chosen.recipe.name
    why = "the best"
    if best is not found.chosen:
        why = f"simpler than {best.recipe.name} ({best.score.honest:.4f}), which is not better by a standard error"
    out.print(f"chosen: {chosen}, {why}; `compete submit` sends it", soft_wrap=True)


def _show_worth(out: Console, found: Contributions, chosen: str) -> None:
    from compete.reporting.terminal.stack_tables import error_table, worth_table

    if found.stack != chosen:
        out.print(
            f"\nworth to {found.stack}, which is fitted anew in seconds (`compete stack {chosen} --worth` tells it of "
            f"{chosen}, in many times as many):",
            soft_wrap=True,
            highlight=False,
        )

    out.print("", worth_table(found.worths, found.seconds), "")
    out.print(error_table(found.models, found.correlation))
