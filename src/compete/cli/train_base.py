"""compete train-base"""

from __future__ import annotations

from typing import Annotated

import typer

from compete.cli.options import JsonOption, SizeOption


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Recipes in base_models/.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every recipe (or those of [training] models).")] = False,
    fold: Annotated[list[int] | None, typer.Option(help="Only this fold; may be given several times.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train again what is there already.")] = False,
    replace_stale: Annotated[
        bool, typer.Option("--replace-stale", help="Train again what an edit of the competition made stale.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Jobs at once; default: one per GPU, else per core. 0: in this process."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads per job; default: cores / workers.")] = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="With the settings under [published], as NAME_as_published.")
    ] = False,
    no_parity: Annotated[
        bool, typer.Option("--no-parity", help="Do not check that what was trained gives the same when read again.")
    ] = False,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train base models under the shared fold plan: out-of-fold and test probabilities.

    Goes on where an earlier run stopped: only folds that are missing or stale are trained.
    """
    from compete.cli.opening import console, exclusively, here, load, say
    from compete.cli.status import show_status
    from compete.errors import JobsFailedError, UserError
    from compete.execution.inline import InlineExecutor
    from compete.execution.local import LocalExecutor, gpu_ids, usable_cores
    from compete.oof.train import choose_recipes, default_workers, plan_work, train
    from compete.reporting.terminal.progress import TrainingDisplay

    if bool(names) == all_:
        raise UserError("name the recipes to train, or say --all (not both): `compete status` lists them")
    workspace = here(size)
    gpus = gpu_ids()
    with exclusively(workspace):
        competition = load(workspace)
        recipes = choose_recipes(competition, names or [], as_published=as_published)
        at_once = default_workers(recipes, gpus) if workers is None else workers
        threads = threads or max(1, usable_cores() // max(at_once, 1))
        work = plan_work(
            competition,
            recipes,
            fold or [],
            force=force,
            replace_stale=replace_stale,
            threads=threads,
            parity=not no_parity,
        )
        for notice in work.notices:
            say(notice)
        if work.jobs:
            say(f"{len(work.jobs)} jobs, {max(at_once, 1)} at once, {threads} threads each")
        known = {name: state.seconds / max(state.folds_done, 1) for name, state in work.states.items() if state.seconds}
        failed: JobsFailedError | None = None
        executor = LocalExecutor(at_once, threads, gpus) if at_once else InlineExecutor()
        with TrainingDisplay(console(), work.jobs, max(at_once, 1), known) as display:
            try:
                train(work, executor, display)
            except JobsFailedError as error:  # what was trained is shown all the same
                failed = error
        show_status(workspace, [recipe.name for recipe in recipes], warnings=True, as_json=as_json)
        if failed is not None:
            raise failed
