"""compete tune"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from rich.console import Console

    from compete.experiments.tuning.stored import StudyRecord, Trial
    from compete.workflows.tune import Tuning


def command(
    name: Annotated[str, typer.Argument(help="The recipe in base_models/.")],
    trials: Annotated[
        int | None,
        typer.Option(help="Trials in all, with those of earlier calls; nested: per fold. Default: 20, or as --hours."),
    ] = None,
    hours: Annotated[float | None, typer.Option(help="Begin no trial that would not end by then.")] = None,
    nested: Annotated[
        bool,
        typer.Option("--nested", help="Tune every fold by itself on the other folds' rows: its score stays honest."),
    ] = False,
    rows: Annotated[
        float, typer.Option(help="Cheaper: fit trials on this share of the rows, as 0.3; they are scored on all.")
    ] = 1.0,
    folds: Annotated[int | None, typer.Option(help="Cheaper: try settings in so many folds; default: all.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is tried.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Jobs at once; default: one per GPU, else per core. 0: in this process."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads per job; default: cores / workers.")] = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a recipe's settings inside the training folds, and write the best as a recipe beside it.

    What is searched stands in the recipe's [tune], else it is its family's default. Goes on where an earlier run
    stopped.
    """
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import tuning_record
    from compete.score_text import score_text
    from compete.workflows.tune import tune

    out = console()

    def told(study: StudyRecord, trial: Trial) -> None:
        what = score_text(trial.score) if trial.state == "done" else f"{trial.state} {trial.error}".rstrip()
        of_fold = f" fold {study.about.folds[0]}" if study.about.nested else ""
        best = f", best {score_text(study.best.score)}" if study.best is not None else ""
        say(f"trial {trial.number}{of_fold}: {what}{best}")

    with out.status("tuning") as status:
        found = tune(
            here(size),
            name,
            trials=trials,
            hours=hours,
            seed=seed,
            nested=nested,
            rows=rows,
            folds=folds,
            workers=workers,
            threads=threads,
            say=say,
            progress=lambda fraction, doing: status.update(f"tuning: {doing}"),
            told=told,
        )
    if as_json:
        print_json(
            tuning_record(
                found.recipe,
                found.written,
                found.metric,
                found.promise,
                found.as_shipped,
                found.studies,
                found.proxies,
                left=found.left,
            )
        )
        return
    _show(out, found)


def _show(out: Console, found: Tuning) -> None:
    from compete.reporting.terminal.tuning_tables import proxies_table, proxy_sentence, trials_table
    from compete.score_text import score_text

    for study in found.studies:
        if study.about.nested:
            out.print(f"fold {study.about.folds[0]}, tuned on the rows of the other folds:", highlight=False)
        out.print(trials_table(study, found.metric.title), "")
    own = "" if found.as_shipped is None else f"; the recipe's own settings: {score_text(found.as_shipped)}"
    out.print(
        f"best {found.metric.title} on validation rows: {score_text(found.promise)}{own}. The best of several scores "
        "promises too much: what it is worth, its out-of-fold score tells",
        soft_wrap=True,
        highlight=False,
    )
    if found.proxies:
        out.print("", proxies_table(found.proxies))
        if sentence := proxy_sentence(found.proxies):
            out.print(sentence, soft_wrap=True, highlight=False)
    out.print(
        f"written: base_models/{found.written}.toml; `compete train-base {found.written}` trains it",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
