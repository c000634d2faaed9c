"""compete stack"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import SizeOption

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from compete.competition.data import Competition
    from compete.stacking.stack import Stack


def command(
    name: Annotated[str | None, typer.Argument(help="Recipe in stacking/; default: all of them.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Base model to leave out; may be repeated.")] = None,
    size: SizeOption = None,
) -> None:
    """Stack the base models: meta-learner, thresholds, and an honest score beside the naive one."""
    from compete.cli.opening import console, exclusively, here, load, say
    from compete.errors import UserError
    from compete.oof.train import current_plan
    from compete.stacking.recipes import load_stack_recipe, stack_names
    from compete.stacking.stack import build_stack, choose_members

    workspace = here(size)
    recipes = [load_stack_recipe(workspace, each) for each in ([name] if name else stack_names(workspace))]
    if not recipes:
        raise UserError("stacking/ holds no recipe: `compete init DIR` makes a workspace with one to start from")
    with exclusively(workspace):
        competition = load(workspace)
        plan = current_plan(competition)
        out = console()
        for recipe in recipes:
            members = choose_members(competition, plan, recipe.declaration.models or [], without or [])
            for model, reason in members.left_out.items():
                say(f"{model}: {reason}, not stacked")
            with out.status(f"stacking {len(members.names)} base models") as status:
                show = partial(_progress, status, len(members.names))
                stack = build_stack(competition, plan, recipe, members.names, show)
            _show(out, competition, stack)


def _progress(status: Status, count: int, fraction: float) -> None:
    status.update(f"stacking {count} base models, {fraction:.0%}")


def _show(out: Console, competition: Competition, stack: Stack) -> None:
    from compete.reporting.tables import comparison_table, label_table

    metric = competition.metric
    order = sorted(stack.base_models.items(), key=lambda item: item[1].honest, reverse=metric.greater_is_better)
    rows = [(f"stack {stack.name}", stack.score), ("mean", stack.mean), *order]
    out.print(comparison_table(rows, metric.title, rows[0][0]))
    rates = dict(zip(competition.labels, competition.train_labels.mean(axis=0).tolist(), strict=True))
    out.print(label_table(stack.score, rates, thresholds=metric.thresholds is not None))
    best_name, best = order[0]
    gain = stack.score.honest - best.honest
    out.print(f"honest {metric.title} {stack.score.honest:.4f}: {gain:+.4f} against the best base model, {best_name}")
    if metric.better(best.honest, stack.score.honest):
        out.print(f"the stack gains nothing here: `compete submit {best_name}` sends the best base model instead")
