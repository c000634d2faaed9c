"""What most commands begin with: the workspace, its lock, its rows, a console."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from compete.cli.options import DOCUMENT
from compete.competition.declaration import Size
from compete.competition.workspace import Workspace, find_workspace
from compete.declarations import unknown_name
from compete.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from compete.competition.data import Competition


def here(size: str | None = None) -> Workspace:
    if size is not None and size not in get_args(Size):
        raise UserError(f"--size {size}: {unknown_name(size, get_args(Size))}")
    return find_workspace(Path.cwd(), size)


def console() -> Console:
    """Standard output; plain and never narrower than its tables in a pipe."""
    from rich.console import Console

    out = Console(highlight=False, soft_wrap=False)
    return out if out.is_terminal else Console(highlight=False, width=max(out.width, 110))


def print_json(record: Mapping[str, Any]) -> None:
    """The one document of a command with --json, in UTF-8 whatever the terminal's encoding is."""
    from compete.reporting.records import to_json

    typer.echo(to_json(record).encode("utf-8", errors="backslashreplace"), file=DOCUMENT.get())


def say(message: str) -> None:
    """A note beside the result, on standard error."""
    typer.echo(message, err=True)


@contextlib.contextmanager
def exclusively(workspace: Workspace, *, reading: bool = False) -> Iterator[None]:
    """The workspace's lock; says so when it has to wait for it. reading: do without where nothing can be written."""
    from compete.oof.train import exclusive

    def waiting() -> None:
        say("another compete command is at work in this workspace: waiting until it has ended (Ctrl-C gives up)")

    try:
        with exclusive(workspace, waiting, reading=reading):
            yield
    except KeyboardInterrupt:
        say("stopped: what was finished is kept, and the same command goes on from there")
        raise


def load(workspace: Workspace) -> Competition:
    """The competition's rows; warnings are shown, and why nothing could be scored in the end."""
    from compete.competition.data import left_out_of_the_metric, load_competition
    from compete.submissions.targets import what_keeps_from_scoring

    competition = load_competition(workspace)
    problem = what_keeps_from_scoring(competition)
    for warning in (
        *competition.warnings,
        *left_out_of_the_metric(competition),
        *([f"nothing can be scored: {problem}"] if problem else []),
    ):
        say(f"warning: {warning}")
    return competition
