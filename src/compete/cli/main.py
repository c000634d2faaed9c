"""The command line: registers the commands, turns errors into one message and an exit code.

Exit codes: 0 ok, 1 it ran and something failed, 2 a mistake in what was typed or written.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from traceback import format_exception
from types import TracebackType
from typing import Annotated

import typer

from compete import __version__
from compete.cli import (
    demo_data,
    download,
    finalists,
    folds,
    import_model,
    init,
    jobs,
    kaggle_notebook,
    pack,
    plan,
    predict,
    rehearse,
    report,
    scores,
    ship,
    stack,
    status,
    submit,
    train_base,
)
from compete.errors import CompeteError
from compete.printable import printable

app = typer.Typer(
    name="compete",
    help="One workspace for a Kaggle text competition: base models, an honest stack, submissions.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: importing rich would double the time of `compete --help`
    pretty_exceptions_enable=False,
)

app.command("init")(init.command)
app.command("download")(download.command)
app.command("folds")(folds.command)
app.command("plan")(plan.command)
app.command("train-base")(train_base.command)
app.add_typer(jobs.app, name="jobs")
app.add_typer(kaggle_notebook.app, name="kaggle-notebook")
app.command("import")(import_model.command)
app.command("status")(status.command)
app.command("stack")(stack.command)
app.command("submit")(submit.command)
app.command("ship")(ship.command)
app.command("predict")(predict.command)
app.command("pack")(pack.command)
app.command("scores")(scores.command)
app.command("report")(report.command)
app.command("finalists")(finalists.command)
app.command("rehearse")(rehearse.command)
app.command("demo-data")(demo_data.command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"compete {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of an error; works behind a command too.")
    ] = False,
) -> None:
    """Registers the options of `compete` itself."""


def _in_simpler_letters(error: UnicodeError) -> tuple[str, int]:
    """What the output's encoding lacks: a sign for ±, and escapes for letters of labels and file names."""
    assert isinstance(error, UnicodeEncodeError)
    signs = {"±": "+-", "─": "-", "…": "..."}
    letters = error.object[error.start : error.end]
    return "".join(signs.get(c, c.encode("ascii", "backslashreplace").decode()) for c in letters), error.end


def _never_fail_on_a_letter() -> None:
    """Output in ASCII, as some pipes and schedulers have it, ends no command with a UnicodeEncodeError."""
    codecs.register_error("compete", _in_simpler_letters)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="compete")


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As Python does, but that nothing in an error's message acts on the terminal."""
    lines = format_exception(kind, error, trace)
    sys.stderr.write(printable("".join(lines)))


def main() -> None:
    """Entry point of the console script."""
    _never_fail_on_a_letter()
    sys.excepthook = _print_traceback
    # Processes that libraries start (joblib's, for LightGBM) import nothing from the folder the command stands in.
    os.environ["PYTHONSAFEPATH"] = "1"
    # Taken out here: behind a command, typer would refuse an option that is not the command's.
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    wants_traceback = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments)
    except CompeteError as error:
        if wants_traceback:
            raise
        message = str(error).replace(f"{Path.cwd()}{os.sep}", "")  # paths as the user would type them
        typer.echo(f"error: {printable(message)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        # A disk that is read-only, a file where a folder should be: the system's words and the path say it best.
        if wants_traceback or error.filename is None:
            raise
        typer.echo(f"error: {error.strerror}: {printable(str(error.filename))}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
