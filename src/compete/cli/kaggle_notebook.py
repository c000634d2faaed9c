"""compete kaggle-notebook"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import SizeOption

app = typer.Typer(
    help="Notebooks that do compete's work on Kaggle.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """A group, though it has one command yet."""


@app.command("train")
def train(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Recipes in base_models/; default: those of --all.")
    ] = None,
    fold: Annotated[list[int] | None, typer.Option(help="Only this fold; may be given several times.")] = None,
    stop_after: Annotated[
        str, typer.Option(metavar="TIME", help="After which no job runs any more, as 11h or 90m.")
    ] = "11h",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write into; default: kaggle_notebooks/ and the notebook's name.")
    ] = None,
    wheels: Annotated[
        Path | None, typer.Option(help="Folder of wheels to take along; one of this compete is written anyway.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also what is trained already.")] = False,
    replace_stale: Annotated[
        bool, typer.Option("--replace-stale", help="Also what an edit of the competition made stale.")
    ] = False,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="With the settings under [published], as NAME_as_published.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads per job; default: as train-base would here.")] = (
        None
    ),
    accelerator: Annotated[str, typer.Option(help="What the notebook runs on: t4 or none.")] = "t4",
    push: Annotated[
        bool, typer.Option("--push", help="Upload the jobs as a private dataset, push the notebook and run it.")
    ] = False,
    notebook: Annotated[
        str | None, typer.Option(metavar="NAME", help="The notebook's name on Kaggle; default: competition and train.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Push without asking.")] = False,
    size: SizeOption = None,
) -> None:
    """Write a notebook that trains in a session on Kaggle, with its jobs beside it as a dataset."""
    from compete.cli.opening import console, here, say
    from compete.workflows.kaggle_notebook import DATASET, training_notebook

    workspace = here(size)
    found = training_notebook(
        workspace,
        names or [],
        folds=fold or [],
        stop_after=stop_after,
        out=out,
        wheels=wheels,
        force=force,
        replace_stale=replace_stale,
        as_published=as_published,
        threads=threads,
        accelerator=accelerator,
        push=push,
        notebook=notebook,
        yes=yes,
        say=say,
        ask=_ask,
    )
    console().print(f"{found.path}: {len(found.jobs)} job{'s' * (len(found.jobs) != 1)}", soft_wrap=True)
    if found.version is not None:
        say(
            f"{found.notebook} version {found.version} runs. Once it has ended: `compete jobs collect --kaggle "
            f"{found.notebook}`"
        )
        return
    say(
        f"On Kaggle: a private dataset of {found.folder / DATASET}, the notebook with it as input and the internet on, "
        "Save & Run All; or here --push. Then `compete jobs collect --kaggle OWNER/NOTEBOOK`"
    )


def _ask(question: str) -> bool:
    from compete.workflows.kaggle_notebook import nobody_to_ask

    return typer.confirm(question) if sys.stdin.isatty() else nobody_to_ask(question)
