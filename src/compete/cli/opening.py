"""What most commands begin with: the workspace, and where they print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from compete.cli.options import DOCUMENT
from compete.competition.declaration import Size
from compete.competition.workspace import Workspace, find_workspace
from compete.declarations import unknown_name
from compete.errors import UserError
from compete.printable import printable

if TYPE_CHECKING:
    from rich.console import Console


def here(size: str | None = None) -> Workspace:
    if size is not None and size not in get_args(Size):
        raise UserError(f"--size {size}: {unknown_name(size, get_args(Size))}")
    return find_workspace(Path.cwd(), size)


def console() -> Console:
    """Standard output; plain and never narrower than its tables in a pipe. What a text holds is shown, and never acts
    on the terminal."""
    from compete.reporting.terminal.safe_console import SafeConsole

    out = SafeConsole(highlight=False, soft_wrap=False)
    return out if out.is_terminal else SafeConsole(highlight=False, width=max(out.width, 110))


def print_json(record: Mapping[str, Any]) -> None:
    """The one document of a command with --json, in UTF-8 whatever the terminal's encoding is."""
    from compete.reporting.records import to_json

    typer.echo(to_json(record).encode("utf-8", errors="backslashreplace"), file=DOCUMENT.get())


def say(message: str) -> None:
    """A note beside the result, on standard error."""
    typer.echo(printable(message), err=True)


def tell(line: str) -> None:
    """A line of the result, where there is no table."""
    typer.echo(printable(line))
