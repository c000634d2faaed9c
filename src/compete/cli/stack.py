"""compete stack"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from rich.console import Console

    from compete.stacking.comparison import Comparison, Contributions


def command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Recipes in stacking/; default: all, to choose one.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Base model to leave out; may be repeated.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Base model to stack in spite of an alarm; may be repeated.")
    ] = None,
    leave_one_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-out",
            help="What each base model adds to the chosen stack, or to the best that is quick to fit.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Fit again what has not changed since it was built.")] = False,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stack the base models: meta-learners, thresholds, and an honest score beside the naive one."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import stack_record
    from compete.workflows.stack import stack

    workspace, out = here(size), console()

    # Shown before base models are left out one by one, which takes its time.
    def compared(found: Comparison) -> None:
        if not as_json:
            _show(out, found)

    with out.status("reading the base models") as status:
        stacked = stack(
            workspace,
            names or [],
            without=without or [],
            allow=allow or [],
            leave_one_out=leave_one_out,
            force=force,
            say=say,
            progress=lambda fraction, doing: status.update(doing),
            compared=compared,
        )
    if as_json:
        print_json(stack_record(stacked.comparison, stacked.contributions))
    elif stacked.contributions is not None:
        _show_left_out(out, stacked.contributions, stacked.chosen)


def _show(out: Console, found: Comparison) -> None:
    from compete.reporting.terminal.stack_tables import comparison_table
    from compete.score_text import range_text, score_text

    metric, chosen, score = found.metric, found.chosen, found.chosen.score
    stacks = [(f"stack {each.recipe.name}", each.score) for each in found.built]
    rows = [*stacks, *found.references.items(), *found.base_models.items()]
    out.print(comparison_table(rows, metric.title, f"stack {chosen.recipe.name}"), "")
    _show_outputs(out, found)
    out.print(
        f"honest {metric.title} {score_text(score.honest)} ({range_text(score.low, score.high)}): "
        f"{score_text(abs(found.gain), score.honest)} {'worse' if found.gain < 0 else 'better'} than the best base "
        f"model, {found.best_base_model}",
        soft_wrap=True,
    )
    if found.gain < 0:
        out.print(
            f"the stack gains nothing here: `compete submit {found.best_base_model}` sends the best base model instead"
        )
    _say_choice(out, found)


def _show_outputs(out: Console, found: Comparison) -> None:
    """Labels, classes or targets one by one, and what decides them."""
    from compete.reporting.terminal import stack_tables as tables

    score, metric = found.chosen.score, found.metric
    if score.targets:
        out.print(tables.target_table(score), "")
        if "cuts" in score.decision:
            out.print(tables.cuts_table(score), "")
        return
    noun = "class" if metric.kind == "classes" else "label"
    out.print(tables.label_table(score, found.label_rates, found.test_rates, noun), "")
    if metric.kind == "classes" and any(score.decision["offsets"]):
        out.print(tables.offset_table(score), "")
    if metric.kind == "labels" and metric.decides:
        out.print(tables.threshold_table(score), "")
        _say_where_worth(out, found)


def _say_where_worth(out: Console, found: Comparison) -> None:
    if found.chosen.where_worth is None:
        return
    gain = found.chosen.where_worth - found.chosen.score.honest
    out.print(
        f"with 0.5 for the labels not worth tuning (told in every fold from the others): honest {found.metric.title} "
        f"{found.chosen.where_worth:.4f} ({gain:+.4f}); stacking/{found.chosen.recipe.name}.toml decides so with "
        'thresholds = "where_worth"\n',
        soft_wrap=True,
        highlight=False,
    )


def _say_choice(out: Console, found: Comparison) -> None:
    if len(found.contenders) == 1:
        return
    from compete.score_text import score_text

    best, chosen = found.best, found.chosen.recipe.name
    why = "the best"
    if best is not found.chosen:
        honest = score_text(best.score.honest)
        why = f"simpler than {best.recipe.name} ({honest}), which is not better by a standard error"
    out.print(f"chosen: {chosen}, {why}; `compete submit` sends it", soft_wrap=True)


def _show_left_out(out: Console, found: Contributions, chosen: str) -> None:
    from compete.reporting.terminal.stack_tables import error_table, leave_one_out_table

    if found.stack != chosen:
        out.print(
            f"\nleft out of {found.stack}, which is fitted anew in seconds (`compete stack {chosen} --leave-one-out` "
            f"tells it of {chosen}, in many times as many):",
            soft_wrap=True,
            highlight=False,
        )
    out.print("", leave_one_out_table(found.found, found.seconds), "")
    out.print(error_table(found.models, found.correlation))
