"""compete rehearse"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.competition.data import Competition


def command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Base models; default: those of --all.")
    ] = None,
    stack: Annotated[list[str] | None, typer.Option(help="Only this stack recipe; may be given several times.")] = None,
    share: Annotated[float, typer.Option(min=0.02, max=0.5, help="Share of the training rows to hold out.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Which rows those are.")] = 0,
    workers: Annotated[int | None, typer.Option(min=0, help="Jobs at once; 0: in this process.")] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play the competition on part of the training rows, and hold every promise against the truth."""
    from compete.cli.opening import console, exclusively, here, load, print_json, say
    from compete.execution.inline import InlineExecutor
    from compete.execution.local import LocalExecutor, gpu_ids, usable_cores
    from compete.oof.train import choose_recipes, default_workers, plan_work, train
    from compete.reporting.records import rehearsal_record
    from compete.reporting.terminal.tables import scores_table
    from compete.stacking.recipes import load_with_parts, stack_names
    from compete.submissions.leaderboard.interpretation import read_scores
    from compete.submissions.rehearsal import rehearse, summary

    workspace, gpus = here(size), gpu_ids()
    with exclusively(workspace):
        competition = load(workspace)
        recipes = choose_recipes(competition, models or [])
        for recipe in recipes:
            recipe.refuse_untrusted()
        at_once = default_workers(recipes, gpus) if workers is None else workers
        threads = max(1, usable_cores() // max(at_once, 1))
        executor = LocalExecutor(at_once, threads, gpus) if at_once else InlineExecutor()
        stacks = load_with_parts(workspace, stack or stack_names(workspace))
        names = [recipe.name for recipe in recipes]

        def train_them(played: Competition) -> None:
            train(plan_work(played, choose_recipes(played, names), threads=threads, parity=False), executor)

        found = rehearse(competition, recipes, stacks, train_them, share=share, seed=seed, say=say)
    for reason in found.not_sent:
        say(f"not submitted: {reason}")
    folder = workspace.shown(found.workspace.root)
    showed, reading = summary(found, competition), read_scores(found.entries)
    if as_json:
        print_json(rehearsal_record(found, competition.metric, folder, showed, reading))
        return
    out = console()
    out.print(scores_table(found.entries, private=True))
    for sentence in [*showed, *reading]:
        out.print(f"- {sentence}", markup=False, soft_wrap=not out.is_terminal)
    out.print(f"the rehearsal lies in {folder}", markup=False, soft_wrap=True)
