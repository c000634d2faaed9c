"""compete jobs"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import SizeOption

app = typer.Typer(
    help="Jobs as files: train on machines that share nothing with this one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the jobs into, a file each.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Recipes in base_models/; default: those of --all.")
    ] = None,
    fold: Annotated[list[int] | None, typer.Option(help="Only this fold; may be given several times.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also what is trained already.")] = False,
    replace_stale: Annotated[
        bool, typer.Option("--replace-stale", help="Also what an edit of the competition made stale.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads per job; default: as train-base would take here.")
    ] = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="With the settings under [published], as NAME_as_published.")
    ] = False,
    no_parity: Annotated[
        bool, typer.Option("--no-parity", help="Do not check that what was trained gives the same when read again.")
    ] = False,
    size: SizeOption = None,
) -> None:
    """Write the jobs that train-base would do now, one file per model and fold."""
    from compete.cli.opening import console, here, say
    from compete.workflows.jobs import export_jobs

    found = export_jobs(
        here(size),
        folder,
        names or [],
        folds=fold or [],
        force=force,
        replace_stale=replace_stale,
        threads=threads,
        as_published=as_published,
        parity=not no_parity,
        say=say,
    )
    if not found.files:
        say("nothing is to be trained: no job was written")
        return
    count, gpus = len(found.files), f", {found.want_gpu} of them for a GPU" if found.want_gpu else ""
    out = console()
    out.print(f"{count} job{'s' * (count > 1)} in {folder}{gpus}", soft_wrap=True)
    say(f"On any machine with compete: `compete jobs run {found.files[0]}`; then here: `compete jobs collect {folder}`")


@app.command("run")
def run(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Jobs that `compete jobs export` wrote.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the results; default: beside each job.")] = None,
) -> None:
    """Do jobs, one after the other, on any machine with compete; write a file with the result of each."""
    from compete.cli.opening import console, say
    from compete.errors import CompeteError, JobsFailedError
    from compete.reporting.terminal.training_display import shown_on
    from compete.workflows.jobs import run_job

    failed = list[CompeteError]()
    for file in files:
        try:
            result = run_job(file, out, here=Path.cwd(), say=say, watch=shown_on(console()))
        except CompeteError as error:  # it fails alone
            failed.append(error)
        else:
            console().print(str(result), soft_wrap=True)
    if len(files) == 1 and failed:
        raise failed[0]
    if failed:
        raise JobsFailedError("\n".join([f"{len(failed)} of {len(files)} jobs failed", *map(str, failed)]))


@app.command("collect")
def collect(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder with results of `compete jobs run`.")
    ] = None,
    kaggle: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NOTEBOOK", help="Download what this notebook on Kaggle left, in place of DIR."),
    ] = None,
    size: SizeOption = None,
) -> None:
    """Bring the results of jobs into this workspace, each after checking that it belongs here."""
    from compete.cli.opening import console, here, say
    from compete.errors import UserError
    from compete.workflows.jobs import collect_jobs
    from compete.workflows.kaggle_notebook import collect_from_kaggle

    if (folder is None) == (kaggle is None):
        raise UserError("where are the results? Name a folder, or a notebook with --kaggle OWNER/NOTEBOOK")
    if kaggle is not None:
        found = collect_from_kaggle(here(size), kaggle, say=say)
    elif folder is not None:
        found = collect_jobs(here(size), folder, say=say)
    out = console()
    for arrival in found.arrivals:
        if arrival.what != "failed":
            out.print(f"{arrival.model} fold {arrival.fold} {arrival.what}", soft_wrap=True)
    for name in found.whole:
        out.print(f"{name} is whole", soft_wrap=True)
    if found.failed is not None:
        raise found.failed
