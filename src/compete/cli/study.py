"""compete study folds, vary, schedulers, loss, class_weights, length, seeds"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.experiments.studies.study import Study

app = typer.Typer(
    help="Studies: how many folds, one setting at a time, how much is the seed's.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ModelArgument = Annotated[str, typer.Argument(metavar="NAME", help="Recipe in base_models/.")]
ValuesOption = Annotated[
    str | None, typer.Option(help="Values to compare, as A,B,C; default: all that the family has in this task.")
]
SeedsOption = Annotated[int, typer.Option(min=1, max=20, help="Seeds that every value is trained with.")]
WorkersOption = Annotated[int | None, typer.Option(min=0, help="Jobs at once; 0: in this process.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads per job.")]


@app.command("folds")
def folds(
    name: ModelArgument,
    k: Annotated[str, typer.Option("--k", help="Numbers of folds to compare, as 3,5,10.")] = "3,5,10,15",
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="How often rows are set aside and dealt anew.")] = 5,
    aside: Annotated[float, typer.Option(help="Share of the training rows to set aside, 0.05 to 0.5.")] = 0.2,
    strategy: Annotated[
        str, typer.Option(help="Of plain, stratified, grouped, as A,B: how rows are dealt.")
    ] = "grouped",
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How well the honest score of every number of folds tells the score on rows set aside."""
    from compete.cli.opening import here, say
    from compete.errors import UserError
    from compete.workflows.study import study_folds

    try:
        counts = [int(each) for each in k.split(",")]
    except ValueError:
        raise UserError(f"--k {k}: whole numbers are expected, as 3,5,10") from None
    found = study_folds(
        here(size),
        name,
        counts,
        repeats=repeats,
        aside=aside,
        strategies=[each.strip() for each in strategy.split(",")],
        workers=workers,
        threads=threads,
        say=say,
        progress=_progress,
    )
    _show(found, as_json)


@app.command("vary")
def vary(
    name: ModelArgument,
    setting: Annotated[str, typer.Option(help="A setting of the recipe and its values, as scheduler=linear,constant.")],
    seeds: SeedsOption = 2,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """One setting at a time, under the same folds and seeds."""
    key, _, values = setting.partition("=")
    _vary(name, key.strip(), values, seeds, workers, threads, size, as_json)


@app.command("schedulers")
def schedulers(
    name: ModelArgument,
    values: ValuesOption = None,
    seeds: SeedsOption = 2,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How the learning rate falls: `vary` of scheduler."""
    _vary(name, "scheduler", values, seeds, workers, threads, size, as_json)


@app.command("loss")
def loss(
    name: ModelArgument,
    values: ValuesOption = None,
    seeds: SeedsOption = 2,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the network is fitted by: `vary` of loss."""
    _vary(name, "loss", values, seeds, workers, threads, size, as_json)


@app.command("class_weights")
def class_weights(
    name: ModelArgument,
    values: ValuesOption = None,
    seeds: SeedsOption = 2,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How much more rare labels count: `vary` of class_weights."""
    _vary(name, "class_weights", values, seeds, workers, threads, size, as_json)


@app.command("length")
def length(
    name: ModelArgument,
    values: ValuesOption = None,
    seeds: SeedsOption = 2,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How many tokens are read: `vary` of max_length; by default half, the same and twice as many."""
    _vary(name, "max_length", values, seeds, workers, threads, size, as_json)


@app.command("seeds")
def seeds(
    name: ModelArgument,
    count: Annotated[int, typer.Option("--seeds", min=2, max=100, help="How many seeds.")] = 5,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How much of a score is the seed's."""
    from compete.cli.opening import here, say
    from compete.workflows.study import study_seeds

    found = study_seeds(here(size), name, seeds=count, workers=workers, threads=threads, say=say, progress=_progress)
    _show(found, as_json)


def _vary(
    name: str,
    setting: str,
    values: str | None,
    seeds: int,
    workers: int | None,
    threads: int | None,
    size: str | None,
    as_json: bool,
) -> None:
    from compete.cli.opening import here, say
    from compete.experiments.studies.settings import values_from
    from compete.workflows.study import study_setting

    found = study_setting(
        here(size),
        name,
        setting,
        values_from(values or ""),
        seeds=seeds,
        workers=workers,
        threads=threads,
        say=say,
        progress=_progress,
    )
    _show(found, as_json)


def _progress(fraction: float, doing: str) -> None:
    from compete.cli.opening import say

    say(f"{fraction:4.0%} {doing}")


def _show(found: Study, as_json: bool) -> None:
    from compete.cli.opening import console, print_json
    from compete.reporting.terminal.study_tables import difference_table, study_table

    if as_json:
        print_json(found.record())
        return
    out = console()
    out.print(study_table(found))
    if found.comparisons:
        out.print(difference_table(found))
    for sentence in found.conclusion:
        out.print(f"- {sentence}", markup=False, soft_wrap=not out.is_terminal)
